-- Of the measures of a day's sums most are nothing: a visit has no appeal, a cost no visit. They are null and take no room.

ALTER TABLE report_sums
    ALTER visits DROP NOT NULL, ALTER visitors DROP NOT NULL, ALTER shown DROP NOT NULL, ALTER overflow DROP NOT NULL,
    ALTER appeals DROP NOT NULL, ALTER calls DROP NOT NULL, ALTER outgoing DROP NOT NULL, ALTER forms DROP NOT NULL,
    ALTER callbacks DROP NOT NULL, ALTER chats DROP NOT NULL, ALTER emails DROP NOT NULL,
    ALTER visit_calls DROP NOT NULL, ALTER answered DROP NOT NULL, ALTER lost DROP NOT NULL,
    ALTER unique_calls DROP NOT NULL, ALTER quality DROP NOT NULL, ALTER unique_quality DROP NOT NULL,
    ALTER multichannel DROP NOT NULL, ALTER spam DROP NOT NULL, ALTER wait_ms DROP NOT NULL,
    ALTER waits DROP NOT NULL, ALTER talk_ms DROP NOT NULL, ALTER talks DROP NOT NULL, ALTER deals DROP NOT NULL,
    ALTER won DROP NOT NULL, ALTER revenue DROP NOT NULL, ALTER cost DROP NOT NULL, ALTER clicks DROP NOT NULL,
    ALTER impressions DROP NOT NULL;
COMMENT ON TABLE report_sums IS
    'A day''s sums by the dimensions of a cube (others are null; a measure that is null is nothing). Appeals and deals are counted in millionths: models share them out.';
