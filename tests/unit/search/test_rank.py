"""Best of each kind and Pareto fronts, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.search.rank import best_of_each, pareto_front


@pytest.mark.parametrize("figures", [1, 2, 3])
@given(data=st.data())
def test_front_is_what_no_row_beats(figures: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(*[st.integers(0, 6)] * figures), max_size=40))
    table = np.array(rows, dtype=float).reshape(len(rows), figures)
    front = pareto_front(table).tolist()
    beaten = {
        i
        for i in range(len(rows))
        for j in range(len(rows))
        if (table[j] <= table[i]).all() and ((table[j] < table[i]).any() or j < i)
    }
    assert sorted(front) == sorted(set(range(len(rows))) - beaten)
    assert table[front, 0].tolist() == sorted(table[front, 0])


def test_front_of_many_rows_in_three_figures() -> None:
    table = np.random.default_rng(1).random((5000, 3))
    front = pareto_front(table)
    assert len(front) > 20
    inside = table[front]
    for row in table:
        assert (inside <= row).all(axis=1).any()
    assert len(pareto_front(inside)) == len(front)


def test_missing_figures_are_out() -> None:
    assert pareto_front(np.array([[np.inf, 1.0], [np.nan, 0.0], [2.0, 2.0]])).tolist() == [2]
    assert pareto_front(np.empty((0, 2))).tolist() == []
    assert best_of_each(np.array([np.inf, np.nan]), np.array([1, 2])).tolist() == []
