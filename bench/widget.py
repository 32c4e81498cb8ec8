"""The widget's time on the main thread of a page of 3,000 nodes, in Chromium.

A first visit from its first line to the number shown: the scan, the answer, the replacement in text and links, and ten
changes of the page afterwards. Each of the script's entries (itself, observers, timers, listeners, answers) is timed in
the page; the best of some visits counts, for in the others another process had its turn within. The server's answers
are canned: its time is no time of the page.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys

from playwright.sync_api import Page, Route, sync_playwright

from bench.row import Row
from callrouter.numbers import Number
from callrouter.pool.directory import Site
from callrouter.web.widget.script import script_of

NODES = 3000
LOADS = 9
TARGET_MS = 5.0
BUDGET_BYTES = 4096
OWN = "8 (495) 222-22-22"
SITE = Site(id=1, account=2, own_numbers=(Number("74952222222"), Number("78005553535")))
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
    " --disable-sync --disable-blink-features=AutomationControlled"
)
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36"
HOST = "http://shop.localhost"
ANSWER = {
    "number": "74951112233", "display": "8 (495) 111-22-33", "token": "t", "hold_s": 1800, "session": "s",
    "visitor": "v" * 16, "leased": True, "retry_s": None,
}  # fmt: skip
CARD = (
    "<article><h3>Окно {n}</h3><p>Два стекла, <b>{n}</b> × 140 см, белое</p><ul><li>Цена: {n} 900 ₽</li><li>Артикул"
    ' 40-{n}-17</li></ul><a href="/window/{n}">Подробнее</a><span>В наличии</span></article>'
)
CALL = f'<footer><p>Звоните {OWN}</p><a href="tel:+74952222222">{OWN}</a></footer>'
NODES_OF_CARD = 8
ISOLATED = {
    "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
}  # fmt: skip
"""A page of its own has a clock of 5 µs instead of 100."""


def page() -> str:
    """About 3,000 elements, as many texts again, and ten footers with the number."""
    cards = "".join(
        CARD.format(n=n) + (CALL if n % (NODES // NODES_OF_CARD // 10) == 0 else "")
        for n in range(NODES // NODES_OF_CARD)
    )
    return (
        f'<!doctype html><html lang="ru"><meta charset="utf-8"><title>Окна</title>'
        f'<script async src="{HOST}/w/1.js"></script><body><p id="n">{OWN}</p>{cards}'
    )


def run() -> list[Row]:
    script = script_of(SITE)
    size = Row(
        name="widget: script, gzipped", ours=len(script.compressed), peer=None, unit="bytes", target=BUDGET_BYTES,
        ratio=len(script.compressed), at_most=True,
    )  # fmt: skip
    program = shutil.which("chromium")
    if not program:
        print("needs Debian's chromium: apt-get install chromium", file=sys.stderr)
        return [size]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS.split())
        spent = []
        for _ in range(LOADS):
            context = browser.new_context(user_agent=AGENT)
            spent.append(_spent(context.new_page()))
            context.close()
        browser.close()
    best = min(spent)
    return [
        size,
        Row(
            name=f"widget: main thread of a page of {NODES:,} nodes, best of {LOADS} first visits", ours=best,
            peer=None, unit="ms", target=TARGET_MS, ratio=best, at_most=True,
            note=f"median {statistics.median(spent):.1f} ms, worst {max(spent):.1f} ms",
        ),
    ]  # fmt: skip


TIMED = """
window.spent = 0;
const timed = (act) => function (...what) {
  const began = performance.now();
  try { return act.apply(this, what); } finally { spent += performance.now() - began; }
};
for (const name of ['MutationObserver', 'IntersectionObserver']) {
  const Own = window[name];
  window[name] = class extends Own { constructor(act) { super(timed(act)); } };
}
const wait = window.setTimeout, listen = EventTarget.prototype.addEventListener, fetched = window.fetch;
window.setTimeout = (act, ...rest) => wait(timed(act), ...rest);
EventTarget.prototype.addEventListener = function (name, act, ...rest) {
  return listen.call(this, name, timed(act), ...rest);
};
window.fetch = (...what) => fetched(...what).then((answer) => ({
  ok: answer.ok, json: () => ({then: (act, failed) => answer.json().then(timed(act), failed)})
}));
"""
"""Runs before the page: whatever the script leaves for later is timed when it runs."""


def _spent(page_: Page) -> float:
    """Milliseconds in which the script ran."""
    page_.route("**/*", _answer)
    page_.add_init_script(TIMED)
    page_.goto(HOST)
    page_.wait_for_function("document.querySelector('#n').textContent.includes('111-22-33')")
    for n in range(10):
        page_.evaluate(f"document.querySelector('article').innerHTML = '<p>{n}</p><p>{OWN}</p>'")
    page_.wait_for_timeout(200)
    spent: float = page_.evaluate("spent")
    return spent


def _answer(route: Route) -> None:
    url = route.request.url
    if url.endswith("/w/1.js"):
        body = f"{{let began = performance.now();{script_of(SITE).body.decode()}spent += performance.now() - began}}"
        route.fulfill(body=body, content_type="text/javascript", headers=ISOLATED)
    elif "/v/1/" in url:
        route.fulfill(body=json.dumps(ANSWER), content_type="application/json", headers=ISOLATED)
    else:
        route.fulfill(body=page(), content_type="text/html; charset=utf-8", headers=ISOLATED)
