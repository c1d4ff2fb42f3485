"""Tables hold what the rows hold, whole or not at all."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import farthing
from farthing.errors import FarthingError, InvalidInput
from farthing.sweeps.table import BATCH, check_table, pandas_frame, read_table, write_table

KINDS = {"question": int, "model": str, "ttft_s": float, "fits": bool, "tp": int}
ROWS: list[Any] = [
    [1, 'a "quoted", text', 0.1 + 0.2, True, None],
    [2, "größer", 1e300, False, 10**9],
    [3, None, None, None, -1],
]
FORMATS = ["csv", "parquet"]


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_is_read(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"out.{ending}"
    write_table(file, KINDS, iter(ROWS))
    assert list(read_table(file, KINDS)) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("ending", FORMATS)
def test_many_batches_and_none(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"out.{ending}"
    many = [[number, "x", number / 3, True, None] for number in range(2 * BATCH + 1)]
    write_table(file, KINDS, many)
    first = file.read_bytes()
    assert list(read_table(file, KINDS)) == many
    write_table(file, KINDS, many)
    assert file.read_bytes() == first
    write_table(file, KINDS, [])
    assert list(read_table(file, KINDS)) == []


def test_csv_text(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    write_table(file, KINDS, ROWS[:1])
    assert file.read_text("utf-8") == (
        'question,model,ttft_s,fits,tp\n1,"a ""quoted"", text",0.30000000000000004,true,\n'
    )


@pytest.mark.parametrize("ending", FORMATS)
def test_half_a_table_is_never_left(tmp_path: Path, ending: str) -> None:
    def broken() -> Any:
        yield ROWS[0]
        raise OSError(28, "No space left on device")

    file = tmp_path / f"out.{ending}"
    file.write_text("old")
    with pytest.raises(FarthingError, match="No space left on device"):
        write_table(file, KINDS, broken())
    assert file.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_tables_of_others_are_not_read(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match="other columns"):
        read_table(file, KINDS)
    file.write_text("")
    with pytest.raises(InvalidInput, match="other columns"):
        read_table(file, KINDS)
    with pytest.raises(InvalidInput, match="cannot read"):
        read_table(tmp_path / "gone.csv", KINDS)


@pytest.mark.parametrize("name", ["out", "out.txt", "out.csv.gz", "csv", ".csv"])
def test_endings(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"ends in .csv or .parquet"):
        check_table(tmp_path / name, force=False)


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "old.csv").write_text("old")
    for name, said in (("folder.csv", "folder"), ("old.csv", "--force"), ("gone/out.csv", "no folder")):
        with pytest.raises(InvalidInput, match=said):
            check_table(tmp_path / name, force=False)
    check_table(tmp_path / "old.csv", force=True)
    check_table(tmp_path / "OUT.CSV", force=False)


def test_parquet_without_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(InvalidInput, match=r"pip install 'farthing\[frames\]', or name a .csv file"):
        check_table(tmp_path / "out.parquet", force=False)
    check_table(tmp_path / "out.csv", force=False)


SWEEP = {
    "task": "inference",
    "models": ["llama-2-7b", "llama-2-70b"],
    "clusters": ["rtx-4090"],
    "plan": {"tp": [1, 3]},
}


def test_polars_frames() -> None:
    found = farthing.sweep(SWEEP)
    frame = found.frame("polars")
    assert frame.columns == list(found.columns)
    assert frame.rows(named=True) == found.rows
    assert frame["fits"].to_list() == [True, None, False, None]


def test_pandas_frames() -> None:
    found = farthing.sweep(SWEEP)
    if find_spec("pandas") is None:
        with pytest.raises(
            InvalidInput, match="a frame of pandas needs the package pandas: pip install pandas"
        ):
            found.frame("pandas")
        return
    frame = found.frame("pandas")
    assert list(frame.columns) == list(found.columns)
    assert frame["fits"].isna().tolist() == [False, True, False, True]
    assert frame["tp"].tolist() == [1, 3, 1, 3]
    assert len(pandas_frame(KINDS, [], "a frame")) == 0


def test_unknown_frames() -> None:
    with pytest.raises(InvalidInput, match="one of polars, pandas"):
        farthing.sweep(SWEEP).frame("arrow")  # type: ignore[arg-type]
