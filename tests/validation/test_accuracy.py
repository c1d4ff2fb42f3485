"""All shipped measurements: no group's error grows past its margin, intervals hold what they say."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farthing import api
from farthing.evidence import outcomes
from farthing.evidence.accuracy import columns, grouped, source_weights
from farthing.records.accuracy import Validation

DOCS = Path(__file__).parents[2] / "docs"
LIMIT_S = 120.0
"""A minute on two cores; processor time, as others may share the machine."""
INTERVALS = 0.75, 0.88
"""Share of the measurements of a kind that its 80% intervals may hold."""


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_accuracy", DOCS / "generate_accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = generator()
BASELINE = json.loads((DOCS / "accuracy" / "baseline.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def found() -> Validation:
    start = sum(os.times()[:4])
    result = api.validate(jobs=os.cpu_count() or 1)
    assert sum(os.times()[:4]) - start < LIMIT_S
    return result


def test_no_group_regresses(found: Validation) -> None:
    now = {(row.kind, row.group): row for row in found.by_group}
    assert set(now) == {(row["kind"], row["group"]) for row in BASELINE}, "run make docs"
    worse = [
        f"{row['group']}: {now[row['kind'], row['group']].median_error:.3f}, was {row['median_error']:.3f}"
        for row in BASELINE
        if row["median_error"] is not None
        and not now[row["kind"], row["group"]].median_error <= PAGE.allowed(row["median_error"])
    ]
    assert not worse


def test_no_group_loses_rows(found: Validation) -> None:
    now = {(row.kind, row.group): row.coverage for row in found.by_group}
    fewer = [row["group"] for row in BASELINE if now[row["kind"], row["group"]] < row["coverage"] - 0.01]
    assert not fewer


def test_intervals_hold_what_they_say(found: Validation) -> None:
    kernels = {"gemm": "kernels", "attention": "kernels", "collective": "kernels"}
    judged = [one for one in found.comparisons if not one.reason and not one.fitted]
    for (kind,), mine in grouped(judged, lambda o: (kernels.get(o.case.kind, o.case.kind),)).items():
        weights = source_weights(mine)
        inside = sum(w for w, one in zip(weights, mine, strict=True) if one.low <= one.measured <= one.high)
        assert INTERVALS[0] <= inside <= INTERVALS[1], kind


def test_the_page_is_current() -> None:
    assert PAGE.group_table(BASELINE) in (DOCS / "accuracy.md").read_text("utf-8")


def test_the_outcomes_of_the_package_are_current(found: Validation) -> None:
    shipped, now = outcomes.columns(), columns(found.comparisons)
    data = outcomes.read()
    assert [data.reasons[place] for place in data.reason] == [one.reason for one in found.comparisons]
    assert [data.groups[place] for place in data.group] == [one.group for one in found.comparisons]
    assert [data.sources[place] for place in data.source] == [one.case.source for one in found.comparisons]
    assert (shipped.rate == now.rate).all()
    assert (shipped.fitted == now.fitted).all()
    assert np.array_equal(shipped.measured, now.measured, equal_nan=True)
    for name in ("predicted", "low", "high"):
        assert np.allclose(getattr(shipped, name), getattr(now, name), rtol=1e-6, atol=0, equal_nan=True), (
            f"{name}: run make docs"
        )
