"""The widget's time on the main thread of a page of 3,000 nodes, in Chromium.

A first visit from its first line to the number shown (the scan, the answer, the replacement in text and links, and what
promises left for later), and what each change of the page costs afterwards; by the browser's trace in time of the
thread, so that other processes' turns do not count. The best of some visits is told, for caches and clock rates are
others' too. The server answers as written here. How far anything moved on the page is told by the browser itself.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from functools import partial
from typing import NamedTuple

from playwright.sync_api import Browser, Page, Route, sync_playwright

from bench.row import Row
from callrouter.numbers import Number
from callrouter.pool.directory import Site
from callrouter.web.widget.script import script_of

NODES = 3000
LOADS = 9
CHANGES = 10
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
SHIFTS = """window.shifts = 0;
new PerformanceObserver((list) => { for (const each of list.getEntries()) shifts += each.value; })
  .observe({type: 'layout-shift', buffered: true});"""
LEAST = """(() => {
  const kept = localStorage.getItem('least'), places = [];
  const answered = (answer) => {
    for (const node of places) {
      node.data = node.data.replace('222-22-22', '111-22-33');
      if (node.parentNode.href) node.parentNode.href = 'tel:+' + answer.number;
    }
    localStorage.setItem('least', answer.token);
  };
  const seen = new IntersectionObserver((all) => {
    if (!all.some((each) => each.isIntersecting)) return;
    seen.disconnect();
    const body = JSON.stringify({url: location.href, kept});
    fetch('/v/1/visit', {method: 'POST', body, keepalive: true}).then((answer) => answer.json()).then(answered);
  });
  const start = () => {
    const walker = document.createTreeWalker(document.body, 4);
    for (let node; (node = walker.nextNode());) if (node.data.includes('222-22-22')) places.push(node);
    places.forEach((node) => seen.observe(node.parentNode));
    new MutationObserver(() => 0).observe(document, {childList: true, subtree: true, characterData: true});
  };
  document.readyState === 'loading' ? addEventListener('DOMContentLoaded', start) : start();
})()"""
"""The least that a script must do there: find a number of one spelling, see it come into view, ask, and write it."""
ENTRIES = {"EvaluateScript", "FunctionCall"}
"""What the browser calls a script's turns: the script itself, and what it left for later."""
PROMISES = "RunMicrotasks"
"""And what its promises did: the browser does not say whose they were, but nobody else has any on this page by then."""


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
        loads = [_visit(browser, script.body.decode()) for _ in range(LOADS)]
        floor = min(_visit(browser, LEAST).until_shown for _ in range(LOADS))
        browser.close()
    spent = [load.until_shown for load in loads]
    best, change, shift = min(spent), min(load.change for load in loads), max(load.shift for load in loads)
    turns = [load.longest for load in loads]
    return [
        size,
        Row(
            name=f"widget: longest turn on the main thread of a page of {NODES:,} nodes, best of {LOADS} first visits",
            ours=min(turns), peer=None, unit="ms", target=TARGET_MS, ratio=min(turns), at_most=True,
            note=f"median {statistics.median(turns):.1f} ms, worst {max(turns):.1f} ms",
        ),
        Row(
            name="widget: all turns of that visit, to the least that a script must do there", ours=best, peer=floor,
            unit="ms", target=None, ratio=best / floor,
            note=f"median {statistics.median(spent):.1f} ms, worst {max(spent):.1f} ms",
        ),
        Row(
            name="widget: main thread after a change of that page", ours=change, peer=None, unit="ms", target=None,
            ratio=change,
        ),
        Row(
            name="widget: layout shift of that page, worst visit", ours=shift, peer=None, unit="CLS", target=0.0,
            ratio=shift, at_most=True,
        ),
    ]  # fmt: skip


class Load(NamedTuple):
    until_shown: float
    longest: float
    change: float
    shift: float


def _visit(browser: Browser, script: str) -> Load:
    context = browser.new_context(user_agent=AGENT)
    try:
        return _load(browser, context.new_page(), script)
    finally:
        context.close()


def _load(browser: Browser, page_: Page, script: str) -> Load:
    """Milliseconds of the main thread's own time in which the script ran, as the browser traced it, and its CLS."""
    page_.add_init_script(SHIFTS)
    page_.route("**/*", partial(_answer, script))
    browser.start_tracing(page=page_, categories=["devtools.timeline", "v8", "v8.execute", "blink.user_timing"])
    with page_.expect_response("**/visit"):
        page_.goto(HOST)
    page_.wait_for_timeout(500)  # until it is painted; to ask the page would be work of its thread
    shift = page_.evaluate("performance.mark('shown'), shifts")
    page_.wait_for_function("document.querySelector('#n').textContent.includes('111-22-33')")
    for n in range(CHANGES):
        page_.evaluate(f"document.querySelector('article').innerHTML = '<p>{n}</p><p>{OWN}</p>'")
    page_.wait_for_timeout(200)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    shown = next(event["ts"] for event in events if event["name"] == "shown")
    ours = [event for event in events if event["name"] in ENTRIES and "/w/1.js" in json.dumps(event["args"])]
    promises = [event for event in events if event["name"] == PROMISES and event["ts"] > ours[0]["ts"] and not any(
        each["ts"] <= event["ts"] < each["ts"] + each["dur"] for each in ours)]  # fmt: skip
    here = ours[0]["pid"], ours[0]["tid"]
    first = [
        event["tdur"] for event in (*ours, *promises) if event["ts"] < shown and (event["pid"], event["tid"]) == here
    ]
    later = sum(event["tdur"] for event in ours if event["ts"] >= shown)
    return Load(sum(first) / 1000, max(first) / 1000, later / 1000 / CHANGES, shift)


def _answer(script: str, route: Route) -> None:
    url = route.request.url
    if url.endswith("/w/1.js"):
        route.fulfill(body=script, content_type="text/javascript")
    elif "/v/1/" in url:
        route.fulfill(body=json.dumps(ANSWER), content_type="application/json")
    else:
        route.fulfill(body=page(), content_type="text/html; charset=utf-8")
