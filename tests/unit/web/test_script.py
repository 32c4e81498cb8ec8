"""The script as it is sent: small, and what it was written as."""

from __future__ import annotations

import gzip
import json
import re

import pytest

from callrouter.numbers import Number
from callrouter.pool.directory import Site, Widget
from callrouter.web.widget import shorten as shorten_module
from callrouter.web.widget.script import SOURCE, script_of
from callrouter.web.widget.shorten import shorten

BUDGET = 4000
"""Bytes of the script as it travels, gzipped."""
SITE = Site(id=12, account=2, own_numbers=(Number("74952222222"), Number("78005553535")))


def test_the_script_stays_within_its_budget() -> None:
    assert len(script_of(SITE).compressed) < BUDGET


def test_the_compressed_script_is_the_script_and_its_tag_follows_the_settings() -> None:
    found = script_of(SITE)
    assert gzip.decompress(found.compressed) == found.body
    assert found.etag != script_of(Site(id=13, account=2)).etag
    assert found == script_of(SITE)


def test_the_sites_settings_stand_in_it() -> None:
    baked = re.search(rb".*\}\)\((\{.*\})\);$", script_of(SITE).body)
    assert baked
    assert json.loads(baked[1]) == {
        "id": 12, "core": "4~9~5~2~2~2~2~2~2~2|8~0~0~5~5~5~3~5~3~5", "plans": [["7", "8"]],
        "prefix": r"(?:^|[^\d+])((\+?7~(\(0\))?|007|8)~|)$",
    }  # fmt: skip


def test_hostile_settings_stay_a_string() -> None:
    hostile = "</script><!--\u2028 'a' \"b\" \\ 😀"
    site = Site(id=1, account=2, widget=Widget(select=hostile))
    body = script_of(site).body
    assert b"</script" not in body
    assert b"<!--" not in body.rpartition(b"})({")[2]
    assert body.isascii()
    baked = re.search(rb".*\}\)\((\{.*\})\);$", body)
    assert baked
    assert json.loads(baked[1])["select"] == hostile


def test_nothing_is_left_that_a_strict_policy_forbids() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert not re.search(r"\beval\b|new Function|innerHTML|document\.write|\.style\b|document\.cookie\s*=", text)


@pytest.mark.parametrize(
    ("source", "short"),
    [
        ("const number = 1;\nlet other = number + 2;", "let e=1,t=e+2;"),
        ("// word\nconst text = 'const text // no';", "let e='const text // no';"),
        ("const test = (first, second) => first.length + second;", "let n=(e,t)=>e.length+t;"),
        ("const one = (it) => { go(it); }; const [x, yy] = one; f();", "let e=t=>{go(t)},[n,r]=e;f();"),
        ("let one = 1; go(one); let other = 2;", "let e=1;go(e);let t=2;"),
        ("if (x) { let one = 1; } let other = 2;", "if(x){let e=1}let t=2;"),
        ("const url = 1; f({url: url});", "let url=1;f({url:url});"),
        ("const { a, bcd } = thing; use(bcd);", "let{a,bcd}=thing;use(bcd);"),
        ("const pattern = /[/'\"]const\\//g;", "let e=/[/'\"]const\\//g;"),
        ("let count = 0; x = count++ + ++count;", "let e=0;x=e++ + ++e;"),
        ("try { go(); } catch (error) { say(error); } return true;", "try{go()}catch(e){say(e)}return!0;"),
        ("const window2 = {method() { return window2; }};", "let e={method(){return e}};"),
        (
            "((site) => { const one = (it) => it + site; const two = (node, text) => one(node, text); })(x);",
            "(t=>{let n=e=>e+t,i=(e,r)=>n(e,r)})(x);",
        ),
        (
            "((site) => { const one = (it) => text(it); const two = (text) => one(text); })(x);",
            "(n=>{let t=e=>text(e),r=e=>t(e)})(x);",
        ),
        ("for (const [key, value] of list) { if (key) value(); }", "for(let[e,t]of list){if(e)t()}"),
    ],
)
def test_shortening_keeps_the_meaning(source: str, short: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shorten_module, "LETTERS", "etnris")
    assert shorten(source) == short


def test_what_is_not_understood_is_refused() -> None:
    with pytest.raises(ValueError, match="no JavaScript"):
        shorten('const a = "double quotes";')
