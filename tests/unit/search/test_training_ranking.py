"""A front that sees plans some at a time is that of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from farthing.search.rank import pareto_front
from farthing.search.training_ranking import Front


@pytest.mark.parametrize("figures", [2, 3])
@pytest.mark.parametrize("values", [5, 1000])
def test_a_front_grows_to_that_of_all(figures: int, values: int) -> None:
    points = np.random.default_rng(1).integers(0, values, (400, figures)).astype(float)
    front = Front(np.empty((0, figures)), np.empty(0, dtype=np.int64))
    for start in range(0, len(points), 40):
        front.add(points[start : start + 40], np.arange(start, start + 40))
    assert front.codes.tolist() == pareto_front(points).tolist()
    assert front.points.tolist() == points[front.codes].tolist()
