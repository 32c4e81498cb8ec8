-- Of the measures of a day's sums most are nothing: a visit has no appeal, a cost no visit. They are null and take no room.

ALTER TABLE report_sums
    ALTER visits DROP NOT NULL, ALTER visits DROP DEFAULT, ALTER visitors DROP NOT NULL, ALTER visitors DROP DEFAULT,
    ALTER shown DROP NOT NULL, ALTER shown DROP DEFAULT, ALTER overflow DROP NOT NULL, ALTER overflow DROP DEFAULT,
    ALTER appeals DROP NOT NULL, ALTER appeals DROP DEFAULT, ALTER calls DROP NOT NULL, ALTER calls DROP DEFAULT,
    ALTER outgoing DROP NOT NULL, ALTER outgoing DROP DEFAULT, ALTER forms DROP NOT NULL, ALTER forms DROP DEFAULT,
    ALTER callbacks DROP NOT NULL, ALTER callbacks DROP DEFAULT, ALTER chats DROP NOT NULL, ALTER chats DROP DEFAULT,
    ALTER emails DROP NOT NULL, ALTER emails DROP DEFAULT,
    ALTER visit_calls DROP NOT NULL, ALTER visit_calls DROP DEFAULT,
    ALTER answered DROP NOT NULL, ALTER answered DROP DEFAULT, ALTER lost DROP NOT NULL, ALTER lost DROP DEFAULT,
    ALTER unique_calls DROP NOT NULL, ALTER unique_calls DROP DEFAULT,
    ALTER quality DROP NOT NULL, ALTER quality DROP DEFAULT,
    ALTER unique_quality DROP NOT NULL, ALTER unique_quality DROP DEFAULT,
    ALTER multichannel DROP NOT NULL, ALTER multichannel DROP DEFAULT,
    ALTER spam DROP NOT NULL, ALTER spam DROP DEFAULT, ALTER wait_ms DROP NOT NULL, ALTER wait_ms DROP DEFAULT,
    ALTER waits DROP NOT NULL, ALTER waits DROP DEFAULT, ALTER talk_ms DROP NOT NULL, ALTER talk_ms DROP DEFAULT,
    ALTER talks DROP NOT NULL, ALTER talks DROP DEFAULT, ALTER deals DROP NOT NULL, ALTER deals DROP DEFAULT,
    ALTER won DROP NOT NULL, ALTER won DROP DEFAULT, ALTER revenue DROP NOT NULL, ALTER revenue DROP DEFAULT,
    ALTER cost DROP NOT NULL, ALTER cost DROP DEFAULT, ALTER clicks DROP NOT NULL, ALTER clicks DROP DEFAULT,
    ALTER impressions DROP NOT NULL, ALTER impressions DROP DEFAULT;
COMMENT ON TABLE report_sums IS
    'A day''s sums by the dimensions of a cube (others are null; a measure that is null is nothing). Appeals and deals are counted in millionths: models share them out.';
