"""``farthing validate`` as a user meets it."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

ROWS = (
    "a1,us,Q4_0,0,64,decode_tok_s,50\n"
    "a2,us,odd,0,64,decode_tok_s,50\n"
    "a3,them,Q4_0,0,64,decode_tok_s,nan\n"
    "a4,them,Q4_0,0,64,decode_tok_s,90\n"
)


@pytest.fixture
def runs(simple_reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path / "config"))
    file = tmp_path / "runs.csv"
    file.write_text(simple_reader + ROWS, "utf-8")
    return file


def test_every_number_gets_a_line(run: Any, runs: Path) -> None:
    found = run("validate", "runs.csv", "--predictions", "out.csv")
    assert (found.code, found.err) == (0, "")
    assert "2 of 4 measured numbers predicted" in found.out
    with open("out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("file", "id", "source", "kind", "quantity"),
        *("measured", "predicted", "low", "high", "reason"),
    ]
    assert [(row["id"], row["source"], bool(row["predicted"])) for row in rows] == [
        ("a1", "us", True),
        ("a2", "us", False),
        ("a3", "them", False),
        ("a4", "them", True),
    ]
    assert [bool(row["reason"]) for row in rows] == [False, True, True, False]
    assert {path.name for path in Path().iterdir()} == {"runs.csv", "out.csv"}


def test_json(run: Any, runs: Path) -> None:
    found = json.loads(run("validate", "runs.csv", "--json").out)
    assert (found["cases"], found["predicted"], found["coverage"]) == (4, 2, 0.5)
    mine = {row["source"]: row for row in found["by_source"]}
    assert mine["us"]["cases"] == 2
    assert mine["us"]["coverage"] == 0.5
    assert mine["us"]["file"] == "runs.csv"
    assert {"median_error", "p90_error", "bias", "baseline_error", "inside_80"} <= set(mine["us"])
    assert [row["group"] for row in found["by_group"]] == ["decode"]
    assert sum(row["cases"] for row in found["refusals"]) == 2
    assert [row["id"] for row in found["left_out"]] == ["a2", "a3"]


def test_a_header_alone(run: Any, runs: Path, simple_reader: str) -> None:
    runs.write_text(simple_reader, "utf-8")
    found = run("validate", "runs.csv", "--predictions", "out.csv")
    assert (found.code, found.err) == (0, "")
    assert "no measurements" in found.out
    assert Path("out.csv").read_text().count("\n") == 1
    assert json.loads(run("validate", "runs.csv", "--json").out)["cases"] == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"x,y\n1,2\n", b"\xff\xfe\x00", None],
    ids=["empty", "unknown header", "not UTF-8", "missing"],
)
def test_bad_files(run: Any, runs: Path, content: bytes | None) -> None:
    if content is None:
        runs.unlink()
    else:
        runs.write_bytes(content)
    found = run("validate", "runs.csv", "--predictions", "out.csv")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("farthing: error: ")
    assert found.err.count("\n") == 1
    assert "runs.csv" in found.err
    assert not Path("out.csv").exists()


def test_a_cut_row_is_named(run: Any, runs: Path) -> None:
    runs.write_text(runs.read_text("utf-8")[:-20], "utf-8")
    found = run("validate", "runs.csv")
    assert found.code == 2
    assert "row 4" in found.err


@pytest.mark.parametrize("out", ["gone/out.csv", ".", "runs.csv"])
def test_predictions_that_cannot_be_written(
    run: Any, runs: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farthing.api.validate", lambda *_, **__: pytest.fail("worked before it looked"))
    before = runs.read_text("utf-8")
    found = run("validate", "runs.csv", "--predictions", out)
    assert (found.code, found.out) == (2, "")
    assert runs.read_text("utf-8") == before


def test_an_interrupt_leaves_what_was_there(run: Any, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    Path("out.csv").write_text("old\n")
    monkeypatch.setattr("farthing.api.validate", interrupted)
    found = run("validate", "runs.csv", "--predictions", "out.csv")
    assert found.code == 130
    assert Path("out.csv").read_text() == "old\n"
    assert {path.name for path in Path().iterdir()} == {"runs.csv", "out.csv"}


def test_own_runs_are_kept_and_forgotten(run: Any, runs: Path, simple_reader: str) -> None:
    rows = "".join(f"{n},us,Q4_0,0,64,decode_tok_s,{30 + n}\n" for n in range(12))
    runs.write_text(simple_reader + rows, "utf-8")
    found = run("validate", "--mine", "runs.csv")
    assert (found.code, found.err) == (0, "")
    assert "before" in found.out
    assert "farthing validate --forget" in " ".join(found.out.split())
    assert Path("config/mine.csv").exists()
    assert json.loads(run("validate", "--mine", "runs.csv", "--json").out)["constants"]
    assert "dropped" in run("validate", "--forget").out
    assert not Path("config/mine.csv").exists()
    assert json.loads(run("validate", "--forget", "--json").out) == {"forgotten": False}


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs.csv", "--mine", "runs.csv"),
        ("--mine", "runs.csv", "--forget"),
        ("--mine", "runs.csv", "--predictions", "out.csv"),
    ],
)
def test_jobs_that_exclude_each_other(run: Any, runs: Path, arguments: tuple[str, ...]) -> None:
    assert run("validate", *arguments).code == 2


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no such devices")
def test_predictions_into_a_pipe(run: Any, runs: Path) -> None:
    reads, writes = os.pipe()
    with open(reads, encoding="utf-8") as told, open(writes, "wb", buffering=0):
        assert run("validate", "runs.csv", "--predictions", f"/dev/fd/{writes}").code == 0
        assert told.readline().startswith("file,id,source,kind,quantity,")
