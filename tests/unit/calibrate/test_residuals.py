"""Residuals: condensed, reproducible, and wide enough for sources that they have not seen."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from farthing.calibrate.residuals import residuals_of, residuals_text, widening_of, write
from farthing.catalog import residuals as catalogue
from farthing.estimate import interval as intervals
from farthing.evidence.validate import with_interval
from farthing.records.comparison import Case, Comparison, Likeness


def comparisons(sources: int = 12, each: int = 30) -> list[Comparison]:
    """Times whose errors have a part that a source's rows share."""
    random = np.random.default_rng(0)
    found = []
    for source in range(sources):
        shared = random.normal(0, 0.2)
        for row in range(each):
            found.append(
                Comparison(
                    case=Case(file="x", id=str(row), source=f"s{source}", kind="inference", cells={}),
                    quantity="tpot_ms",
                    measured=float(np.exp(shared + random.normal(0, 0.1))),
                    predicted=1.0,
                    likeness=Likeness(what="decode", engine="vllm", hardware="ada", regime="one card"),
                )
            )
    return found


def test_a_rate_too_high_is_a_time_too_short() -> None:
    case = Case(file="x", id="1", source="s", kind="inference", cells={})
    likeness = Likeness(what="decode")
    time = Comparison(case=case, quantity="t", measured=2.0, predicted=1.0, likeness=likeness)
    rate = Comparison(case=case, quantity="r", measured=0.5, predicted=1.0, likeness=likeness, rate=True)
    (both,) = residuals_of([time, rate])
    assert both.log_ratios == pytest.approx((0.693, 0.693))
    fitted = Comparison(case=case, quantity="t", measured=9.0, predicted=1.0, likeness=likeness, fitted=True)
    assert residuals_of([fitted]) == []


def test_the_table_does_not_depend_on_the_order_of_rows() -> None:
    rows = comparisons()
    mixed = rows.copy()
    random.Random(1).shuffle(mixed)
    assert residuals_text(residuals_of(rows)) == residuals_text(residuals_of(mixed))


def test_sources_left_out_fall_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = comparisons(40)
    (tmp_path / "efficiency").mkdir()
    write(rows, tmp_path)
    monkeypatch.setattr(catalogue, "DATA", tmp_path)
    catalogue.forget()
    intervals.forget()
    found = [with_interval(one, own=False) for one in rows]
    inside = np.mean([one.low <= one.measured <= one.high for one in found])
    catalogue.forget()
    intervals.forget()
    assert 0.75 <= inside <= 0.88
    # The shared part of a source's errors is what an interval of single rows would miss.
    assert found[0].high / found[0].low > np.exp(2 * 1.28 * 0.1)


def test_one_source_alone_is_not_trusted() -> None:
    assert widening_of(residuals_of(comparisons(1)), "decode") >= 2
