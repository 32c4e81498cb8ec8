"""`callrouter web`: the visitors' endpoint. Apart from the other processes, which do without its web server."""

from __future__ import annotations

import secrets
import socket
from datetime import timedelta
from pathlib import Path

import click

from callrouter import log
from callrouter.commands.options import config_option, loaded
from callrouter.config import address
from callrouter.ops import OTHER_PORT, CannotStart, needed
from callrouter.people.browser_sessions import Lifetime
from callrouter.pool.store import Lifetimes
from callrouter.scheduled.settings import outlet_of
from callrouter.web.openid.settings import settings_of
from callrouter.web.serve import serve
from callrouter.web.settings import WebSettings
from callrouter.web.visitor.guard import Limits
from callrouter.web.visitor.places import check_places


@click.command()
@config_option
def web(config_file: Path | None) -> None:
    """Run anywhere, in any number: the visitors' endpoint, which leases the numbers that pages show.

    Put a TLS proxy before it. Redis away: pages are answered with the site's own number, at once.
    """
    found = loaded(config_file)
    log.set_up(found.config.log.level, found.config.log.format)
    config = found.config
    host, port = address(config.web.listen)
    try:
        with needed(found.source.where("web.listen"), "the web cannot listen there", OTHER_PORT):
            socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
    settings = WebSettings(
        redis_url=config.redis.url,
        redis_cluster=config.redis.cluster,
        postgres_url=config.postgres.url,
        token_keys=((config.web.token_secret or secrets.token_hex(32)).encode(),),
        trusted_proxies=config.web.trusted_proxies,
        limits=Limits(
            requests_per_address=config.web.requests_per_address,
            requests_per_site=config.web.requests_per_site,
            forms_per_address=config.web.forms_per_address,
            forms_per_site=config.web.forms_per_site,
        ),
        geoip_file=_readable(config.web.geoip_file, found.source.where("web.geoip_file")),
        cut_addresses=config.web.cut_addresses,
        lifetimes=Lifetimes(window=config.attribution.window, affinity=config.pool.affinity),
        signed_in=Lifetime(timedelta(hours=config.web.session_idle_hours), timedelta(days=config.web.session_days)),
        openid=settings_of(config.oidc),
        journal=Path(config.web.journal) if config.web.journal else None,
        outlet=outlet_of(config),
        recordings=Path(config.web.recordings) if config.web.recordings else None,
        recordings_from=config.web.recordings_from,
        log_level=config.log.level,
        log_format=config.log.format,
    )
    serve(settings, host=host, port=port, workers=config.web.workers)


def _readable(file: str, where: str) -> Path | None:
    """The database of places, seen to be one; None if none is configured."""
    if not file:
        return None
    try:
        check_places(Path(file))
    except ValueError as error:
        raise click.ClickException(f"{where}: {error}") from None
    return Path(file)
