"""Lines of the CEL file: read as Asterisk wrote them, refused with the line and the mend when anything else did."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.cel.rows import COLUMNS, CelReader, ForeignCel, Row, parse

GOOD = {
    "eventtype": "CHAN_START", "eventtime": "1795297343.426379", "CALLERID(num)": "79165551200",
    "CHANNEL(exten)": "74952222900", "CHANNEL(context)": "from-trunk", "CHANNEL(channame)": "PJSIP/carrier-00000000",
    "CHANNEL(uniqueid)": "pbx1-1795297343.0", "CHANNEL(linkedid)": "pbx1-1795297343.0",
}  # fmt: skip


def line(**changes: str) -> str:
    """A line as cel_custom writes it; a column's name may be given without `CHANNEL()` and `CALLERID()`."""
    full = {name.partition("(")[2].rstrip(")") or name: name for name in COLUMNS}
    values = GOOD | {full.get(name, name): value for name, value in changes.items()}
    return ",".join('"' + values.get(name, "").replace('"', '""') + '"' for name in COLUMNS)


def read(data: bytes, **settings: bool) -> list[Row]:
    reader = CelReader(**settings)
    return [*reader.feed(data), *reader.finish()]


def test_a_line_of_asterisk_is_read_with_all_its_columns() -> None:
    row = parse(line(eventtype="HANGUP", eventextra='{"hangupcause":16,"hangupsource":"","dialstatus":"ANSWER"}'))
    assert (row.type, row.stamp, row.at) == ("HANGUP", "1795297343.426379", 1795297343.426379)
    assert (row.number, row.exten, row.channel) == ("79165551200", "74952222900", "PJSIP/carrier-00000000")
    assert row.extra == {"hangupcause": "16", "hangupsource": "", "dialstatus": "ANSWER"}


@pytest.mark.parametrize("name", ['Пётр "Окна", ООО', "a\nb\nc", 'ends with a quote"', '","', ""])
def test_whatever_a_caller_is_named_the_row_is_read(name: str) -> None:
    (row, other) = read((line(name=name, num="1") + "\n" + line(num="2") + "\n").encode())
    assert (row.number, other.number) == ("1", "2")


def test_bytes_that_are_no_utf8_are_kept_visible() -> None:
    (row,) = read((line(num="X") + "\n").encode().replace(b'"X"', b'"\xcf\xf0\x00"'))
    assert row.number == "\\xcf\\xf0\\x00"


MASTER_CSV = (
    '"","79161234567","s","from-trunk","""Ivan"" <79161234567>","PJSIP/carrier-1","PJSIP/201-2","Dial","PJSIP/201",'
    '"2026-11-21 21:42:23","2026-11-21 21:42:25","2026-11-21 21:42:45",22,20,"ANSWERED","DOCUMENTATION","pbx1-1.0",""'
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (line() + ',""', "19 columns where 18 are wanted"),
        (line().rpartition(",")[0], "17 columns where 18 are wanted"),
        (line().replace('","', '";"'), "separated by semicolons"),
        (line().replace('"', ""), "not each column stands in double quotes"),
        (line().replace('","', '"\t"'), "separated by tabs"),
        (",".join(f'"{name}"' for name in COLUMNS), "Unix time"),
        (",".join(COLUMNS), "a head line"),
        (line(eventtime="2026-11-21 21:42:23.426379"), "has no time zone: remove dateformat"),
        (line(eventtime="1795297343"), "no Unix time with microseconds"),
        (line(eventtime=str(1795297343 - 3 * 3600) + ".426379"), "3.0 h from the one in the channel's id"),
        (line(eventtime=str(1795297343 + 5 * 3600 + 1800) + ".426379"), "5.5 h from the one in the channel's id"),
        (line(eventtime="2026-11-21T21:42:23+03:00"), "is written as text: remove dateformat"),
        ("\ufeff" + line(), "a mark of another program's"),
        (MASTER_CSV, "these are call detail records (CDR), and calls are told from CEL: include"),
        (MASTER_CSV.replace('"', "").replace(",", ";"), "these are call detail records"),
        (line(channame="from-trunk", context="PJSIP/carrier-1"), "the columns are not those"),
        (line(eventextra="79165551200"), "no eventextra"),
        ("not CEL at all", "not each column stands in double quotes"),
    ],
)  # fmt: skip
def test_a_foreign_file_is_refused_with_its_line_and_the_mend(text: str, complaint: str) -> None:
    with pytest.raises(ForeignCel) as refused:
        read((line() + "\n" + text + "\n").encode())
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("line 2: ")


def test_a_file_that_another_program_saved_as_utf_16_is_told_as_such() -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        with pytest.raises(ForeignCel, match=r"line 1: the file is UTF-16"):
            read((line() + "\n").encode(encoding))


def test_a_channel_that_got_its_id_from_elsewhere_refuses_no_file() -> None:
    """As callback orders' calls do, and whatever an Originate or ARI names: that clock is not the PBX's."""
    for uniqueid in ("pbx1-1795290143.99001000000000001", "1234567890.5", "pbx1-1795290000.7"):
        (row,) = read((line(uniqueid=uniqueid) + "\n").encode())
        assert row.uniqueid == uniqueid


@pytest.mark.parametrize("kind", ["dialect", "clock"])
def test_a_file_that_goes_on_in_another_way_is_refused_from_there_on(kind: str) -> None:
    """Also by a reader that passes over damage: nothing after it would be proven."""
    other = line().replace('","', '";"') if kind == "dialect" else line(eventtime="1795308143.426379")
    data = ((line() + "\n") * 30 + (other + "\n") * 300).encode()
    with pytest.raises(ForeignCel, match=r"line 3\d: .*(semicolons|another time zone)"):
        read(data, strict=False)


def test_after_a_power_cut_only_the_cut_line_is_lost() -> None:
    """What Asterisk appends next follows the half line without a line end."""
    whole = (line(num="1") + "\n").encode()
    data = whole + whole[:90] + (line(num="2") + "\n" + line(num="3") + "\n").encode()
    reader = CelReader(strict=False)
    assert [row.number for row in reader.feed(data)] == ["1", "2", "3"]
    assert reader.refused == 1
    assert reader.complaint_line == 2


def test_a_quote_that_is_never_closed_takes_no_other_row_with_it() -> None:
    data = (line(num="1").replace('"from-trunk"', '"from-trunk') + "\n" + line(num="2") + "\n").encode()
    assert [row.number for row in read(data, strict=False)] == ["2"]


@given(st.lists(st.integers(1, 40), max_size=30))
def test_where_the_file_is_cut_into_pieces_changes_nothing(cuts: list[int]) -> None:
    data = (line(name="Пётр\n2", num="1") + "\r\n" + line(num="2") + "\n" + line(num="3")).encode()
    reader, rows, at = CelReader(), [], 0
    for length in [*cuts, len(data)]:
        rows += list(reader.feed(data[at : at + length]))
        at += length
    assert [row.number for row in [*rows, *reader.finish()]] == ["1", "2", "3"]
    assert reader.held == 0


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_whatever_stands_in_the_file_rows_after_it_are_read(before: bytes, after: bytes) -> None:
    data = before + b"\n" + (line(num="1") + "\n").encode() + after + b"\n" + (line(num="2") + "\n").encode()
    numbers = [row.number for row in read(data, strict=False)]
    assert numbers[-1] == "2"
