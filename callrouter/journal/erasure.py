"""Forgetting a client, as the law on personal data has it: what could tell who he was goes, what was counted stays.

His appeals remain as rows without a person: a call took place, and reports of last year do not change. Numbers, names,
e-mails, words, recordings' links, analytics ids, candidates and what addresses of pages say behind ? and # go; so do
his identities, merges and the comments on him; his browsers get new names. The same call told again by a router or a
reconciliation does not bring him back.
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
    appeals = [row["id"] for row in await conn.fetch(APPEALS, account, client)]
    # The same browser may have been told of in leases and visits: all of them get one new name, so that counts hold.
    names = [secrets.token_urlsafe(16) for _ in visitors]
    for statement in PAGES, SESSIONS_OF_LEASES, VISITS:
        done = await conn.execute(statement, account, visitors, names)
    visits = int(done.rpartition(" ")[2])
    for statement in NOTES, DELIVERIES, ORDERS:
        await conn.execute(statement, account, appeals)
    deals = int((await conn.execute(DEALS, account, client)).rpartition(" ")[2])
    await conn.execute(ERASE, account, client, FINAL_REVISION, visitors, names)
    for statement in IDENTITIES, VISITORS, MERGES, CLIENT:
        await conn.execute(statement, account, client)
    return Erased(appeals=len(appeals), visits=visits, deals=deals)


LOCK = "SELECT FROM client_identities WHERE account_id = $1 AND client_id = $2 ORDER BY kind, value FOR UPDATE"
APPEALS = "SELECT id FROM appeals WHERE account_id = $1 AND client_id = $2"
_RENAMED = "FROM unnest($2::text[], $3::text[]) AS w (visitor, name)"
PAGES = """
DELETE FROM visit_pages p USING visits v, unnest($2::text[], $3::text[]) AS w (visitor, name)
WHERE v.account_id = $1 AND v.visitor = w.visitor AND p.account_id = $1 AND p.session = v.session"""
SESSIONS_OF_LEASES = f"""
UPDATE leases l SET visitor = w.name, session = md5(l.session || w.name) {_RENAMED}
WHERE l.account_id = $1 AND l.visitor = w.visitor"""  # noqa: S608 - made of constants; values are parameters
VISITS = f"""
UPDATE visits v SET visitor = w.name, session = md5(v.session || w.name), title = '',
    landing_page = substring(v.landing_page FROM '^[^?#]*'), page = substring(v.page FROM '^[^?#]*'),
    referrer = substring(v.referrer FROM '^[^?#]*'), click_id = '', user_agent = '',
    ga_client_id = '', ga_session_id = '', ym_client_id = '', ym_counter = ''
{_RENAMED} WHERE v.account_id = $1 AND v.visitor = w.visitor"""  # noqa: S608 - made of constants; values are parameters
NOTES = "UPDATE appeal_notes SET comment = '' WHERE account_id = $1 AND appeal_id = ANY ($2)"
DELIVERIES = "DELETE FROM deliveries WHERE account_id = $1 AND subject_id = ANY ($2)"
ORDERS = "DELETE FROM callback_orders WHERE account_id = $1 AND id = ANY ($2) AND state NOT IN ('waiting', 'dialling')"
DEALS = """
UPDATE deals SET client_id = NULL, title = '', url = '', ga_client_id = '', ym_client_id = '', history = '[]'
WHERE account_id = $1 AND client_id = $2"""
ERASE = """
UPDATE appeals a SET revision = $3, client_id = NULL, customer = NULL, email = NULL, person = NULL, details = NULL,
    caller = CASE direction WHEN 'outbound' THEN caller END,
    called = CASE WHEN direction = 'inbound' THEN called END,
    caller_raw = NULL, called_raw = NULL, recording = NULL, candidates = NULL, touches = NULL, credits = NULL,
    visitor = (SELECT w.name FROM unnest($4::text[], $5::text[]) AS w (visitor, name) WHERE w.visitor = a.visitor),
    session = (SELECT md5(a.session || w.name) FROM unnest($4::text[], $5::text[]) AS w (visitor, name)
               WHERE w.visitor = a.visitor),
    landing_page = substring(landing_page FROM '^[^?#]*'), page = substring(page FROM '^[^?#]*'),
    referrer = substring(referrer FROM '^[^?#]*'), click_id = NULL, title = NULL,
    ga_client_id = NULL, ga_session_id = NULL, ym_client_id = NULL, ym_counter = NULL, attribution_pending = false
WHERE account_id = $1 AND client_id = $2"""
IDENTITIES = "DELETE FROM client_identities WHERE account_id = $1 AND client_id = $2"
VISITORS = "DELETE FROM client_visitors WHERE account_id = $1 AND client_id = $2"
MERGES = "DELETE FROM client_merges WHERE account_id = $1 AND $2 IN (survivor_id, merged_id)"
CLIENT = "DELETE FROM clients WHERE account_id = $1 AND id = $2"
