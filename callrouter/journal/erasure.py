"""Forgetting a client, as the law on personal data has it: what could tell who he was goes, what was counted stays.

His appeals remain as rows without a person: a call took place, and reports of last year do not change. So do the shares
that touches have in them, and deals stay owed to the appeal they were owed to. Numbers, names, e-mails, words,
recordings' links, chains, analytics ids, candidates and what addresses of pages say behind ? and # go; so do his
identities, merges and the comments on him; his browsers get new names. The same call told again by a router or a
reconciliation does not bring him back.

What the lease store knows of him is forgotten by a worker (`erasing`), which finds here what that is.

A browser that somebody else uses as well stays the other's, with its visits; his own appeals lose sight of it.
"""

from __future__ import annotations

import secrets

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.clients import visitors_of

FINAL_REVISION = 2**31 - 1
"""Higher than any telling of a call has: what is told later finds a later one there, and is left alone."""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    appeals: int
    visits: int
    deals: int


async def erase_client(conn: Connection, account: int, client: int) -> Erased | None:
    """In a transaction of the service's, for callback orders and leases are not the account's to change. None: no such
    client."""
    if not await conn.fetchval("SELECT true FROM clients WHERE account_id = $1 AND id = $2", account, client):
        return None
    await conn.execute(LOCK, account, client)
    visitors = await visitors_of(conn, account, client)
    shared = {row["visitor"] for row in await conn.fetch(SHARED, account, visitors, client)}
    # The same browser is told of in leases, visits and appeals: all of them get one new name, so that counts hold.
    names = {visitor: secrets.token_urlsafe(16) for visitor in visitors}
    own = [visitor for visitor in visitors if visitor not in shared]
    appeals = [row["id"] for row in await conn.fetch(APPEALS, account, client)]
    await conn.execute(OTHERS, account, own, [names[visitor] for visitor in own], client)
    await conn.execute(IN_STORE, account, client, own, [names[visitor] for visitor in own])
    for statement in OF_VISITS:
        done = await conn.execute(statement, account, own, [names[visitor] for visitor in own], None)
    for statement in NOTES, DELIVERIES, ORDERS:
        await conn.execute(statement, account, appeals)
    deals = await _deals(conn, account, client)
    salt = secrets.token_urlsafe(16)
    await conn.execute(ERASE, account, client, FINAL_REVISION, list(names), list(names.values()), salt)
    for statement in IDENTITIES, VISITORS, MERGES, CLIENT:
        await conn.execute(statement, account, client)
    return Erased(appeals=len(appeals), visits=int(done.rpartition(" ")[2]), deals=deals)


async def _deals(conn: Connection, account: int, client: int) -> int:
    """A deal without a client is owed to nobody, a trigger sees to that; these stay owed, for they were."""
    owed = await conn.fetch(OWED, account, client)
    done = await conn.execute(DEALS, account, client)
    await conn.execute(OWED_AGAIN, account, *([row[name] for row in owed] for name in ("id", "appeal_id", "appeal_at")))
    return int(done.rpartition(" ")[2])


LOCK = "SELECT FROM client_identities WHERE account_id = $1 AND client_id = $2 ORDER BY kind, value FOR UPDATE"
APPEALS = "SELECT id FROM appeals WHERE account_id = $1 AND client_id = $2"
SHARED = """
SELECT visitor FROM client_visitors WHERE account_id = $1 AND visitor = ANY ($2) AND client_id <> $3
UNION SELECT value FROM client_identities
WHERE account_id = $1 AND kind = 'visitor' AND value = ANY ($2) AND client_id <> $3"""
# A phone that has become another client's is the other's. Sessions of long ago the store has forgotten by itself.
IN_STORE = """
INSERT INTO erasures (account_id, phones, visitors, names, sessions)
SELECT $1::bigint, ARRAY(
        SELECT value FROM client_identities WHERE account_id = $1 AND client_id = $2 AND kind = 'phone'
        UNION SELECT a.customer FROM appeals a
        WHERE a.account_id = $1 AND a.client_id = $2 AND a.customer IS NOT NULL AND NOT EXISTS (
            SELECT FROM client_identities i WHERE i.account_id = $1 AND i.kind = 'phone' AND i.value = a.customer
                AND i.client_id <> $2)),
    $3::text[], $4::text[], ARRAY(
        SELECT session FROM visits WHERE account_id = $1 AND visitor = ANY ($3) ORDER BY started_at DESC LIMIT 1000)"""
_RENAMED = "FROM unnest($2::text[], $3::text[]) AS w (visitor, name)"
PAGES = """
DELETE FROM visit_pages p USING visits v, unnest($2::text[], $3::text[]) AS w (visitor, name)
WHERE v.account_id = $1 AND v.visitor = w.visitor AND p.account_id = $1 AND p.session = v.session
    AND ($4::timestamptz IS NULL OR v.started_at <= $4)"""
SESSIONS_OF_LEASES = f"""
UPDATE leases l SET visitor = w.name, session = md5(l.session || w.name) {_RENAMED}
WHERE l.account_id = $1 AND l.visitor = w.visitor AND ($4::timestamptz IS NULL OR l.started_at <= $4)"""  # noqa: S608 - made of constants; values are parameters
VISITS = f"""
UPDATE visits v SET visitor = w.name, session = md5(v.session || w.name), title = '',
    landing_page = substring(v.landing_page FROM '^[^?#]*'), page = substring(v.page FROM '^[^?#]*'),
    referrer = substring(v.referrer FROM '^[^?#]*'), click_id = '', user_agent = '',
    ga_client_id = '', ga_session_id = '', ym_client_id = '', ym_counter = ''
{_RENAMED} WHERE v.account_id = $1 AND v.visitor = w.visitor
    AND ($4::timestamptz IS NULL OR v.started_at <= $4)"""  # noqa: S608 - made of constants; values are parameters
OF_VISITS = (PAGES, SESSIONS_OF_LEASES, VISITS)
"""$2: visitors, $3: their new names, $4: what began by then; null: all."""
NOTES = "UPDATE appeal_notes SET comment = '' WHERE account_id = $1 AND appeal_id = ANY ($2)"
DELIVERIES = "DELETE FROM deliveries WHERE account_id = $1 AND subject_id = ANY ($2)"
# The order stays: by it alone its call is known when it is told again or proven. Who waits to be called is called.
ORDERS = """
UPDATE callback_orders SET phone = NULL
WHERE account_id = $1 AND id = ANY ($2) AND state NOT IN ('waiting', 'dialling')"""
OWED = "SELECT id, appeal_id, appeal_at FROM deals WHERE account_id = $1 AND client_id = $2 AND appeal_at IS NOT NULL"
OWED_AGAIN = """
UPDATE deals d SET appeal_id = w.appeal_id, appeal_at = w.appeal_at
FROM unnest($2::bigint[], $3::uuid[], $4::timestamptz[]) AS w (id, appeal_id, appeal_at)
WHERE d.account_id = $1 AND d.id = w.id"""
DEALS = """
UPDATE deals SET client_id = NULL, title = '', url = '', ga_client_id = '', ym_client_id = '', history = '[]'
WHERE account_id = $1 AND client_id = $2"""
_CUT = """landing_page = substring(a.landing_page FROM '^[^?#]*'), page = substring(a.page FROM '^[^?#]*'),
    referrer = substring(a.referrer FROM '^[^?#]*'), click_id = NULL, title = NULL,
    ga_client_id = NULL, ga_session_id = NULL, ym_client_id = NULL, ym_counter = NULL"""
# What was credited to his visits and is not his: appeals of people who are unknown, or hardly were these visitors.
OTHERS = f"""
UPDATE appeals a SET visitor = w.name, session = md5(a.session || w.name), {_CUT}
FROM unnest($2::text[], $3::text[]) AS w (visitor, name)
JOIN visits v ON v.account_id = $1 AND v.visitor = w.visitor
WHERE a.account_id = $1 AND a.started_at >= v.started_at AND a.started_at < v.started_at + interval '4 days'
    AND a.session = v.session AND a.client_id IS DISTINCT FROM $4"""  # noqa: S608 - made of constants; values are parameters
_NAMED = "SELECT w.name FROM unnest($4::text[], $5::text[]) AS w (visitor, name) WHERE w.visitor = "
# Who has which share in an appeal is what reports by other models count; which visits these were is not.
_SHARES = f"""(
    SELECT jsonb_agg(jsonb_set(t.touch - 'visitor', '{{session}}', to_jsonb(md5(
            (t.touch ->> 'session') || coalesce(({_NAMED} t.touch ->> 'visitor'), $6::text))))
        || CASE WHEN t.touch ? 'landing_page' THEN jsonb_build_object(
            'landing_page', substring(t.touch ->> 'landing_page' FROM '^[^?#]*')) ELSE '{{}}' END ORDER BY t.place)
    FROM jsonb_array_elements(a.credits) WITH ORDINALITY AS t (touch, place))"""  # noqa: S608 - made of constants; values are parameters
ERASE = f"""
UPDATE appeals a SET revision = $3, client_id = NULL, customer = NULL, email = NULL, person = NULL, details = NULL,
    caller = CASE direction WHEN 'outbound' THEN caller END,
    called = CASE WHEN direction = 'inbound' THEN called END,
    caller_raw = NULL, called_raw = NULL, recording = NULL, candidates = NULL, touches = NULL, credits = {_SHARES},
    visitor = ({_NAMED} a.visitor), session = md5(a.session || coalesce(({_NAMED} a.visitor), $6::text)),
    {_CUT}, attribution_pending = false
WHERE account_id = $1 AND client_id = $2"""  # noqa: S608 - made of constants; values are parameters
IDENTITIES = "DELETE FROM client_identities WHERE account_id = $1 AND client_id = $2"
VISITORS = "DELETE FROM client_visitors WHERE account_id = $1 AND client_id = $2"
# Whoever became him, over however many merges: what was moved then was his.
MERGES = """
WITH RECURSIVE became (id) AS (
    SELECT $2::bigint
    UNION
    SELECT m.merged_id FROM became b
    JOIN client_merges m ON m.account_id = $1 AND m.survivor_id = b.id AND m.undone_at IS NULL
)
DELETE FROM client_merges m USING became b WHERE m.account_id = $1 AND b.id IN (m.survivor_id, m.merged_id)"""
CLIENT = "DELETE FROM clients WHERE account_id = $1 AND id = $2"
