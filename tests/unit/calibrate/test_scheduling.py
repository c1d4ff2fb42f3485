"""Constants of the simulation: those that fit best are found, and written where they belong."""

from __future__ import annotations

import csv
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from farthing.calibrate import scheduling
from farthing.records.comparison import Case


class Here(Executor):
    """Calls at once."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def test_the_least_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = {"request_s": 0.09, "reading_kernel_s": 3e-5, "stream_s": 2e-4, "reading_factor": 1.2}

    def error(case: Case, constants: dict[str, float]) -> float:
        return sum(abs(constants[name] / value - 1) for name, value in truth.items())

    monkeypatch.setattr(scheduling, "_error", error)
    cases = [Case(file="", id=str(i), source="abc"[i % 3], kind="serving_online", cells={}) for i in range(7)]
    best, basis = scheduling._fitted(cases, Here())
    assert best == truth
    assert basis == "7 first tokens in closed loops: a, b, c"


def test_rows_are_of_fitted_sources_and_one_kind_of_worker() -> None:
    cases = scheduling._cases()
    assert len(cases) > 100
    assert len({case.id for case in cases}) == len(cases)
    assert all(case.cells.get("mode", "agg") == "agg" for case in cases)


def test_only_an_engines_own_rows_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "schedulers.csv"
    before = scheduling.TABLE.read_text("utf-8")
    table.write_text(before, "utf-8")
    monkeypatch.setattr(scheduling, "TABLE", table)
    found = {"request_s": 0.5, "reading_kernel_s": 2e-5, "stream_s": 1e-3, "reading_factor": 1.25}
    scheduling.write({"sglang": (found, "made up")})
    old, new = (
        {row["id"]: row for row in csv.DictReader(text.splitlines())}
        for text in (before, table.read_text("utf-8"))
    )
    assert {id for id in old if old[id] != new[id]} == {id for id in old if id.startswith("sglang")}
    row = new["sglang-large"]
    assert (row["request_ms"], row["reading_kernel_us"], row["stream_ms"]) == ("500", "20", "1")
    assert (row["reading_factor"], row["fitted_on"]) == ("1.25", "made up")
