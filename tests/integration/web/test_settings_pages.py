"""Sites, pools and static numbers, by the API and by their pages: who may set what, and what happens on mistakes."""

from __future__ import annotations

import html
import re
from typing import Any

import msgspec
import pytest
from argon2 import PasswordHasher

from callrouter.people import bounds, passwords
from callrouter.people.roles import SCOPES
from tests.integration.web.people import Browser, House, living

FURNISHED = """
ALTER TABLE sites ALTER COLUMN id RESTART WITH 50;
ALTER TABLE pools ALTER COLUMN id RESTART WITH 50;
INSERT INTO sites (account_id, id, name, domains, own_numbers, route) VALUES
    (2, 1, 'a.example', '{a.example}', '{74952222222}', 'sales'),
    (3, 2, 'b.example', '{b.example}', '{74953333333}', 'doors');
INSERT INTO pools (account_id, id, name) VALUES (1, 1, 'Tverskaya'), (1, 2, 'Spare'), (3, 3, 'Doors alone');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 1);
INSERT INTO numbers (number, pool_id) SELECT (74951110000 + n)::text, 1 FROM generate_series(0, 4) n;
"""
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


async def furnished(here: House, *who: str) -> list[Browser]:
    await here.postgres.execute(FURNISHED)
    return [await here.signed_in(each) for each in who]


def read_tag(page: str) -> str:
    """What says how the site stood when the form was shown."""
    found = re.search(r'name="read" value="([^"]+)"', page)
    assert found
    return html.unescape(found[1])


async def settings(browser: Browser, site: int = 1) -> dict[str, Any]:
    answer = await browser.api("GET", f"/sites/{site}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_a_site_is_changed_by_the_api_and_each_change_is_written_down(people_database: str) -> None:
    async def scene(here: House) -> None:
        (op,) = await furnished(here, "op")
        path, before = "/sites/1", await op.api("GET", "/sites/1")
        change: dict[str, Any] = {
            "name": "Shop", "domains": ["Пример.рф", "a.example"], "own_numbers": ["8 (495) 222-22-22"],
            "fallback": "8 800 555 35 35", "hold_minutes": 45, "unique_days": 30, "unique_scope": "site",
            "retention_days": 90, "select": ".phone", "leases_per_address": 0, "consent": "ask",
            "routing": [{"route": "manager", "caller": "managed"}, {"route": "leads", "channels": ["paid_search"]}],
            "pools": [{"name": "Spare", "priority": 1}, {"name": "Tverskaya", "regions": ["RU-MOS"]}],
            "callback": {"enabled": True, "hours": "mo-fr 09:00-18:00", "attempts": 2},
        }  # fmt: skip
        changed = await op.api("PATCH", path, change, **{"if-match": before.headers["etag"]})
        assert changed.status_code == 200, changed.text
        told = changed.json()
        assert told["domains"] == ["xn--e1afmkfd.xn--p1ai", "a.example"]
        assert (told["own_numbers"], told["fallback"]) == (["74952222222", "78005553535"], "78005553535")
        assert [each["name"] for each in told["pools"]] == ["Tverskaya", "Spare"]
        assert told["callback"]["hours"] == "mo-fr 09:00-18:00"
        for name in ("hold_minutes", "unique_days", "unique_scope", "retention_days", "select", "consent", "routing"):
            assert told[name] == change[name]
        again = await op.api("PATCH", path, {"hold_minutes": 5}, **{"if-match": before.headers["etag"]})
        assert again.status_code == 412, "somebody changed it meanwhile"
        back: dict[str, Any] = {
            "fallback": None,
            "unique_days": None,
            "retention_days": None,
            "pools": [],
            "routing": [],
        }
        cleared = (await op.api("PATCH", path, back)).json()
        assert [cleared[name] for name in back] == [None, None, None, [], []]
        assert (await op.api("PATCH", path, {})).json() == cleared
        assert [each for each in await here.actions() if each.startswith("site")] == ["site.change"] * 2
        details = await here.postgres.fetchval("SELECT details::text FROM audit WHERE action = 'site.change' LIMIT 1")
        assert '"hold_minutes": [30.0, 45.0]' in details
        wrong: tuple[Any, ...] = (
                     {"hold_minutes": 4}, {"hold_minutes": 1e9}, {"country": "ZZ"}, {"own_numbers": ["12"]},
                     {"route": "a,b"}, {"pools": [{"name": "None such"}]}, {"domains": []}, {"display": "#"},
                     {"own_numbers": ["74951110001"]}, {"callback": {"hours": "x"}}, {"retention_days": 0},
                     {"routing": [{"route": ""}]}, {"routing": [{"route": "a"}] * 51}, {"name": "\u202e"},
                     {"pools": [{"name": "Tverskaya"}] * 2}, {"callback": {"attempts": 99}})  # fmt: skip
        for body in wrong:
            assert (await op.api("PATCH", path, body)).status_code == 422, body
        unread: tuple[Any, ...] = (
            {"nothing": 1}, {"consent": "maybe"}, {"routing": [{"route": "a", "caller": "x"}]}, [], "x",
        )  # fmt: skip
        for body in unread:
            assert (await op.api("PATCH", path, body)).status_code == 400, body
        assert await settings(op) == cleared
        added = await op.api("POST", "/sites?account=3", {"domains": ["c.example"], "pools": [{"name": "Doors alone"}]})
        assert (added.status_code, added.json()["name"], added.json()["account"]) == (201, "c.example", 3)
        assert (await op.api("POST", "/sites", {"hold_minutes": 30})).status_code == 422

    living(people_database, scene)


def test_an_account_sets_its_own_sites_but_not_what_others_pay_for(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, max_, vic = await furnished(here, "ann", "max", "vic")
        told = await settings(ann)
        assert (told["pools"], told["shared_pools"]) == ([], 1), "the operator's pools have no names for others"
        ours = {"hold_minutes": 60, "own_numbers": ["74952222222", "74952222233"], "consent": "ask", "route": "sales"}
        assert (await ann.api("PATCH", "/sites/1", ours)).status_code == 200
        theirs: tuple[Any, ...] = (
                     {"pools": []}, {"leases_per_site": 0}, {"requests_per_second": 9}, {"callback": {"pbx": "x"}},
                     {"callback": {"countries": ["US"]}}, {"route": "doors"}, {"callback": {"route": "doors"}},
                     {"routing": [{"route": "doors"}]}, {"own_numbers": ["74953333333"]},
                     {"fallback": "74951110001"})  # fmt: skip
        for body in theirs:
            refused = await ann.api("PATCH", "/sites/1", body)
            assert refused.status_code == 422, body
            assert "Tverskaya" not in refused.text
        ruled = {"routing": [{"route": "sales", "caller": "new"}]}
        assert (await ann.api("PATCH", "/sites/1", ruled)).status_code == 200
        for method, sent in (("GET", None), ("PATCH", {"hold_minutes": 60})):
            assert (await ann.api(method, "/sites/2", sent)).status_code == 404, "another's is none"
        assert (await ann.api("GET", "/sites/2/seen")).status_code == 404
        assert (await max_.api("GET", "/sites/1")).status_code == 200
        assert (await max_.api("PATCH", "/sites/1", ours)).status_code == 403
        assert (await vic.api("GET", "/sites/1")).status_code == 403
        program = await here.token(2, *SCOPES)
        assert (await here.browser().api("PATCH", "/sites/1", {"pools": []}, **program)).status_code == 422
        assert (await here.browser().api("GET", "/pools/1", **program)).status_code == 404
        assert (await ann.api("POST", "/sites?account=3", {"domains": ["x.example"]})).status_code == 404
        mine = await ann.api("POST", "/sites", {"domains": ["new.example"]})
        assert (mine.status_code, mine.json()["account"]) == (201, 2)
        for path in ("/settings/sites/2", "/settings/pools/1", "/settings/pools/3", "/settings/numbers/74951110999"):
            assert (await ann.get(path)).status_code == 404, path
        page = (await ann.get("/settings/sites")).text
        assert "new.example" in page
        assert "b.example" not in page
        for path in ("/settings/pools", "/settings/pools/1/numbers", "/settings/pools/1/changes", "/settings/static",
                     "/settings/pools/1/remove", "/settings/static/1/end", "/settings/static/1/reopen"):  # fmt: skip
            assert (await ann.post(path, name="x", numbers="84951110000")).status_code == 403, path

    living(people_database, scene)


def test_an_account_adds_so_much_itself_and_its_operator_more(
    people_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few: dict[bounds.Bounded, int] = {"sites": 2, "users": 4, "tokens": 1}
    monkeypatch.setattr(bounds, "MOST", few)

    async def scene(here: House) -> None:
        ann, op = await furnished(here, "ann", "op")
        added: tuple[tuple[str, dict[str, Any]], ...] = (
            ("/sites", {"domains": ["{}.example"]}), ("/users", {"email": "{}@windows.example", "role": "viewer"}),
            ("/tokens", {"name": "{}", "scopes": ["appeals:read"]}),
        )  # fmt: skip
        for path, body in added:
            said = [msgspec.json.decode(msgspec.json.encode(body).replace(b"{}", word)) for word in (b"one", b"two")]
            assert (await ann.api("POST", path, said[0])).status_code == 201, path
            refused = await ann.api("POST", path, said[1])
            assert refused.status_code == 422, path
            assert "operator" in refused.text, path
            whose = ("?account=2", {}) if path == "/sites" else ("", {"account": 2})
            assert (await op.api("POST", path + whose[0], {**said[1], **whose[1]})).status_code == 201, path
        await ann.get("/settings/sites")
        page = await ann.post("/settings/sites", domain="three.example")
        assert page.status_code == 422
        assert "The account has 2 sites" in page.text

    living(people_database, scene)


def test_a_sites_country_does_not_widen_whom_orders_may_call(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, op = await furnished(here, "ann", "op")

        async def called(answer: Any) -> list[str]:
            assert answer.status_code in {200, 201}, answer.text
            return list(answer.json()["callback"]["countries"])

        assert await called(await ann.api("PATCH", "/sites/1", {"country": "US"})) == ["RU"]
        assert await called(await ann.api("PATCH", "/sites/1", {"country": "GB"})) == ["RU"]
        new = {"domains": ["new.example"], "country": "US"}
        assert await called(await ann.api("POST", "/sites", new)) == ["RU"]
        assert await called(await ann.api("POST", "/sites", {"domains": ["at.home.example"]})) == []
        assert await called(await op.api("PATCH", "/sites/2", {"country": "US"})) == [], "the operator knows"

    living(people_database, scene)


def test_a_form_keeps_what_was_typed_and_tells_each_mistake_at_its_field(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, op = await furnished(here, "ann", "op")
        page = (await ann.get("/settings/sites/1")).text
        read = read_tag(page)
        assert "/w/1.js" in page
        assert "Tverskaya" not in page
        sent = {"read": read, "hold_minutes": "soon", "own_numbers": f"12\n{HOSTILE}", "name": HOSTILE}
        refused = await ann.post("/settings/sites/1", **sent)
        assert refused.status_code == 422
        assert HOSTILE not in refused.text
        assert refused.text.count("&lt;script&gt;") >= 2, "what was typed is still there"
        assert 'id="hold_minutes-fault"' in refused.text
        right = {"hold_minutes": "45", "name": "Shop", "enabled asked": "yes"}
        assert (await op.api("PATCH", "/sites/1", {"quality_s": 20})).status_code == 200
        meanwhile = await ann.post("/settings/sites/1", read=read, quality_s="90", **right)
        assert meanwhile.status_code == 412
        assert 'value="45"' in meanwhile.text
        assert "Stored now: 20" in " ".join(re.sub("<[^>]+>", " ", meanwhile.text).split())
        fresh = read_tag(meanwhile.text)
        saved = await ann.post("/settings/sites/1", read=fresh, quality_s="90", **right)
        assert saved.status_code == 303
        told = await settings(ann)
        assert (told["hold_minutes"], told["name"], told["enabled"], told["quality_s"]) == (45.0, "Shop", False, 90.0)
        foreign = await ann.http.post("/settings/sites/1", data=right | {"form_key": "x"})
        assert foreign.status_code == 403
        trial = (await ann.get("/settings/sites/1?try=8+(495)+222-22-22")).text
        assert "8 (495) 000-00-00" in trial
        assert "Nothing here is one" in (await ann.get(f"/settings/sites/1?try={HOSTILE}")).text
        seen = await ann.get("/settings/sites/1/seen")
        assert "does not answer" in seen.text, "the lease store is away in this test"
        added = await ann.post("/settings/sites", domain="second.example", number="8 495 222-22-99")
        assert added.headers["location"].startswith("/settings/sites/")
        wrong = await ann.post("/settings/sites", domain="http://x", number="8 495 222-22-99")
        assert (wrong.status_code, "http://x" in wrong.text) == (422, True)

    living(people_database, scene)


def test_pools_are_filled_emptied_and_removed_on_their_pages(people_database: str) -> None:
    async def scene(here: House) -> None:
        (op,) = await furnished(here, "op")
        assert "does not answer" in (await op.get("/settings/pools")).text
        assert (await op.post("/settings/pools", name="Kazan")).status_code == 303
        assert (await op.post("/settings/pools", name="Kazan")).status_code == 422
        pool = await here.postgres.fetchval("SELECT id FROM pools WHERE name = 'Kazan'")
        path = f"/settings/pools/{pool}"
        refused = await op.post(f"{path}/numbers", numbers=f"8 843 200-00-00 – 8 843 200-00-09\n{HOSTILE}")
        assert refused.status_code == 422
        assert "8 843 200-00-00 – 8 843 200-00-09" in refused.text
        assert HOSTILE not in refused.text
        assert (await op.post(f"{path}/numbers", numbers="8 843 200-00-00 – 8 843 200-00-09")).status_code == 303
        page = await op.get(path)
        assert "+7 843 200-00-09" in page.text
        assert (await op.post(f"{path}/remove")).status_code == 422, "it has numbers"
        chosen = {f"number 7843200000{n}": "yes" for n in range(10)}
        assert (await op.post(f"{path}/changes", do="disable")).status_code == 422, "nothing is chosen"
        assert (await op.post(f"{path}/changes", do="disable", **{"number 78432000001": "yes"})).status_code == 303
        assert "set aside" in (await op.get(path)).text
        assert (await op.post(f"{path}/changes", do="move", **chosen)).status_code == 422, "where to?"
        assert (await op.post(f"{path}/changes", do="move", pool="Spare", **chosen)).status_code == 303
        assert (await op.post(f"{path}/remove")).status_code == 303
        assert (await op.get(path)).status_code == 404
        actions = await here.actions(1)
        assert [each for each in actions if each.startswith(("pool", "numbers"))] == [
            "pool.add", "numbers.import", "numbers.disable", "numbers.move", "pool.remove",
        ]  # fmt: skip
        ranged: dict[str, Any] = {
            "pool": "Spare",
            "ranges": [{"first": "78432010000", "last": "78432010099", "note": "block"}],
        }
        assert (await op.api("POST", "/numbers", ranged)).json() == {"changed": 100, "unchanged": 0}
        for ranges in ([], ranged["ranges"] * 2, [{"first": "78432010099", "last": "78432010000"}]):
            assert (await op.api("POST", "/numbers", {"pool": "Spare", "ranges": ranges})).status_code == 422
        told = (await op.api("GET", "/pools/2")).json()
        assert (told["active"], told["disabled"], told["now"]) == (109, 1, None)

    living(people_database, scene)


def test_a_static_number_is_bound_ended_and_put_in_force_again(people_database: str) -> None:
    async def scene(here: House) -> None:
        op, ann = await furnished(here, "op", "ann")
        form = {"number": "8 495 777-00-01", "site": "1", "channel": "newspaper", "source": HOSTILE}
        assert (await op.post("/settings/static", **form)).status_code == 303
        page = (await op.get("/settings/static")).text
        assert "+7 495 777-00-01" in page
        assert HOSTILE not in page
        assert "newspaper" in (await ann.get("/settings/static")).text
        binding = await here.postgres.fetchval("SELECT id FROM static_bindings")
        for wrong in ({"number": "12"}, {"site": "99"}, {"channel": " "}, {"since": "soon"}, {"until": "1999-01-01"}):
            refused = await op.post("/settings/static", **(form | {"number": "8 495 777-00-02"} | wrong))
            assert refused.status_code == 422, wrong
            assert 'class="fault"' in refused.text, wrong
        assert (await op.post("/settings/static", **form)).status_code == 422, "it is bound already"
        assert (await op.post(f"/settings/static/{binding}/end")).status_code == 303
        assert "ended binding" in (await op.get("/settings/static")).text
        assert (await op.post(f"/settings/static/{binding}/reopen")).status_code == 303
        assert await here.postgres.fetchval("SELECT valid_to FROM static_bindings") is None
        change = f"/static-bindings/{binding}"
        assert (await op.api("PATCH", change, {"until": "2000-01-01T00:00:00Z"})).status_code == 422
        assert (await op.api("PATCH", change, {"until": "2099-01-01T00:00:00"})).status_code == 422
        assert (await op.api("PATCH", change, {"until": "2099-01-01T00:00:00Z"})).status_code == 204
        assert (await op.api("PATCH", "/static-bindings/999", {"until": None})).status_code == 404
        assert (await ann.api("PATCH", change, {"until": None})).status_code == 403
        assert [each for each in await here.actions() if each.startswith("static")] == [
            "static.bind", "static.end", "static.bind", "static.end",
        ]  # fmt: skip
        number = await op.get("/settings/numbers/74957770001")
        assert "Bound to a channel" in number.text
        assert HOSTILE not in number.text
        found = await op.get("/settings/numbers?number=8+(495)+777-00-01")
        assert found.headers["location"] == "/settings/numbers/74957770001"
        for asked in ("x", "", "74950000099", "9" * 40):
            assert (await op.get(f"/settings/numbers?number={asked}")).status_code in (303, 404)

    living(people_database, scene)
