-- Callback orders: whom a site's PBX shall call, when, and what became of it. An order's appeal has the order's id.

ALTER TABLE sites ADD COLUMN callback jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN sites.callback IS 'What the site sets for callback orders; empty: it takes none.';

CREATE TABLE callback_orders (
    account_id bigint NOT NULL,
    id uuid NOT NULL,
    serial bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    site_id bigint NOT NULL,
    ordered_at timestamptz NOT NULL,
    phone text NOT NULL CHECK (phone ~ '^[1-9][0-9]{6,14}$'),
    due_at timestamptz NOT NULL,
    latest_at timestamptz NOT NULL CHECK (latest_at >= due_at),
    next_at timestamptz NOT NULL,
    pbx text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'dialling', 'called', 'missed')),
    outcome text NOT NULL DEFAULT '',
    attempts int NOT NULL DEFAULT 0,
    claimed_by text NOT NULL DEFAULT '',
    claimed_until timestamptz,
    dialled_at timestamptz,
    settled_at timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX callback_orders_open ON callback_orders (next_at) WHERE state IN ('waiting', 'dialling');
CREATE INDEX callback_orders_of_site ON callback_orders (account_id, site_id, ordered_at);
COMMENT ON COLUMN callback_orders.serial IS 'Stands in the id of the call that carries the order out: by it the call is known.';
COMMENT ON COLUMN callback_orders.latest_at IS 'Not dialled after this moment: the order is missed, and seen as such.';
COMMENT ON COLUMN callback_orders.pbx IS 'The PBX that dials; empty until one claims it, if the site names none.';
COMMENT ON COLUMN callback_orders.claimed_until IS 'A router that lives on puts it off; what it left behind is taken up after it.';
SELECT wall_off('callback_orders');
-- An account reads its orders; they come from its pages, and routers carry them out.
REVOKE INSERT, UPDATE, DELETE ON callback_orders FROM callrouter_scoped;
