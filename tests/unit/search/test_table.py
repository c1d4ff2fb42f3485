"""Columns of candidates."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from farthing.errors import InvalidInput
from farthing.search.table import Table

TABLE = Table({"engine": np.array(["vllm", "tgi"]), "tp": np.array([1, 2]), "fits": np.array([True, False])})


def test_rows_are_plain() -> None:
    assert TABLE.row(1) == {"engine": "tgi", "tp": 2, "fits": False}
    assert [type(value) for value in TABLE.row(0).values()] == [str, int, bool]
    assert len(TABLE.where(TABLE["fits"])) == 1
    assert len(Table({})) == 0


def test_a_column_that_there_is_not() -> None:
    with pytest.raises(InvalidInput, match="no column 'pp'; it has engine, tp, fits"):
        TABLE["pp"]


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_frames(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType(kind)
    package.DataFrame = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, kind, package)
    assert set(TABLE.frame(kind)) == {"engine", "tp", "fits"}
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(InvalidInput, match=f"pip install {kind}"):
        TABLE.frame(kind)


def test_another_kind_of_frame() -> None:
    with pytest.raises(InvalidInput, match="polars or pandas"):
        TABLE.frame("excel")  # type: ignore[arg-type]
