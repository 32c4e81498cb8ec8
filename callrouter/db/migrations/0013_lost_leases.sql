-- Leases that the lease store lost with its data: how they ended is not known, and the history says so.

ALTER TABLE leases DROP CONSTRAINT leases_end_reason_check;
ALTER TABLE leases ADD CONSTRAINT leases_end_reason_check
    CHECK (end_reason IN ('expired', 'released', 'taken', 'disabled', 'moved', 'lost'));
