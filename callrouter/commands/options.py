"""What commands share: the `--config` option, what people type, Postgres for one command, JSON on stdout."""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import click
import msgspec
import phonenumbers

from callrouter.configfile import ConfigError, Loaded, load
from callrouter.db.connect import TROUBLE
from callrouter.numbers import NotANumber, Number, parse_number
from callrouter.pool.inventory import Refused
from callrouter.pool.site_change import domain_in

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CALLROUTER_CONFIG",
    help="The TOML configuration (or $CALLROUTER_CONFIG); without it, defaults and $CALLROUTER_… alone.",
)


def given_country(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise click.BadParameter(f"{value!r} is no country; write two letters, as RU")
    return value.upper()


country_option = click.option(
    "--country", default="RU", show_default=True, callback=given_country, help="Whose national spelling (ISO 3166)."
)

CONNECT_SECONDS = 5.0
PICTURES = (".svg", ".png")
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Times beyond are slips of the pen, and near year 1 and 9999 no other zone can tell them."""

T = TypeVar("T")


class Real(click.FloatRange):
    """A number in a range; `nan`, which is neither in nor out of it, is none."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


class Share(Real):
    """A part of a whole, 0 and perhaps 1 left out. Who writes per cent is told how."""

    def __init__(self, *, max_open: bool = False) -> None:
        super().__init__(0, 1, min_open=True, max_open=max_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            percent = float(str(value).removesuffix("%"))
        except ValueError:
            percent = math.nan
        if 1 < percent <= 100 or (str(value).endswith("%") and percent >= 0):  # noqa: PLR2004 - of a hundred
            self.fail(f"{value!r} is no share: write {percent / 100:g} for {percent:g} %", param, ctx)
        return super().convert(value, param, ctx)


class Limit(click.ParamType[int | str]):
    """A whole number, at least so many; `default` takes back what was set."""

    name = "limit"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == "default":
            return "default"
        if not re.fullmatch(r"[0-9]{1,9}", str(value)) or int(value) < self._least:
            self.fail(f"{value!r} is neither a whole number of at least {self._least} nor 'default'", param, ctx)
        return int(value)


class Minutes(click.ParamType[timedelta]):
    """A span of time that people count in minutes."""

    name = "minutes"
    LONGEST = 60 * 24 * 365

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            minutes = float(value)
        except ValueError:
            minutes = math.nan
        if not 0 <= minutes <= self.LONGEST:
            self.fail(f"{value!r} is no number of minutes between 0 and {self.LONGEST}", param, ctx)
        return timedelta(minutes=minutes)


def given_domain(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """As browsers name it in `Origin`: пример.рф is xn--e1afmkfd.xn--p1ai there."""
    if value is None:
        return None
    try:
        return domain_in(value)
    except Refused as error:
        raise click.BadParameter(str(error)) from None


def given_domains(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    given = (given_domain(context, parameter, value) for value in values)
    return tuple(dict.fromkeys(domain for domain in given if domain))


def given_name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise click.BadParameter("a name is wanted")
    return value.strip()


def loaded(config_file: Path | None) -> Loaded:
    """The configuration, or the command's end with every complaint about it."""
    try:
        return load(config_file, os.environ)
    except ConfigError as error:
        raise click.ClickException(f"the configuration cannot be used\n{error}") from None


def with_postgres(config_file: Path | None, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Run `work` on one connection; a server that cannot be reached is told with the line that names it."""
    found = loaded(config_file)

    async def run() -> T:
        try:
            conn = await asyncpg.connect(found.config.postgres.url, timeout=CONNECT_SECONDS)
        except TROUBLE as error:
            place = found.source.where("postgres.url")
            raise click.ClickException(f"{place}: Postgres cannot be reached: {str(error) or 'no answer'}") from None
        try:
            return await work(conn)
        except asyncpg.UndefinedTableError:
            raise click.ClickException("the database has no tables yet; run: callrouter db migrate") from None
        finally:
            await conn.close()

    return asyncio.run(run())


def inventory_work(config_file: Path | None, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """The same for a change of the inventory, whose refusal is told as it is."""
    try:
        return with_postgres(config_file, work)
    except Refused as error:
        raise click.ClickException(str(error)) from None


def print_rows(config_file: Path | None, query: str) -> None:
    """One JSON object a line; what is JSON in Postgres is so in it."""

    async def rows(conn: asyncpg.Connection) -> list[asyncpg.Record]:
        await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=msgspec.json.decode)
        return await conn.fetch(query)

    for row in with_postgres(config_file, rows):
        print_json(dict(row))


def print_json(value: object) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def given_number(text: str, country: str) -> Number:
    """A number from the command line, in any spelling."""
    try:
        return parse_number(text, country)
    except NotANumber as error:
        raise click.ClickException(str(error)) from None


def given_time(text: str | None) -> datetime | None:
    """A time from the command line; without an offset it is UTC."""
    if text is None:
        return None
    try:
        at: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or not FIRST_YEAR <= at.year < LAST_YEAR:
        raise click.ClickException(f"{text!r} is no time; write 2026-01-31T12:00:00+03:00")
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def given_picture(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """A file to draw to, refused before the work that the picture shows."""
    if value is None:
        return None
    if value.suffix not in PICTURES:
        raise click.BadParameter(f"{value} should end in {' or '.join(PICTURES)}")
    return given_target(_context, _parameter, value)


def given_target(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """A file to write to, refused before the work that it is to hold."""
    if value is None:
        return None
    folder = value.absolute().parent
    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {folder}")
    if not os.access(value if value.exists() else folder, os.W_OK):
        raise click.BadParameter(f"{value} cannot be written")
    return value


def stop_as_by_hand() -> None:
    """Let SIGTERM do as Ctrl-C does: a command that has started a server leaves none behind."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


@contextmanager
def drawing() -> Iterator[None]:
    """A disk that is full by now is told in a line. Draw after the answer is printed, so that it is not lost."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"the picture cannot be written: {error}") from None
