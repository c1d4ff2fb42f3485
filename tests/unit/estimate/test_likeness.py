"""Error bars of estimates: ordered, and never beyond the hardware's peak."""

from __future__ import annotations

import math

import pytest

from farthing import api
from farthing.estimate import likeness
from farthing.records.comparison import Interval, Likeness
from farthing.records.workload import TrainingWorkload


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(one: Likeness) -> Interval:
        return Interval(likeness=one, low=0.001, high=9.0, cases=1, sources=1, basis="")

    monkeypatch.setattr(likeness, "interval", found)


def test_no_end_of_an_interval_beats_the_peak(wide: None) -> None:
    found = api.train(
        "llama-2-7b",
        "1x8:a100-sxm-80gb",
        workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=64),
    )
    bars = {bar.name: bar for bar in found.intervals}
    assert bars["step_s"].low == pytest.approx(found.step_s * found.hfu)
    assert bars["step_s"].high == pytest.approx(found.step_s * 9)
    assert bars["tokens_per_s"].high == pytest.approx(found.tokens_per_s / found.hfu)


@pytest.mark.parametrize("cards", ["1x1:raspberry-pi-5", "1x8:gb300", "1x1:m4-max", "1x8:gaudi-3"])
def test_bars_are_ordered_or_say_why_there_are_none(cards: str) -> None:
    found = api.infer("llama-3.2-1b", cards)
    for bar in found.intervals:
        value = getattr(found, bar.name)
        if bar.low is None or bar.high is None:
            assert "not validated" in bar.basis
        else:
            assert 0 < bar.low <= value <= bar.high < math.inf
