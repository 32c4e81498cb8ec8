"""A call's steps and the proofs of completeness over HTTP: as the capture has them, to those who may see them."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
from click.testing import CliRunner

from callrouter.appeals.model import CallAppeal
from callrouter.appeals.proofs import keep
from callrouter.appeals.reconcile import Outcome
from callrouter.appeals.row import appeal_id
from callrouter.appeals.steps import Steps
from callrouter.commands.reconcile import reconcile
from callrouter.db.connect import connect, open_pool
from callrouter.web.api import examples
from callrouter.web.api.reconciliations import Proofs
from callrouter.web.settings import WebSettings
from tests.call_samples import a_resolution
from tests.integration.publishing import publish
from tests.integration.web.test_api_appeals import token
from tests.integration.web.test_visitor_calls import problem, settings, web
from tests.unit.calls.captures import SHAPES, capture, replayed

__all__ = ["settings"]

SVG = "{http://www.w3.org/2000/svg}"
SHAPE = next(name for name in SHAPES if "22/consultation_and_back.filtered" in name)
HOUR = timedelta(hours=1)


def customers_call() -> Any:
    recorded = capture(SHAPE)
    found = replayed(recorded.events, recorded.profile)
    return next(record for record in found if record.direction != "internal")


def test_the_steps_of_a_call_are_told_to_its_account_alone_as_text_and_as_a_picture(
    settings: WebSettings, tmp_path: Path
) -> None:
    call = customers_call()
    hostile = msgspec.structs.replace(
        call, linkedid="pbx1-1.9",
        steps=tuple(msgspec.structs.replace(step, who=step.who and "<script>&\"'\u202e" * 9) for step in call.steps),
    )  # fmt: skip

    async def scenario() -> None:
        async with await open_pool(settings.postgres_url) as pool:
            await publish(
                pool, tmp_path, [CallAppeal(call=each, resolution=a_resolution(2, 1)) for each in (call, hostile)]
            )
        path = f"/api/v1/appeals/{appeal_id(call.pbx, call.linkedid)}/steps"
        async with web(settings) as client:
            ours, theirs = await token(settings, "appeals:read"), await token(settings, "appeals:read", account=3)
            operator, blind = await token(settings, "appeals:read", account=1), await token(settings, "leases:read")
            answer = (await client.get(path, headers=ours)).json()
            assert answer == (await client.get(path, headers=operator)).json()
            told = msgspec.convert(answer, Steps, strict=False)
            assert [(step.kind, step.at, step.who) for step in told.steps] == [
                (step.kind, step.at, step.who) for step in call.steps
            ]
            assert told.steps[0].seconds == 0.0
            assert told.steps[-1].seconds == (call.ended_at - call.started_at).total_seconds()
            assert (told.status, told.complete) == (call.status, True)
            problem(await client.get(path, headers=theirs), 404, "unknown-call")
            problem(await client.get(f"/api/v1/appeals/{uuid.uuid4()}/steps", headers=ours), 404, "unknown-call")
            problem(await client.get(path, headers=blind), 403, "missing-scope")
            problem(await client.get(path + ".svg"), 401, "no-token")
            assert (await client.get("/api/v1/appeals/1/steps", headers=ours)).status_code == 404
            for one in (call, hostile):
                drawn = await client.get(f"/api/v1/appeals/{appeal_id(one.pbx, one.linkedid)}/steps.svg", headers=ours)
                assert (drawn.status_code, drawn.headers["content-type"]) == (200, "image/svg+xml")
                picture = ElementTree.fromstring(drawn.text)
                assert not picture.findall(f".//{SVG}script")
                words = " ".join(each.text or "" for each in picture.iter(f"{SVG}title"))
                assert "on hold" in words
                assert "talks with" in words
                assert len(picture.findall(f"{SVG}rect")) >= 5

    asyncio.run(scenario())


def test_what_comparing_found_is_told_to_the_operator_page_by_page(settings: WebSettings, tmp_path: Path) -> None:
    now = datetime.now(UTC)

    async def scenario() -> None:
        connection = await connect(settings.postgres_url)
        for n in range(5):
            found = Outcome(pbx=f"pbx{n % 2 + 1}", since=now - HOUR, until=now, pbx_calls=9, appeals=9 - n, missing=n,
                            repaired=n, missing_calls=["pbx1-1.1"][:n])  # fmt: skip
            await keep(connection, found)
        await keep(connection, Outcome(pbx="pbx1", since=now, until=now), failure="there is no callrouter.csv")
        await connection.execute("UPDATE reconciliations SET ran_at = ran_at - interval '2 years' WHERE id = 1")
        await keep(connection, Outcome(pbx="pbx9", since=now, until=now, extra=1, extra_calls=["pbx1-2.2"]))
        await connection.close()
        async with web(settings) as client:
            operator, ours = await token(settings, "appeals:read", account=1), await token(settings, "appeals:read")

            async def get(query: str = "") -> Proofs:
                answer = await client.get(f"/api/v1/reconciliations{query}", headers=operator)
                return msgspec.convert(answer.json(), Proofs, strict=False)

            whole = await get()
            assert [(one.pbx, one.missing, one.agree) for one in whole.items] == [
                ("pbx9", 0, False), ("pbx1", 0, False), ("pbx1", 4, True), ("pbx2", 3, True), ("pbx1", 2, True),
                ("pbx2", 1, True),
            ]  # fmt: skip
            assert whole.items[1].failure == "there is no callrouter.csv"
            assert whole.items[0].extra_calls == ("pbx1-2.2",)
            first = await get("?limit=4")
            assert (await get(f"?limit=4&cursor={first.next}")).items == whole.items[4:]
            assert {one.pbx for one in (await get("?pbx=pbx2")).items} == {"pbx2"}
            problem(await client.get("/api/v1/reconciliations", headers=ours), 403, "operator-only")
            for cursor in ("x", "-1", "9" * 30, "%00", "1.5"):
                answer = await client.get(f"/api/v1/reconciliations?cursor={cursor}", headers=operator)
                problem(answer, 400, "bad-cursor")

    asyncio.run(scenario())


def test_the_command_keeps_what_it_found_and_why_it_could_not_look(settings: WebSettings, tmp_path: Path) -> None:
    cel = tmp_path / "callrouter.csv"
    config = tmp_path / "callrouter.toml"
    config.write_text(f'[postgres]\nurl = "{settings.postgres_url}"\n[[pbx]]\nname = "pbx1"\ncel = "{cel}"\n')
    for line, *options in (("a;b\n",), ("",), ("", "--dry-run")):
        cel.write_text(line)
        CliRunner().invoke(reconcile, [f"--config={config}", *options])

    async def rows() -> list[Any]:
        connection = await connect(settings.postgres_url)
        try:
            return list(await connection.fetch("SELECT agree, failure FROM reconciliations ORDER BY id"))
        finally:
            await connection.close()

    failed, agreed = asyncio.run(rows())
    assert (failed["agree"], "line 1" in failed["failure"]) == (False, True)
    assert tuple(agreed) == (True, "")


def test_the_examples_of_the_description_are_true() -> None:
    msgspec.convert(examples.STEPS, Steps, strict=False)
    msgspec.convert(examples.PROOFS, Proofs, strict=False)
