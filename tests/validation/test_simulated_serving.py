"""Simulated first tokens beside measured ones: docs/simulation.csv holds all rows, and is current."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farthing.evidence.load import shipped
from farthing.evidence.serving_simulated import Row, median_errors, row_of
from farthing.evidence.split import is_fitted

DOCS = Path(__file__).parents[2] / "docs"


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_simulation", DOCS / "generate_simulation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCUMENT = generator()
MOST_USERS = 64
"""Of the rows that are played again here: more take seconds each."""


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(DOCUMENT.read_rows())


def test_the_median_error_is_below_the_bar_and_the_closed_forms(rows: list[Row]) -> None:
    simulated, closed = median_errors(rows)
    assert simulated <= 0.30
    assert simulated < closed


def test_no_row_was_fitted_and_none_is_left_out(rows: list[Row]) -> None:
    evidence = {case.id for case in shipped("serving_online") if not is_fitted(case)}
    assert not any(row.fitted for row in rows)
    assert {row.id for row in rows} <= evidence
    # Rows are left out that say too little of what ran, as by the closed form.
    assert len(rows) > 0.9 * len(evidence)


def test_the_rows_are_what_is_simulated_today(rows: list[Row]) -> None:
    cases = {case.id: case for case in shipped("serving_online")}
    few = [row for row in rows if row.users <= MOST_USERS][::16]
    assert len(few) > 20
    for row in few:
        again = row_of(cases[row.id])
        assert again is not None
        assert again.simulated_s == pytest.approx(row.simulated_s, rel=1e-4), row.id
        assert again.closed_form_s == pytest.approx(row.closed_form_s, rel=1e-4), row.id


def test_no_kind_of_worker_is_far_off(rows: list[Row]) -> None:
    kinds = {(row.engine, row.disaggregated) for row in rows}
    for kind in kinds:
        ratios = [row.simulated_s / row.measured_s for row in rows if (row.engine, row.disaggregated) == kind]
        assert 0.6 < float(np.exp(np.median(np.log(ratios)))) < 1.6, kind


def test_the_page_is_current(rows: list[Row]) -> None:
    assert DOCUMENT.PAGE.read_text("utf-8") == DOCUMENT.page(rows)
