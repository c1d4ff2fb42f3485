"""Comparing: order, refusals, intervals, what was fitted."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from farthing.catalog import residuals
from farthing.errors import InvalidInput
from farthing.estimate import interval
from farthing.evidence import validate
from farthing.evidence.load import read_cases
from farthing.evidence.outcome import LONGEST, refused
from farthing.evidence.validate import (
    check_range,
    checked,
    compare,
    identified,
    marked,
    problem_of,
    with_interval,
)
from farthing.records.comparison import Case, Comparison, Interval, Likeness

ROWS = "1,us,Q4_0,0,64,decode_tok_s,50\n2,us,odd,0,64,decode_tok_s,50\n3,us,broken,0,64,decode_tok_s,50\n"


def test_each_row_is_predicted_or_says_why_not(simple_reader: str) -> None:
    calls = []
    found = compare(
        read_cases(simple_reader + ROWS, "x.csv"), own=True, progress=lambda *done: calls.append(done)
    )
    assert [one.case.id for one in found] == ["1", "2", "3"]
    assert found[0].reason == ""
    assert found[1].reason == "the format is not known"
    assert "cannot be read" in found[2].reason
    assert found[2].quantity == "decode_tok_s"
    assert calls == [(3, 3)]


@pytest.mark.parametrize("cell", ["nan", "-5", "0", "inf", "", "fast", "1e999"])
def test_odd_numbers_become_reasons(simple_reader: str, cell: str) -> None:
    text = f"{simple_reader}1,us,Q4_0,0,64,decode_tok_s,{cell}\n2,us,Q4_0,0,64,decode_tok_s,50\n"
    odd, fine = compare(read_cases(text, "x.csv"), own=True)
    assert odd.reason
    assert math.isnan(odd.predicted)
    assert fine.reason == ""


def test_a_reader_that_is_wrong_is_no_reason(simple_reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(validate.MODULES, "consumer", "no_such_reader")  # type: ignore[arg-type]
    with pytest.raises(ModuleNotFoundError):
        compare(read_cases(simple_reader + ROWS, "x.csv"))


LIKENESS = Likeness(what="decode", engine="vllm", hardware="hopper", regime="one card")


def comparison(source: str = "us", **changes: float) -> Comparison:
    case = Case(file="x.csv", id="1", source=source, kind="inference", cells={})
    made = Comparison(case=case, quantity="tpot_ms", measured=20.0, predicted=20.0, likeness=LIKENESS)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_a_rate_turns_its_interval_around(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Interval(likeness=LIKENESS, low=0.5, high=4.0, cases=1, sources=1, basis="")
    monkeypatch.setattr(validate, "interval", lambda likeness, source: wide)
    time = with_interval(comparison(), own=True)
    rate = with_interval(dataclasses.replace(comparison(), rate=True), own=True)
    assert (time.low, time.high) == (10.0, 80.0)
    assert (rate.low, rate.high) == (5.0, 40.0)


def test_shipped_cases_are_judged_without_their_own_source(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    wide = Interval(likeness=LIKENESS, low=0.5, high=4.0, cases=1, sources=1, basis="")
    monkeypatch.setattr(validate, "interval", lambda likeness, source: (asked.append(source), wide)[1])
    with_interval(comparison("us"), own=False)
    with_interval(comparison("us"), own=True)
    assert asked == ["us", ""]


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_only_positive_numbers_are_compared(value: float) -> None:
    assert checked(comparison(predicted=value)).reason
    assert checked(comparison(measured=value)).reason
    assert not checked(comparison()).reason


def test_waiting_is_a_time_of_its_own() -> None:
    case = Case(file="x.csv", id="1", source="us", kind="serving_online", cells={})
    prefill = dataclasses.replace(LIKENESS, what="prefill")
    one = dataclasses.replace(comparison(), case=case, likeness=prefill)
    assert validate.marked(one, True).likeness.what == "first token under load"


def test_nothing_stays_in_memory_of_other_residuals() -> None:
    residuals.forget()
    interval.forget()
    assert interval.interval(Likeness(what="tea")).cases == 0


def test_a_row_without_a_measured_number_still_appears() -> None:
    header = "id,source,isl,osl,silicon_ttft_ms,silicon_tpot_ms\n"
    found = compare(read_cases(f"{header}1,us,8,8,,\n2,us,8,8,5,\n", "x.csv"), own=True)
    assert [(one.case.id, one.quantity) for one in found] == [
        ("1", "silicon_ttft_ms"),
        ("2", "silicon_ttft_ms"),
    ]
    assert found[0].reason == "no measured number is given"


def test_what_was_measured_is_kept_where_nothing_is_predicted(simple_reader: str) -> None:
    found = compare(read_cases(simple_reader + ROWS, "x.csv"), own=True)
    assert [one.measured for one in found] == [50.0, 50.0, 50.0]


def test_ids_that_the_catalogue_lacks_leave_the_word_to_names() -> None:
    cells = {"model_id": "llama-9", "accelerator_id": "rtx-4090", "model": "Llama-2-7B"}
    case = Case(file="x.csv", id="1", source="us", kind="consumer", cells=cells)
    assert identified(case).cells == cells | {"model_id": ""}
    known = dataclasses.replace(case, cells=cells | {"model_id": "llama-2-7b"})
    assert identified(known) is known


def test_columns_of_ones_own_may_hold_any_number() -> None:
    cells = {"run": "9" * 30, "notes": "9" * 30, "batch": "1"}
    check_range(Case(file="x.csv", id="1", source="us", kind="consumer", cells=cells))
    with pytest.raises(InvalidInput, match="batch is out of range"):
        check_range(
            Case(file="x.csv", id="1", source="us", kind="consumer", cells=cells | {"batch": "9" * 30})
        )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("division by zero"), "a number is out of range"),
        (ValueError("could not convert string to float: 'abc'"), "'abc' is not a number"),
        (ValueError("math domain error"), "a number is out of range"),
        (KeyError("tp"), "'tp'"),
        (ValueError(), "ValueError"),
    ],
)
def test_problems_in_words(error: Exception, words: str) -> None:
    assert problem_of(error) == words


def test_reasons_are_one_short_line() -> None:
    case = Case(file="x.csv", id="1", source="us", kind="consumer", cells={})
    found = refused(case, "value", 1.0, "no such\nthing: " + "x" * 1000).reason
    assert found.startswith("no such thing: xxx")
    assert len(found) == LONGEST


def test_broken_constants_are_no_fault_of_a_row(
    simple_reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path))
    (tmp_path / "mine.csv").write_text("garbage", "utf-8")
    with pytest.raises(InvalidInput, match="--forget"):
        compare(read_cases(simple_reader + ROWS, "x.csv"), own=True)


def test_counts_are_evidence_even_in_fitted_sources() -> None:
    source = "distributed-llama README (git history)"
    case = Case(file="x.csv", id="1", source=source, kind="cluster", cells={})
    one = Comparison(case=case, quantity="x", measured=1.0, predicted=1.0, likeness=Likeness(what="traffic"))
    assert not marked(one, own=False).fitted
    assert marked(dataclasses.replace(one, likeness=LIKENESS), own=False).fitted
