"""Lists of ids as people have them: plain, CSV of every kind, and damaged by spreadsheets."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmint import ids
from thingmint.errors import InputError
from thingmint.idlist import IdList, read_ids

ROOT = Path(__file__).resolve().parent.parent
ONE, TWO, THREE = "350457791791735879", "352656100367872", "dev_3"


def listed(folder: Path, content: str | bytes) -> IdList:
    file = folder / "ids.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_ids(file)


def texts(found: IdList) -> list[str]:
    return [one.text for one in found.ids]


@pytest.mark.parametrize(
    ("content", "heading"),
    [
        (f"{ONE}\n{TWO}\n", ""),
        (f"\ufeff{ONE}\r\n{TWO}", ""),
        (f"{ONE}\r{TWO}\r", ""),
        (f"# from the factory\n\n  {ONE}  \n\t\n#\n'{TWO}'\n", ""),
        (f'="{ONE}"\n"{TWO}"\n', ""),
        (f"imei\n{ONE}\n{TWO}\n", "imei"),
        (f"Serial\n{ONE}\n{TWO}\n", "Serial"),
        (f"\ufeffIMEI;place\r\n{ONE};Zürich\r\n{TWO};\r\n;\r\n", "IMEI"),
        (f"place\tDeviceID\n\t{ONE}\nBasel\t{TWO}\n", "DeviceID"),
        (f'"place","device_id"\n"Bern, West","{ONE}"\n"a ""b""","=""{TWO}"""\n', "device_id"),
        (f"id,imei\n1,{ONE}\n2,{TWO}\n", "imei"),
        (f"# note\n\nid,note\n{ONE},x\n{TWO}\n", "id"),
    ],
)
def test_every_way_to_write_the_same_two_ids(tmp_path: Path, content: str, heading: str) -> None:
    found = listed(tmp_path, content)
    assert (texts(found), found.bad, found.repeated, found.heading) == ([ONE, TWO], (), 0, heading)


def test_bad_lines_are_named_and_stop_nothing(tmp_path: Path) -> None:
    content = f'imei;place\n{ONE};a\na/O=Evil;b\n;c\n3,50458E+14;d\n{THREE};"e\nDEV_3;f\n{ONE};g\n{TWO};h\n'
    found = listed(tmp_path, content)
    assert texts(found) == [ONE, THREE, TWO]
    assert found.repeated == 1
    assert [(bad.number, bad.text) for bad in found.bad] == [
        (3, "a/O=Evil;b"), (4, ";c"), (5, "3,50458E+14;d"), (7, "DEV_3;f"),
    ]  # fmt: skip
    problems = [bad.problem for bad in found.bad]
    for problem, said in zip(problems, ("the rule", "'imei' is empty", "spreadsheet", "case alone"), strict=True):
        assert said in problem


def test_scientific_notation_is_damage_and_an_e_alone_is_not(tmp_path: Path) -> None:
    for heading in ("", "imei\n"):
        found = listed(tmp_path, f"{heading}3,50458E+14\n3.50458E+14\n1E5\n")
        assert texts(found) == ["1E5"]
        assert len(found.bad) == 2
        assert all("format the column as text" in bad.problem for bad in found.bad)


def test_a_row_with_a_column_too_many_is_not_guessed_at(tmp_path: Path) -> None:
    found = listed(tmp_path, f"place,imei\nBern, West,{ONE}\nBasel,{TWO},\n")
    assert texts(found) == [TWO]
    assert "more columns" in found.bad[0].problem


def test_a_bad_lines_text_is_short_and_printable(tmp_path: Path) -> None:
    found = listed(tmp_path, f"{ONE}\n".encode() + b"\x1b[31mM\xfcnchen\x00\n" + b"x" * 100_000 + b"\n" + TWO.encode())
    assert texts(found) == [ONE, TWO]
    assert found.bad[0].text == "\N{REPLACEMENT CHARACTER}[31mM\N{REPLACEMENT CHARACTER}nchen\N{REPLACEMENT CHARACTER}"
    assert found.bad[1].text == "x" * 79 + "…"
    assert found.bad[1].number == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no ids"),
        ("\ufeff\n# nothing\n\n", "holds no ids"),
        ("imei,place\n", "holds no ids"),
        (f"{ONE},Bern\n{TWO},Basel\n", "several columns, and none is named"),
        (f"{ONE}\n".encode("utf-16"), "UTF-16"),
        (f"{ONE}\n".encode("utf-16-be"), "UTF-16"),
        (b"\x7fELF\x02\x01\x01\x00\x00\n", "is not text"),
        (b"PK\x03\x04\x14\x00\x06\x00\n", "Excel workbook"),
        ("no id: at all\n" * 2000, "is no list of ids"),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_its_name(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        listed(tmp_path, content)
    assert "ids.csv" in caught.value.message
    assert "Things to try" in caught.value.render()


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "none", "does not exist")):
        with pytest.raises(InputError, match=said):
            read_ids(path)


@pytest.mark.parametrize("dash", [None, Path("-")])
def test_standard_input_is_read_and_stays_open(monkeypatch: pytest.MonkeyPatch, dash: Path | None) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(f"{ONE}\r\n{TWO}".encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert texts(read_ids(dash)) == [ONE, TWO]
    assert not stdin.buffer.closed
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="is closed"):
        read_ids(dash)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=70), max_size=8))
def test_nothing_is_lost_and_nothing_bad_comes_through(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    content = "id\n" + "".join(f"{line}\n" for line in lines)
    try:
        found = listed(tmp_path_factory.mktemp("ids"), content)
    except InputError as error:
        assert "no ids" in error.message or "UTF-16" in error.message
        return
    assert all(ids.problem(text) is None for text in texts(found))
    assert len({one.key() for one in found.ids}) == len(found.ids)
    for line in lines:
        if ids.problem(line) is None:
            known = {one.key() for one in found.ids}
            assert line.casefold() in known


def test_a_quarter_million_lines_cost_little_more_than_their_ids(tmp_path: Path) -> None:
    file = tmp_path / "ids"
    file.write_text(
        "".join(f"{number}\n" for number in range(350_000_000_000_000, 350_000_000_250_000)), encoding="ascii"
    )
    program = """
import resource, sys
from pathlib import Path
from thingmint.idlist import read_ids
from thingmint.ids import DeviceId
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform != "darwin" else 2**20)
start = peak()
if sys.argv[2] == "bare":
    kept = tuple(DeviceId(line.strip()) for line in Path(sys.argv[1]).open(encoding="ascii"))
else:
    kept = read_ids(Path(sys.argv[1])).ids
print(len(kept), peak() - start)
"""
    taken = {}
    for how in ("bare", "read"):
        argv = [sys.executable, "-c", program, str(file), how]
        done = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True)
        count, taken[how] = map(int, done.stdout.split())
        assert count == 250_000
    assert taken["read"] - taken["bare"] < 25, taken
