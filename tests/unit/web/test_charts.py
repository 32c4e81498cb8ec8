"""Charts are well-formed, keep within their axis, have no style of their own, and no text of theirs becomes markup."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from callrouter.web.pages import charts

EVIL = '"><script>alert(1)</script>'


def parsed(picture: Markup) -> ET.Element:
    assert "style" not in picture
    return ET.fromstring(str(picture))


def test_hostile_names_stay_text() -> None:
    bars = [charts.Bar((3, 1), EVIL, f"/journal?q={EVIL}"), charts.Bar((0, 0), "", is_part=True)]
    picture = parsed(charts.bars(bars, [1, None], top=5, title=EVIL, desc=EVIL))
    assert picture.get("aria-label") == EVIL
    assert [each.text for each in picture.iter("title")] == [EVIL, None]
    assert picture.find("script") is None


def test_bars_stand_on_the_ground_one_on_another_and_none_is_higher_than_the_axis() -> None:
    picture = parsed(charts.bars([charts.Bar((3, 2), "a")], [], top=5, title="t", desc="d"))
    low, high = (each for each in picture.iter("rect") if "hit" not in str(each.get("class")))
    assert float(low.get("y", 0)) + float(low.get("height", 0)) == charts.HEIGHT
    assert float(high.get("y", 0)) + float(high.get("height", 0)) == float(low.get("y", 0))
    assert float(high.get("y", 0)) == 0


def test_a_line_is_broken_where_nothing_is_known() -> None:
    points = [charts.Point(0.5, 0.4, 0.6), charts.Point(None), charts.Point(0.2, 0.1, 0.3, vague=True)]
    picture = parsed(charts.band(points, top=1, title="t", desc="d"))
    (line,) = (each.get("d", "") for each in picture.iter("path") if each.get("class") == "now")
    assert len(re.findall("M", line)) == 2
    assert len(list(picture.iter("polygon"))) == 2


@pytest.mark.parametrize(("most", "top"), [(0, 1), (0.03, 0.05), (7, 10), (11, 20), (240, 250), (1000, 1000)])
def test_an_axis_ends_with_a_round_number(most: float, top: float) -> None:
    assert charts.ceiling(most) == pytest.approx(top)


def test_no_data_is_still_a_picture() -> None:
    for picture in (
        charts.bars([], [], top=1, title="t", desc="d"), charts.band([], top=1, title="t", desc="d"),
        charts.spark([]), charts.rail(2), charts.whisker(0, 0, 1, top=1, vague=True),
    ):  # fmt: skip
        parsed(picture)
