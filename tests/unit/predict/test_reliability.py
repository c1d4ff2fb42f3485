"""Failures: the article's rows, limits, columns, and derivations."""

import math

import numpy as np
import pytest

from farthing.predict import reliability
from farthing.predict.trace import term_of, tracing

MONTH_30 = 30 * 86400


def test_failures_of_the_article():
    mtbf = reliability.cluster_mtbf_s(MONTH_30, 2048)
    assert mtbf / 60 == pytest.approx(21.0938, rel=1e-5)
    assert reliability.naive_loss_share(600, mtbf) == pytest.approx(0.474074, rel=1e-5)
    assert reliability.naive_loss_share(np.array([0, 2 * mtbf]), mtbf).tolist() == [0, 1]


def test_rates_of_classes_add():
    cards = reliability.cluster_mtbf_s(MONTH_30, 16)
    assert reliability.combined_mtbf_s([cards]) == pytest.approx(cards)
    assert reliability.combined_mtbf_s([cards] * 4) == pytest.approx(cards / 4)
    assert reliability.combined_mtbf_s([cards, np.inf]) == pytest.approx(cards)
    columns = reliability.combined_mtbf_s([np.array([100.0, 300.0]), np.array([100.0, 150.0])])
    assert columns == pytest.approx([50, 100])


def test_checkpoint_of_a_70b_model():
    size = reliability.checkpoint_bytes(70e9, 14)
    assert size == 980e9
    assert reliability.checkpoint_time_s(size, 49e9) == 20


def test_intervals_agree_where_checkpoints_are_quick():
    mtbf = np.array([1e4, 1e6, 1e8])
    young, daly = reliability.young_interval_s(1, mtbf), reliability.daly_interval_s(1, mtbf)
    gap = np.abs(daly / young - 1)
    assert np.all(np.diff(gap) < 0)
    assert gap[-1] < 1e-3


def test_interval_is_the_mtbf_where_a_checkpoint_takes_longer_than_two():
    intervals = reliability.daly_interval_s(np.array([10.0, 200.0, 500.0]), 100)
    assert intervals[0] < 100
    assert intervals[1:].tolist() == [100, 100]


def test_shares_are_complements_and_grow_with_each_cost():
    base = (1000, 60, 300, 20_000)
    lost = reliability.lost_time_share(*base)
    assert lost + reliability.effective_time_share(*base) == 1
    assert reliability.lost_time_share(1000, 120, 300, 20_000) > lost
    assert reliability.lost_time_share(1000, 60, 600, 20_000) > lost
    assert reliability.lost_time_share(1000, 60, 300, 10_000) > lost


def test_first_order_is_the_limit_of_the_exact_share():
    mtbf = 1e9
    exact = reliability.lost_time_share(1e5, 50, 300, mtbf)
    assert reliability.first_order_lost_time_share(1e5, 50, 300, mtbf) == pytest.approx(exact, rel=2e-3)
    assert reliability.first_order_lost_time_share(1, 60, 0, mtbf) == 1


def _covered(mean, count):
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(int(count) + 1))


@pytest.mark.parametrize("mean", [0.01, 0.7, 3.0, 40.0, 478.0, 3000.0])
@pytest.mark.parametrize("confidence", [0.1, 0.5, 0.9, 0.99, 0.99999])
def test_spares_are_the_fewest_that_suffice(mean, confidence):
    spares = reliability.spares_needed(100.0, 100.0 * mean, confidence=confidence)
    assert _covered(mean, spares) >= confidence
    assert spares == 0 or _covered(mean, spares - 1) < confidence


def test_spares_of_columns():
    repair = np.array([0.0, 70.0, 4000.0])
    spares = reliability.spares_needed(100.0, repair, confidence=0.99)
    assert spares.tolist() == [reliability.spares_needed(100.0, one, confidence=0.99) for one in repair]
    assert spares[0] == 0
    assert np.all(np.diff(reliability.spares_needed(10, 95, confidence=np.array([0.5, 0.9, 0.999]))) > 0)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (reliability.cluster_mtbf_s, (MONTH_30, 2048)),
        (reliability.young_interval_s, (60, 1e4)),
        (reliability.daly_interval_s, (60, 1e4)),
        (reliability.daly_interval_s, (60, 10)),
        (reliability.lost_time_share, (1000, 60, 300, 1e4)),
        (reliability.first_order_lost_time_share, (1000, 60, 300, 1e4)),
        (reliability.naive_loss_share, (600, 1265)),
    ],
)
def test_derivation_has_the_value(function, arguments):
    with tracing():
        term = term_of(function(*arguments))
    assert term.value == pytest.approx(float(function(*arguments)))
    assert term.formula
    assert term.numbers


def test_spares_are_named_in_a_derivation():
    with tracing():
        term = term_of(reliability.spares_needed(100.0, 300.0))
    assert term.name == "spares needed"
    assert term.value == reliability.spares_needed(100.0, 300.0)
