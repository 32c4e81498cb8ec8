"""What only a browser by itself can show: its back/forward cache, its prerendering, and React taking over a page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import CHROME, FLAGS, LEASED, NEEDED
from tests.browser.shop import OWN, Shop
from tests.browser.test_living_pages import calls, until
from tests.browser.test_sparing import counted

REPLACED = re.compile(LEASED)


@pytest.fixture
def as_shipped(chromium: Browser) -> Iterator[Page]:
    """A page of a browser whose back/forward cache nobody has switched off, as Playwright does."""
    with_cache = chromium.browser_type.launch(
        executable_path=shutil.which("chromium"), args=FLAGS.split(),
        ignore_default_args=["--disable-back-forward-cache"],
    )  # fmt: skip
    context = with_cache.new_context(user_agent=CHROME)
    context.set_default_timeout(20_000)
    yield context.new_page()
    with_cache.close()


def test_a_page_that_the_browser_itself_kept_goes_on_with_its_visit_and_number(shop: Shop, as_shipped: Page) -> None:
    page = as_shipped
    watched = "<script>addEventListener('pageshow', (event) => { window.kept = event.persisted; });</script>"
    page.goto(shop.page(f'<p id="n">{OWN}</p>{watched}'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    number = page.text_content("#n")
    told = calls(page, "visit")
    page.goto(shop.page("<p>Отзывы</p>"))
    until(page, lambda: len(told) > 0)
    before = len(told)
    page.go_back(wait_until="commit")
    page.wait_for_function("window.kept === true")
    expect(page.locator("#n")).to_have_text(number or "")
    until(page, lambda: len(told) > before)
    assert told[-1]["token"]
    assert told[-1]["human"]
    assert len({each["request"] for each in told}) == len(told), "each page is told once"


REPORTS = f"""<p id="n">{OWN}</p><script>
  const tell = (what) => fetch('/tells/' + what);
  tell(document.prerendering ? 'unseen' : 'seen');
  setTimeout(() => tell('waited'), 700);  // longer than the widget waits before it tells of a page
  document.addEventListener('prerenderingchange', () => tell('shown'));
  new MutationObserver(() => tell('number')).observe(n, {{characterData: true, childList: true, subtree: true}});
</script>"""


def test_a_page_that_the_browser_itself_prerenders_is_no_visit_until_it_is_shown(shop: Shop, tmp_path: Path) -> None:
    """In a browser by itself: one that is driven stops at each new page, and does not prerender."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip(NEEDED)
    ahead = shop.page(REPORTS).removeprefix(shop.origin)
    rules = json.dumps({"prerender": [{"urls": [ahead], "eagerness": "immediate"}]})
    go = f"<script>setInterval(async () => (await fetch('/go')).ok && (location.href = '{ahead}'), 100)</script>"
    first = shop.page(f'<script type="speculationrules">{rules}</script>{go}', script=False)
    visits, asked = counted(shop, r"\w+"), len(shop.asked)
    command = [program, *FLAGS.split(), f"--user-agent={CHROME}", f"--user-data-dir={tmp_path}", first]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        awaited(lambda: "/tells/waited" in shop.asked[asked:])
        assert counted(shop, r"\w+") == visits
        shop.page("", path="/go", script=False)
        awaited(lambda: "/tells/number" in shop.asked[asked:])
        told = [path for path in shop.asked[asked:] if path.startswith("/tells")]
        assert told[:4] == ["/tells/unseen", "/tells/waited", "/tells/shown", "/tells/number"]
        assert counted(shop, r"\w+") == visits + 1
    finally:
        process.terminate()
        process.wait(20)


def awaited(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def react(tmp_path_factory: pytest.TempPathFactory) -> str:
    """React as it is published, if npm can bring it."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("react")
    if not npm:
        pytest.skip("hydration by React itself is tested where npm is; what is alike is tested everywhere")
    command = [npm, "pack", "--silent", "react@18.3.1", "react-dom@18.3.1"]
    if subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("npm cannot bring React just now")
    scripts = []
    for name in ("react", "react-dom"):
        with tarfile.open(folder / f"{name}-18.3.1.tgz") as packed:
            found = packed.extractfile(f"package/umd/{name}.development.js")
            assert found is not None
            source = found.read().decode().replace("</script", "<\\/script")
            scripts.append(f"<script>{source}</script>")
    return "".join(scripts)


def test_react_finds_what_it_expects_when_it_takes_a_page_over(shop: Shop, page: Page, react: str) -> None:
    """Its development build complains of any difference between the page and what it would have made."""
    app = f"""<script src="/_next/static/main.js"></script>
      <div id="app"><main><p id="n">{OWN}</p><button>0</button></main></div>{react}<script>
      const draw = React.createElement;
      const App = () => {{
        const [count, grow] = React.useState(0);
        return draw('main', null, draw('p', {{id: 'n'}}, count < 2 ? '{OWN}' : 'т. {OWN}'),
          draw('button', {{onClick: () => grow(count + 1)}}, count));
      }};
      window.complaints = [];
      console.error = (...said) => complaints.push(said.join(' '));
      addEventListener('load', () => ReactDOM.hydrateRoot(document.querySelector('#app'), draw(App),
        {{onRecoverableError: (error) => complaints.push(String(error))}}));</script>"""
    url = shop.page(app)
    for _ in range(2):  # the second time the number is known from the first moment
        page.goto(url)
        expect(page.locator("#n")).to_have_text(REPLACED)
        assert page.evaluate("complaints") == []
    for count in ("1", "2", "3"):
        page.click("button")
        expect(page.locator("button")).to_have_text(count)
    expect(page.locator("#n")).to_have_text(re.compile(rf"^т. {LEASED}$"))
    assert page.evaluate("complaints") == []


def test_what_analytics_call_the_visitor_is_told_when_their_scripts_have_come(shop: Shop, page: Page) -> None:
    page.goto(shop.page(f'<p id="n">{OWN}</p>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    visits, told = calls(page, "visit"), calls(page, "alive")
    page.evaluate("document.cookie = '_ga=GA1.1.123456789.1700000000'")
    until(page, lambda: len(told) == 1)
    page.evaluate("document.cookie = '_ym_uid=17'; window.yaCounter42 = {}")
    until(page, lambda: len(told) == 2)
    page.wait_for_timeout(1500)
    assert (visits, len(told)) == ([], 2), "what has been told is not told again, and no lease is asked for"
    last = {name: told[1][name] for name in ("ga_client_id", "ym_client_id", "ym_counter", "url")}
    assert last == {"ga_client_id": "123456789.1700000000", "ym_client_id": "17", "ym_counter": "42", "url": None}


def test_json_ld_scripts_and_fields_stay_as_they_are(shop: Shop, page: Page) -> None:
    as_data = json.dumps({"@type": "Store", "telephone": "+7-495-222-22-22"})
    body = (
        f'<script type="application/ld+json" id="d">{as_data}</script><p id="n">{OWN}</p><input id="i" value="{OWN}">'
        f'<textarea id="t">{OWN}</textarea><select id="s"><option>{OWN}</select><p contenteditable id="e">{OWN}</p>'
        f'<p data-callrouter-skip id="k">{OWN}</p>'
    )
    page.goto(shop.page(body, head=f'<script type="application/ld+json" id="h">{as_data}</script>'))
    expect(page.locator("#n")).to_have_text(REPLACED)
    assert [page.text_content(f"#{each}") for each in "dhtsek"] == [as_data, as_data, OWN, OWN, OWN, OWN]
    assert page.input_value("#i") == OWN
