"""What people write about appeals: spam mark, tags, a comment. Two who write at once do not lose each other's words.

A note has a version, which changes with it; who changes a note names the version that he saw.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from callrouter.appeals.store import CHANNEL
from callrouter.db.connect import Connection

MOST_TAGS, LONGEST_TAG, LONGEST_COMMENT = 20, 64, 5000
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_TAG)]
Comment = Annotated[str, msgspec.Meta(max_length=LONGEST_COMMENT)]
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Note(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    spam: bool = False
    tags: tuple[str, ...] = ()
    comment: str = ""
    changed_at: datetime | None = None


class NoteChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not given stays as it is."""

    spam: bool | UnsetType = UNSET
    tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=MOST_TAGS)] | UnsetType = UNSET
    comment: Comment | UnsetType = UNSET


class Stale(Exception):
    """Somebody else changed it meanwhile; `now` is what stands there."""

    def __init__(self, now: Note) -> None:
        super().__init__("the note was changed meanwhile")
        self.now = now


def together(mine: str, theirs: str) -> str:
    """What two wrote at once: nobody's words are lost."""
    return mine if theirs in mine else theirs if mine in theirs else f"{theirs}\n\n{mine}"


async def note_of(conn: Connection, account: int, appeal: UUID) -> Note:
    return _note(await conn.fetchrow(READ, account, appeal))


async def change_note(
    conn: Connection, account: int, appeal: UUID, change: NoteChange, *, seen: str | None, user: int | None = None
) -> Note | None:
    """In a transaction. `seen`: the version that must stand there, None: whichever. None: no such appeal.

    Raises Stale.
    """
    if not await conn.fetchval(EXISTS, account, appeal):
        return None
    await conn.execute(MAKE, account, appeal, NEVER)
    before = _note(await conn.fetchrow(f"{READ} FOR UPDATE", account, appeal))
    if seen is not None and seen != before.version:
        raise Stale(before)
    row = await conn.fetchrow(
        WRITE, account, appeal, before.spam if change.spam is UNSET else change.spam,
        list(before.tags if change.tags is UNSET else _clean(change.tags)),
        before.comment if change.comment is UNSET else _text(change.comment), user,
    )  # fmt: skip
    notice = msgspec.json.encode({"account": account, "ids": [appeal]}).decode()
    await conn.execute("SELECT pg_notify($1, $2)", CHANNEL, notice)
    return _note(row)


async def tags_of(conn: Connection, account: int, most: int = 200) -> list[str]:
    """The account's tags, those used most first."""
    return [row["tag"] for row in await conn.fetch(TAGS, account, most)]


def _note(row: object) -> Note:
    if row is None:
        return Note(version="0")
    values = dict(row)  # type: ignore[call-overload]
    changed = values["changed_at"]
    version = str(round((changed - NEVER).total_seconds() * 1_000_000))
    return Note(
        version=version, spam=values["spam"], tags=tuple(values["tags"]), comment=values["comment"],
        changed_at=None if changed == NEVER else changed,
    )  # fmt: skip


def _clean(tags: tuple[str, ...]) -> list[str]:
    """Each once, without blanks around, in the order given."""
    return [tag for tag in dict.fromkeys(_text(tag).strip() for tag in tags) if tag]


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd")


EXISTS = "SELECT true FROM appeals WHERE account_id = $1 AND id = $2 LIMIT 1"
MAKE = """
INSERT INTO appeal_notes (account_id, appeal_id, changed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"""
READ = "SELECT spam, tags, comment, changed_at FROM appeal_notes WHERE account_id = $1 AND appeal_id = $2"
WRITE = """
UPDATE appeal_notes SET spam = $3, tags = $4, comment = $5, user_id = $6,
    changed_at = greatest(clock_timestamp(), changed_at + interval '1 microsecond')
WHERE account_id = $1 AND appeal_id = $2 RETURNING spam, tags, comment, changed_at"""
TAGS = """
SELECT tag FROM appeal_notes, unnest(tags) AS tag WHERE account_id = $1
GROUP BY tag ORDER BY count(*) DESC, tag LIMIT $2"""
