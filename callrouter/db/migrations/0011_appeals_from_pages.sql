-- Appeals that a visitor sends from a page. The page itself says whose visit it was: nothing is weighed.

ALTER TABLE appeals DROP CONSTRAINT appeals_method_check;
DO $$
DECLARE
    part regclass;
BEGIN
    -- Partitions were made with constraints of their own, which the parent's merely joined.
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'appeals'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS appeals_method_check', part);
    END LOOP;
END $$;
ALTER TABLE appeals ADD CONSTRAINT appeals_method_check
    CHECK (method IN ('static', 'holder', 'caller_memory', 'last_holder', 'page', 'unattributed'));
