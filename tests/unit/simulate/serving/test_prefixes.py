"""Beginnings that prompts share: how often each is drawn, in which ids, and how much of it a prompt has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import SeedSequence

from farthing.simulate.serving import prefixes
from farthing.simulate.serving.prefixes import Prefixes


@pytest.mark.parametrize("groups", [1, 2, 10])
def test_groups_follow_the_law(groups: int) -> None:
    found = Prefixes(groups, 32, SeedSequence(3)).ids([100] * 50_000)
    counts = np.bincount([ids[0] // 2 for ids in found], minlength=groups)
    assert counts.size == groups
    for place, count in enumerate(counts, 1):
        share = math.log1p(1 / place) / math.log1p(groups)
        assert abs(count - 50_000 * share) <= 4 * math.sqrt(50_000 * share * (1 - share))


def test_equal_ids_mean_equal_beginnings() -> None:
    """An id has one place and one predecessor, as a hash over all that stands before has."""
    before: dict[int, tuple[int, ...]] = {}
    for ids in Prefixes(20, 160, SeedSequence(4)).ids([160] * 2000):
        assert len(ids) == 10
        for place, block in enumerate(ids):
            assert before.setdefault(block, ids[:place]) == ids[:place]
    assert len(before) == 200


def test_a_prompt_has_its_own_full_blocks_alone() -> None:
    prompts = [1, 15, 16, 31, 32, 47, 48, 1000]
    found = Prefixes(1, 55.0, SeedSequence(0)).ids(prompts)
    assert [len(ids) for ids in found] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert Prefixes(5, 15.9, SeedSequence(0)).ids([1000]) == [()]


def test_few_beginnings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Prefixes(1000, 160, SeedSequence(1))
    monkeypatch.setattr(prefixes, "KEPT_IDS", 20)
    forgetful = Prefixes(1000, 160, SeedSequence(1))
    assert forgetful._beginning.cache_info().maxsize == 2
    assert forgetful.ids([500] * 3000) == kept.ids([500] * 3000)


def test_millions_of_groups_cost_nothing() -> None:
    found = Prefixes(10_000_000, 16, SeedSequence(1)).ids([16] * 1000)
    assert all(0 <= ids[0] < 10_000_000 for ids in found)
    assert max(ids[0] for ids in found) > 1_000_000
