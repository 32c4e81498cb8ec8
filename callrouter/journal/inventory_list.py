"""Sites, pools, numbers and static bindings as lists of which each column can be filtered by. Knows their tables."""

from __future__ import annotations

from callrouter.journal.columns import Column, Table

SITES = Table(
    fields="""s.id, s.account_id AS account, s.name, s.domains,
            array_remove(array_agg(p.name ORDER BY sp.priority, p.id), NULL) AS pools, s.route,
            s.fallback_number AS fallback, s.own_numbers, extract(epoch FROM s.hold)::float8 / 60 AS hold_minutes,
            extract(epoch FROM s.rest)::float8 / 60 AS rest_minutes, s.overflow, s.consent, s.country, s.quality_s,
            s.enabled""",
    tables="""sites s LEFT JOIN site_pools sp ON sp.account_id = s.account_id AND sp.site_id = s.id
        LEFT JOIN pools p ON p.id = sp.pool_id""",
    grouped="s.account_id, s.id",
    owner="s.account_id",
    key="id",
    columns={
        "id": Column("s.id", "whole"), "name": Column("s.name"), "domains": Column("s.domains", "texts"),
        "pools": Column(
            "ARRAY(SELECT m.name FROM site_pools o JOIN pools m ON m.id = o.pool_id"
            " WHERE o.account_id = s.account_id AND o.site_id = s.id)", "texts",
        ),
        "route": Column("s.route"), "fallback": Column("s.fallback_number", gaps=True),
        "own_numbers": Column("s.own_numbers", "texts"),
        "hold_minutes": Column("extract(epoch FROM s.hold) / 60", "number"),
        "rest_minutes": Column("extract(epoch FROM s.rest) / 60", "number"), "overflow": Column("s.overflow"),
        "consent": Column("s.consent"), "country": Column("s.country"), "quality_s": Column("s.quality_s", "number"),
        "enabled": Column("s.enabled", "flag"),
    },
)  # fmt: skip
OF_STATE = "(SELECT count(*) FROM numbers m WHERE m.pool_id = p.id AND m.state = '{}')"
POOLS = Table(
    fields="""p.id, p.account_id AS account, p.name, count(n.number) FILTER (WHERE n.state = 'active') AS active,
            count(n.number) FILTER (WHERE n.state = 'disabled') AS disabled""",
    tables="pools p LEFT JOIN numbers n ON n.pool_id = p.id",
    grouped="p.account_id, p.id",
    owner="p.account_id",
    key="id",
    columns={
        "id": Column("p.id", "whole"), "name": Column("p.name"),
        "active": Column(OF_STATE.format("active"), "whole"), "disabled": Column(OF_STATE.format("disabled"), "whole"),
    },
)  # fmt: skip
NUMBERS = Table(
    fields="n.number, p.name AS pool, n.state, n.route, n.note, b.channel AS static_channel",
    tables="""numbers n LEFT JOIN pools p ON p.id = n.pool_id
        LEFT JOIN static_bindings b ON b.number = n.number AND tstzrange(b.valid_from, b.valid_to) @> now()""",
    owner="n.account_id",
    key="number",
    columns={
        "number": Column("n.number"), "pool": Column("p.name", gaps=True), "state": Column("n.state"),
        "route": Column("n.route"), "note": Column("n.note"), "static_channel": Column("b.channel", gaps=True),
    },
)  # fmt: skip
STATIC = Table(
    fields="""b.id, b.account_id AS account, b.number, s.name AS site, b.channel, b.source, b.medium, b.campaign,
            b.valid_from, b.valid_to""",
    tables="static_bindings b JOIN sites s ON s.account_id = b.account_id AND s.id = b.site_id",
    owner="b.account_id",
    key="id",
    columns={
        "id": Column("b.id", "whole"), "number": Column("b.number"), "site": Column("s.name"),
        "channel": Column("b.channel"), "source": Column("b.source"), "medium": Column("b.medium"),
        "campaign": Column("b.campaign"), "valid_from": Column("b.valid_from", "moment"),
        "valid_to": Column("b.valid_to", "moment", gaps=True),
    },
)  # fmt: skip
