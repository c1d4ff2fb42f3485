"""Intervals: near cases first, few or far ones wide, nothing alike said so."""

from __future__ import annotations

import math

import pytest

import farthing
from farthing.estimate import interval as module
from farthing.estimate.interval import HANDFUL, interval, level
from farthing.records.comparison import Likeness
from farthing.records.residual import Residual

NEAR = Likeness(what="decode", engine="vllm", hardware="hopper", regime="one card")
OTHER_CARD = Likeness(what="decode", engine="vllm", hardware="ada", regime="one card")
FAR = Likeness(what="decode", engine="mlx", hardware="m2", regime="pipeline")


def rows(likeness: Likeness, sources: int, error: float) -> list[Residual]:
    spread = (-error, -error / 2, 0.0, error / 2, error)
    return [
        Residual(likeness=likeness, source=f"{likeness.engine} {n}", cases=50, log_ratios=spread)
        for n in range(sources)
    ]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[Residual]:
    found: list[Residual] = []
    monkeypatch.setattr(module, "residuals", lambda: {"decode": tuple(found)} if found else {})
    monkeypatch.setattr(module, "widening", dict)
    module.forget()
    yield found
    module.forget()


def width(likeness: Likeness, exclude: str = "") -> float:
    module.forget()
    found = interval(likeness, exclude)
    return math.log(found.high / found.low)


def test_nothing_alike_is_not_validated(known: list[Residual]) -> None:
    found = interval(NEAR)
    assert (found.cases, found.sources) == (0, 0)
    assert math.isnan(found.low)
    assert found.basis.startswith("not validated")


def test_far_cases_widen(known: list[Residual]) -> None:
    known += rows(OTHER_CARD, 6, 0.2)
    far = width(NEAR)
    known += rows(NEAR, HANDFUL, 0.2)
    near = width(NEAR)
    assert near < far < width(FAR)


def test_near_cases_push_far_ones_out(known: list[Residual]) -> None:
    known += rows(FAR, 20, 2.0)
    alone = width(NEAR)
    known += rows(NEAR, 1, 0.05)
    some = width(NEAR)
    known[-1:] = rows(NEAR, HANDFUL, 0.05)
    assert width(NEAR) < some < alone
    assert interval(NEAR).basis == f"{50 * HANDFUL} like cases of {HANDFUL} sources"


def test_one_case_is_singular(known: list[Residual]) -> None:
    known += rows(FAR, 20, 2.0)
    known += [Residual(likeness=NEAR, source="one", cases=1, log_ratios=(0.1,))]
    assert interval(NEAR).basis == "1 like case of 1 source"


def test_the_prediction_is_inside(known: list[Residual]) -> None:
    known += [Residual(likeness=NEAR, source=f"s{n}", cases=9, log_ratios=(0.5, 0.6)) for n in range(5)]
    found = interval(NEAR)
    assert found.low < 1 < found.high
    assert 1 - found.low < found.high - 1


def test_a_source_can_be_left_out(known: list[Residual]) -> None:
    known += rows(NEAR, 5, 0.05)
    known.append(Residual(likeness=NEAR, source="odd", cases=9, log_ratios=(-3.0, 3.0)))
    assert width(NEAR, "odd") < width(NEAR)
    assert interval(NEAR, "nobody") == interval(NEAR)


def test_levels() -> None:
    assert level(NEAR, NEAR) == 0
    assert level(NEAR, OTHER_CARD) == 1
    assert level(NEAR, FAR) == len(module.LEVELS) - 1


def test_estimates_carry_them(known: list[Residual]) -> None:
    known += rows(Likeness(what="decode", hardware="ada-geforce", regime="tensor parallel, batch 1"), 5, 0.1)
    module.forget()
    estimate = farthing.infer("llama-2-70b", "1x8:rtx-4090", tp=8)
    first, token, rate = estimate.intervals
    assert (first.low, first.basis) == (None, "not validated: nothing like it was measured")
    assert token.low is not None
    assert token.high is not None
    assert token.low < estimate.tpot_s < token.high
    assert rate.low == pytest.approx(1 / token.high)
    ideal = farthing.infer("llama-2-70b", "1x8:rtx-4090", tp=8, ideal=True)
    assert {bar.low for bar in ideal.intervals} == {None}
