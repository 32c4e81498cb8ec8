"""Signing in by OpenID Connect, for tests: the application beside a provider, and browsers sent to it and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from callrouter.people import passwords
from callrouter.web.openid.settings import OpenIdSettings
from tests.integration.web.people import Browser, House, living
from tests.openid_provider import CLIENT, SECRET, Provider, serving

BACK = "/sign-in/openid/callback"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is of no interest here."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", quick)
    monkeypatch.setattr(passwords, "_nobody", quick.hash("nobody"))


@pytest.fixture(scope="module")
def serving_provider() -> Iterator[Provider]:
    with serving(Provider()) as found:
        found.registered |= {f"http://localhost{BACK}", f"https://calls.example{BACK}"}
        yield found


@pytest.fixture
def provider(serving_provider: Provider) -> Iterator[Provider]:
    serving_provider.honest()
    serving_provider.asked.clear()
    yield serving_provider
    assert serving_provider.faults == []


Scene = Callable[[House], Awaitable[None]]


def with_provider(database: str, provider: Provider, scene: Scene, **settings: Any) -> None:
    openid = OpenIdSettings(
        **{"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET, "label": "Corp ID"} | settings
    )
    living(database, scene, openid=openid)


async def sent_back(browser: Browser, *, wanted: str = "") -> str:
    """Begins, and is sent back by the provider; where to."""
    answer = await browser.get(f"/sign-in/openid?next={wanted}")
    assert answer.status_code == 303, answer.text
    async with httpx.AsyncClient(trust_env=False) as outside:
        back = await outside.get(answer.headers["location"])
    assert back.status_code == 302, back.text
    return back.headers["location"]


async def sign_in(browser: Browser, *, wanted: str = "") -> str:
    """Where he ends up."""
    answer = await browser.get(await sent_back(browser, wanted=wanted))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])
