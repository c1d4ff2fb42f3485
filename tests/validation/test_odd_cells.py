"""No cell of a row, however odd, stops a validation: the row says why it is not predicted."""

from __future__ import annotations

import dataclasses
import math

import pytest

from farthing.evidence.load import COLUMNS, shipped
from farthing.evidence.validate import compare_chunk
from farthing.records.comparison import Case

CELLS = ("", "nan", "-1", "0", "1e400", "many", "1.5", "±", "," * 3, "9" * 40, "2000000000")
ROWS = 3


def altered(case: Case) -> list[Case]:
    return [
        dataclasses.replace(case, id=f"{column}={cell}", cells={**case.cells, column: cell})
        for column in case.cells
        for cell in CELLS
        if column != "id"
    ]


@pytest.mark.parametrize("kind", COLUMNS)
def test_odd_cells_become_reasons(kind: str) -> None:
    cases = shipped(kind)
    for case in cases[:: len(cases) // ROWS][:ROWS]:
        for odd in altered(case):
            for one in compare_chunk([odd]):
                assert one.quantity or odd.id.startswith("metric="), odd.id
                if not one.reason:
                    assert math.isfinite(one.predicted), odd.id
                    assert one.predicted > 0 < one.measured, odd.id
                else:
                    assert "internal" not in one.reason, odd.id
