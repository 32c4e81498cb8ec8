"""Pages that change under the widget: late and re-rendered parts, frameworks, tabs, caches, prints, broken things."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.conftest import LEASED
from tests.browser.shop import OWN, Shop

Visitors = Callable[..., BrowserContext]
REPLACED = re.compile(LEASED)


def calls(page: Page, what: str) -> list[dict[str, object]]:
    """What the page tells the server from now on, as it is told."""
    told: list[dict[str, object]] = []

    def note(request: Request) -> None:
        if request.url.endswith(f"/{what}") and request.method == "POST":
            told.append(json.loads(request.post_data or ""))

    page.on("request", note)
    return told


def keeper(kept: list[object]) -> Callable[[object], None]:
    def keep(what: object) -> None:
        kept.append(what)

    return keep


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Let the browser go on until `condition` holds."""
    for _ in range(400):
        if condition():
            return
        page.wait_for_timeout(20)
    raise AssertionError("it never came to pass")


def test_late_and_changed_parts_are_replaced_before_they_are_painted(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<div id="app"></div><p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    painted = page.evaluate(
        f"""() => new Promise((done) => {{
          const app = document.querySelector('#app');
          app.innerHTML = '<section><h2>Контакты</h2><p>{OWN}</p><a href="tel:+74952222222">x</a></section>';
          requestAnimationFrame(() => done(app.textContent + app.querySelector('a').href));
        }})"""
    )
    assert re.fullmatch(rf"Контакты{LEASED}xtel:\+7495111\d{{4}}", painted)
    page.evaluate(f"document.querySelector('#app p').firstChild.nodeValue = 'т. {OWN}'")
    expect(page.locator("#app p")).to_have_text(re.compile(rf"^т. {LEASED}$"))
    page.evaluate("document.querySelector('#app a').href = 'tel:84952222222'")
    expect(page.locator("#app a")).to_have_attribute("href", re.compile(r"^tel:8495111\d{4}$"))


def test_a_number_of_the_same_length_shifts_nothing(shop: Shop, page: Page, tmp_path: Path) -> None:
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver((list) => shifts.push(...list.getEntries().map((each) => each.value)))
          .observe({type: 'layout-shift', buffered: true});"""
    )
    row = f"<p>Звоните <b>{OWN}</b> каждый день <a href='tel:+74952222222'>{OWN}</a></p>"
    page.goto(shop.page(f'<h1>Окна</h1><p id="n">{OWN}</p>{row * 12}'))
    page.screenshot(path=tmp_path / "before.png")
    expect(page.locator("#n")).to_have_text(REPLACED)
    page.screenshot(path=tmp_path / "after.png")
    page.wait_for_timeout(300)
    assert sum(page.evaluate("shifts")) == 0


def test_a_script_that_fights_for_its_text_does_not_hang_the_page(shop: Shop, page: Page) -> None:
    page.goto(
        shop.page(f"""<p id="n">{OWN}</p><p id="m"></p><script>
      new MutationObserver(() => {{ if (n.textContent !== '{OWN}') n.textContent = '{OWN}'; }})
        .observe(n, {{childList: true, characterData: true, subtree: true}});</script>""")
    )
    page.wait_for_timeout(500)
    page.evaluate("document.querySelector('#m').textContent = 'alive'")
    expect(page.locator("#m")).to_have_text("alive")
    assert page.evaluate("1 + 1") == 2


HYDRATES = f"""<div id="__nuxt"><p id="n">{OWN}</p><a id="a" href="tel:+74952222222">{OWN}</a></div><script>
  window.mismatches = 0;
  const expected = document.querySelector('#__nuxt').innerHTML;
  addEventListener('load', () => setTimeout(() => {{
    if (document.querySelector('#__nuxt').innerHTML !== expected) mismatches++;
    window.hydrated = true;
  }}, 20));
  window.rerender = () => document.querySelector('#__nuxt').innerHTML = expected;
</script>"""


def test_what_a_framework_takes_over_is_left_alone_until_it_has(shop: Shop, page: Page) -> None:
    url = shop.page(HYDRATES)
    for _ in range(2):  # on the second page the number is known from the first moment
        page.goto(url)
        expect(page.locator("#n")).to_have_text(REPLACED)
        assert page.evaluate("[hydrated, mismatches]") == [True, 0]
    page.evaluate("rerender()")
    expect(page.locator("#n")).to_have_text(REPLACED)
    expect(page.locator("#a")).to_have_attribute("href", re.compile(r"^tel:\+7495111"))


@pytest.mark.parametrize(("tag", "frames"), [("async ", 5), ("", 0)])
def test_the_second_page_shows_the_known_number_at_once(shop: Shop, page: Page, tag: str, frames: int) -> None:
    """With the usual tag as soon as the script has come from the cache; with a plain one before anything is painted."""
    seen = f"""<p id="n">{OWN}</p><script>
      window.painted = [];
      const look = () => {{ painted.push(n.textContent); painted.length < 30 && requestAnimationFrame(look); }};
      requestAnimationFrame(look);</script>"""
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    first = page.text_content("#n")
    page.add_init_script("window.fetch = () => new Promise(() => {})")  # no answer at all
    page.goto(shop.page(seen, script=False, head=shop.script().replace("async ", tag)))
    page.wait_for_function("painted.length >= 30")
    assert page.text_content("#n") == first
    assert page.evaluate("painted").count(OWN) <= frames


def test_a_single_page_site_tells_its_pages_with_their_titles(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    told = calls(page, "alive")
    page.evaluate("history.pushState({}, '', '/windows?colour=white'); document.title = 'Окна'")
    until(page, lambda: len(told) == 1)
    page.evaluate("history.replaceState({scroll: 1}, '', location.href); location.hash = '#contacts'")
    page.evaluate("location.hash = '#/doors'; document.title = 'Двери'")
    until(page, lambda: len(told) == 2)
    page.evaluate("history.go(-3)")
    until(page, lambda: len(told) == 3)
    assert [(str(each["url"]).removeprefix(shop.origin), each["title"]) for each in told[:2]] == [
        ("/windows?colour=white", "Окна"), ("/windows?colour=white#/doors", "Двери"),
    ]  # fmt: skip
    assert len({each["request"] for each in told}) == len(told)


def test_two_tabs_opened_at_once_are_one_visit_with_one_number(shop: Shop, visitor: BrowserContext) -> None:
    url = shop.page(f'<p id="n">{OWN}</p>')
    tabs = [visitor.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(url, wait_until="commit")
    for tab in tabs:
        tab.bring_to_front()
        expect(tab.locator("#n")).to_have_text(REPLACED)
    expect(tabs[0].locator("#n")).to_have_text(tabs[2].text_content("#n") or "")
    assert len({tab.text_content("#n") for tab in tabs}) == 1


def test_a_page_from_the_back_forward_cache_goes_on_with_its_visit(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p><script>window.kept = 1</script>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    number = page.text_content("#n")
    told = calls(page, "visit")
    for persisted in ("pagehide", "pageshow"):  # headless Chromium keeps no such cache under a debugger: its events
        page.evaluate(f"dispatchEvent(new PageTransitionEvent('{persisted}', {{persisted: true}}))")
    until(page, lambda: len(told) == 1)
    assert page.text_content("#n") == number
    assert told[0]["token"]
    assert told[0]["human"]


def test_a_prerendered_page_asks_for_nothing_until_it_is_shown(shop: Shop, page: Page) -> None:
    page.add_init_script(
        "Object.defineProperty(document, 'prerendering', {get: () => !window.shown, configurable: true})"
    )
    told = calls(page, "visit")
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    page.wait_for_timeout(600)
    assert told == []
    page.evaluate("window.shown = 1; document.dispatchEvent(new Event('prerenderingchange'))")
    expect(page.locator("#n")).to_have_text(REPLACED)


def test_what_is_printed_has_the_sites_own_number(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    number = page.text_content("#n")
    page.evaluate("addEventListener('beforeprint', () => { window.printed = n.textContent })")
    page.pdf()
    assert page.evaluate("window.printed") == OWN
    expect(page.locator("#n")).to_have_text(number or "")


def test_blocked_storage_costs_the_memory_and_not_the_number(shop: Shop, page: Page) -> None:
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
    )
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    told = calls(page, "alive")
    page.evaluate("history.pushState({}, '', '/two')")
    until(page, lambda: len(told) == 1)
    assert told[0]["token"]


def test_what_the_page_made_copies_of_does_not_outlive_the_number(shop: Shop, page: Page) -> None:
    """Such as a header that sticks, or a page that Turbo kept: nobody told the script that they were made."""
    both = f'<header><p>{OWN}</p><a href="tel:+74952222222">+7 495 222-22-22</a></header><p id="n">8 800 555-35-35</p>'
    page.goto(shop.page(both))
    expect(page.locator("#n")).to_have_text(re.compile(r"^8 495 111-0\d-\d\d$"))
    page.evaluate("document.body.append(document.querySelector('header').cloneNode(true))")
    page.evaluate("window.kept = document.body.cloneNode(true)")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    texts = "[...document.querySelectorAll('p, a')].map((each) => each.textContent + (each.getAttribute('href') || ''))"
    call = "+7 495 222-22-22tel:+74952222222"
    assert page.evaluate(texts) == [OWN, call, "8 800 555-35-35", OWN, call]
    page.evaluate("callrouter.consent(false), callrouter.consent(true)")
    expect(page.locator("#n")).to_have_text(re.compile(r"^8 495 111-0\d-\d\d$"))
    another = page.text_content("#n") or ""
    page.evaluate("document.documentElement.replaceChild(kept, document.body)")
    expect(page.locator("#n")).to_have_text(another)
    digits = another[-9:].replace("-", "")
    assert [each[-len(digits) :] for each in page.evaluate(texts) if "tel:" in each] == [digits, digits]


def test_offline_the_known_number_stays_as_long_as_it_is_his(shop: Shop, page: Page) -> None:
    page.clock.install()
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    page.context.set_offline(True)
    page.clock.fast_forward("25:00")
    expect(page.locator("#n")).to_have_text(REPLACED)
    page.clock.fast_forward("06:00")
    expect(page.locator("#n")).to_have_text(OWN)
    page.context.set_offline(False)
    page.clock.run_for(1000)
    expect(page.locator("#n")).to_have_text(REPLACED)


def test_a_blocked_or_failing_server_leaves_the_sites_own_number(shop: Shop, new_visitor: Visitors) -> None:
    def refuse(route: Route) -> None:
        route.abort("blockedbyclient")

    def fail(route: Route) -> None:
        route.fulfill(status=500, body="not JSON")

    for act in (refuse, fail):
        page = new_visitor().new_page()
        errors: list[object] = []
        page.on("pageerror", keeper(errors))
        page.route("**/v/**", act)
        page.goto(shop.page(f'<p id="n">{OWN}</p>'))
        page.mouse.move(5, 5)
        page.wait_for_timeout(700)
        assert page.text_content("#n") == OWN
        assert errors == []


def test_a_number_is_forgotten_when_the_clock_leaps(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    number = page.text_content("#n")
    page.route("**/visit", lambda route: None)
    for leap in (-3_600_000, 3_600_000):
        other = page.context.new_page()
        other.route("**/visit", lambda route: None)
        other.add_init_script(f"const now = Date.now; Date.now = () => now() + {leap}")
        other.goto(shop.page(f'<p id="n">{OWN}</p>'))
        other.wait_for_timeout(400)
        assert other.text_content("#n") == OWN
        other.unroute("**/visit")
        other.reload()
        expect(other.locator("#n")).to_have_text(number or "")
        other.close()


@pytest.mark.parametrize("stub", ["{q: []}", "{q: [['restore']]}"])
def test_a_page_may_call_before_the_script_is_there(shop: Shop, page: Page, stub: str) -> None:
    page.goto(shop.page(f'<script>callrouter = {stub}; callrouter.q.push(["replace"])</script><p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)


def test_a_tag_that_is_pasted_twice_runs_once(shop: Shop, page: Page) -> None:
    told = calls(page, "visit")
    page.goto(shop.page(f'{shop.script()}<p id="n">{OWN}</p>{shop.script()}'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    page.wait_for_timeout(400)
    assert len([each for each in told if not each["again"]]) == 1
