"""The space of inference plans, against definitions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.search.divisors import divisors
from farthing.search.inference_space import OPEN_BATCHES, UNABLE, Axes, open_batches, splits


def everything(rows: Any) -> Any:
    return np.ones(len(rows), dtype=bool)


def test_batches_grow_by_a_root_of_two() -> None:
    sizes = open_batches()
    assert len(sizes) == OPEN_BATCHES == len(set(sizes))
    assert sizes[0] == 1
    assert all(b / a == pytest.approx(math.sqrt(2), rel=0.06) for a, b in itertools.pairwise(sizes[6:]))


@pytest.mark.parametrize("number", [1, 2, 12, 97, 360])
def test_divisors(number: int) -> None:
    assert list(divisors(number)) == [size for size in range(1, number + 1) if number % size == 0]


@pytest.mark.parametrize(("model", "cards"), [("llama-2-70b", 12), ("mixtral-8x7b", 6), ("deepseek-v3", 10)])
def test_all_splits_and_no_more(model: str, cards: int) -> None:
    shape = catalog.model(model)
    found = splits(shape, parse_cluster(f"1x{cards}:h100-sxm"), Axes(), allowed=everything)
    sizes = range(1, cards + 1)
    expected = {
        (tp, pp, dp, ep)
        for tp, pp, dp in itertools.product(sizes, repeat=3)
        if tp * pp * dp == cards
        and shape.heads % tp == 0
        and (shape.kv_heads % tp == 0 or tp % shape.kv_heads == 0)
        and pp <= shape.layers
        for ep in sizes
        if ep == 1 or (shape.experts and shape.experts % ep == 0 and tp * dp % ep == 0)
    }
    assert set(map(tuple, found.sizes.tolist())) == expected
    assert len(found.sizes) == len(expected)
    assert found.tried == len(expected) + sum(found.removed.values())


def test_the_simplest_come_first() -> None:
    rows = splits(catalog.model("llama-2-7b"), parse_cluster("1x8:h100-sxm"), Axes(), allowed=everything)
    axes = (rows.sizes > 1).sum(axis=1).tolist()
    assert axes == sorted(axes)


def test_fewer_cards_where_nothing_uses_all() -> None:
    shape, rig = catalog.model("llama-2-7b"), parse_cluster("1x7:h100-sxm")
    found = splits(shape, rig, Axes.of(pp=1), allowed=lambda rows: rows[:, 2] == 1)
    assert [4, 1, 1, 1] in found.sizes.tolist()
    assert set(found.sizes[:, :3].prod(axis=1).tolist()) == {4}
    assert found.removed[UNABLE] > 0


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"tp": []}, "tp has no value"),
        ({"tp": 0}, "tp must be a whole number of at least 1"),
        ({"tp": [1, 2.0]}, "tp must be a whole number"),
        ({"pp": True}, "pp must be a whole number"),
        ({"chunk_tokens": -1}, "chunk_tokens must be a whole number of at least 0"),
        ({"engine": 5}, "engine must be a name"),
        ({"cp": 2}, "no axis 'cp'"),
    ],
)
def test_bad_axes(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        Axes.of(**chosen)


def test_values_are_sorted_once_each() -> None:
    assert Axes.of(tp=[4, 1, 4], chunk_tokens=range(3)).tp == (1, 4)
    assert Axes.of(engine=["vllm", "tgi", "vllm"]).engine == ("vllm", "tgi")


def test_splits_of_several_numbers_of_cards_are_those_of_each() -> None:
    shape, cluster = catalog.model("llama-2-7b"), parse_cluster("1x8:rtx-4090")

    def sizes(*cards: int) -> Any:
        found = splits(shape, cluster, Axes(), allowed=lambda rows: rows[:, 2] <= 2, cards=cards)
        return found.sizes.tolist()

    assert sizes(2, 3, 4) == sizes(2) + sizes(3) + sizes(4)
