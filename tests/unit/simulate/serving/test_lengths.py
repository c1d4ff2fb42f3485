"""Lengths are whole, at least one, and have the mean and spread that were asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.random import SeedSequence
from scipy import stats

from farthing.records.serving import Lengths
from farthing.simulate.serving.lengths import Draws

MANY = 200_000


def drawn(count: int = MANY, seed: int = 1, chunks: tuple[int, ...] = (), **lengths: Any) -> Any:
    source = Draws(Lengths(**lengths), SeedSequence(seed))
    return np.concatenate([source.tokens(size) for size in [*chunks, count - sum(chunks)]])


@pytest.mark.parametrize(("tokens", "expected"), [(1.0, 1), (1000.0, 1000), (250.4, 250), (250.5, 251)])
def test_fixed(tokens: float, expected: int) -> None:
    assert drawn(5, kind="fixed", tokens=tokens).tolist() == [expected] * 5


@pytest.mark.parametrize("kind", ["uniform", "lognormal"])
@pytest.mark.parametrize("tokens", [1.0, 1.4, 2.0, 7.5, 1000.0, 123_456.7])
@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_the_mean_comes_out_right(kind: str, tokens: float, spread: float) -> None:
    found = drawn(kind=kind, tokens=tokens, spread=spread)
    assert found.dtype == np.int64
    assert found.min() >= 1
    assert abs(found.mean() - tokens) <= 4 * found.std() / math.sqrt(MANY) + 1e-9


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0, 2.0])
def test_lognormal_lengths_vary_as_asked(spread: float) -> None:
    found = drawn(1_000_000, kind="lognormal", tokens=800.0, spread=spread)
    assert found.std() / found.mean() == pytest.approx(spread, rel=0.04)
    variance = math.log1p((spread * 800 / 799) ** 2)
    law = stats.lognorm(math.sqrt(variance), loc=1, scale=799 * math.exp(-variance / 2))
    for share in (0.1, 0.5, 0.9, 0.99):
        assert np.quantile(found, share) == pytest.approx(law.ppf(share), rel=0.02)


@pytest.mark.parametrize(("tokens", "spread"), [(100.0, 0.2), (1000.0, 0.5), (50.5, 0.9)])
def test_uniform_lengths_fill_their_range(tokens: float, spread: float) -> None:
    found = drawn(kind="uniform", tokens=tokens, spread=spread)
    low, high = tokens * (1 - spread), tokens * (1 + spread)
    assert found.min() == math.floor(low + 1e-9)
    assert found.max() in (math.floor(high - 1e-9), math.ceil(high - 1e-9))
    assert found.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.02)
    assert abs(np.mean(found <= tokens - spread * tokens / 2) - 0.25) < 0.02


def test_longer_draws_are_cut() -> None:
    free = drawn(kind="lognormal", tokens=500.0, spread=1.5)
    cut = drawn(kind="lognormal", tokens=500.0, spread=1.5, most=1000)
    assert free.max() > 1000
    assert np.array_equal(cut, np.minimum(free, 1000))
    assert drawn(3, tokens=500.0, most=20).tolist() == [20, 20, 20]


def test_chunks_change_nothing() -> None:
    for kind in ("uniform", "lognormal"):
        whole = drawn(2000, kind=kind, tokens=300.0, spread=0.4)
        assert np.array_equal(drawn(2000, chunks=(1, 9, 500), kind=kind, tokens=300.0, spread=0.4), whole)
        assert not np.array_equal(drawn(2000, seed=2, kind=kind, tokens=300.0, spread=0.4), whole)


def test_another_mean_scales_the_same_draws() -> None:
    short, long = (drawn(2000, kind="lognormal", tokens=mean, spread=0.8) for mean in (1000.0, 4000.0))
    assert np.abs(long - 4 * short).max() < 40
    assert np.corrcoef(short, long)[0, 1] > 0.99999
