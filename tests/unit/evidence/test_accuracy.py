"""Statistics: sources count alike, fitted numbers do not count."""

from __future__ import annotations

import math

import pytest

from farthing.evidence.accuracy import by_group, by_source, statistics, table, validation
from farthing.records.comparison import Case, Comparison


def one(source: str, predicted: float, *, fitted: bool = False, reason: str = "") -> Comparison:
    return Comparison(
        case=Case(file="x.csv", id="1", source=source, kind="consumer", cells={}),
        quantity="decode_tok_s",
        measured=100.0,
        predicted=math.nan if reason else predicted,
        low=predicted * 0.8,
        high=predicted * 1.2,
        simple=200.0,
        reason=reason,
        group="decode",
        fitted=fitted,
    )


MANY = [one("many", 110.0)] * 98 + [one("few", 150.0), one("few", 150.0)]


def test_sources_count_alike() -> None:
    found = statistics(MANY)
    assert found["bias"] == pytest.approx(math.sqrt(1.1 * 1.5))
    assert found["inside_80"] == pytest.approx(0.5)
    assert found["sources"] == 2
    assert found["baseline_error"] == pytest.approx(0.0)


def test_fitted_numbers_do_not_count() -> None:
    found = statistics([*MANY, *[one("fitted", 100.0, fitted=True)] * 1000])
    assert (found["median_error"], found["evidence"], found["cases"]) == (pytest.approx(0.1), 100, 1100)
    alone = statistics([one("fitted", 130.0, fitted=True)])
    assert (alone["evidence"], alone["median_error"]) == (0, pytest.approx(0.3))


def test_coverage_counts_refusals() -> None:
    rows = [one("us", 110.0), one("us", 0.0, reason="unknown"), one("us", 0.0, reason="unknown")]
    found = validation(rows)
    assert (found.cases, found.predicted) == (3, 1)
    assert found.by_group[0].coverage == pytest.approx(1 / 3)
    assert [(row.reason, row.cases) for row in found.refusals] == [("unknown", 2)]


def test_nothing_predicted_is_no_crash() -> None:
    found = statistics([one("us", 0.0, reason="unknown")])
    assert found["coverage"] == 0
    assert math.isnan(found["median_error"])
    assert validation([]).by_group == ()


def test_rows_by_source_and_by_group() -> None:
    assert [row.source for row in by_source(MANY)] == ["many", "few"]
    assert [row.source for row in table(MANY)] == ["all", "many", "few"]
    assert len(by_group(MANY)) == 1
