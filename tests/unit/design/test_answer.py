"""Answers: the same however they are found, whole fronts, encoders, mixtures, and what is in the way."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tests.property.build_checks import check_money, check_network, check_places, check_power

from farthing import api, catalog
from farthing.design import answer, shared
from farthing.design.answer import refuse_nothing
from farthing.design.serving import OBJECTIVES
from farthing.errors import Infeasible
from farthing.records.design import Build, DesignObjective, DesignResult

CARDS = ["rtx-3090", "rtx-4090", "l4", "h100-sxm"]


def design(model: str = "llama-3.1-8b", *, sensitive: bool = False, **asked: Any) -> DesignResult:
    """Without what other prices would change, for which eight more designs are made, unless that is asked."""
    usual: dict[str, Any] = {"tokens_per_s": 500, "accelerators": CARDS, "most_hosts": 4}
    with pytest.MonkeyPatch.context() as patch:
        if not sensitive:
            patch.setattr(answer, "_changes", lambda *_: ())
        return api.design(model, **(usual | asked))


def value(build: Build, objective: DesignObjective) -> float:
    return float(getattr(build, OBJECTIVES[objective]))


def test_workers_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "SHARED", 2)
    alone = design(front=("usd", "tpot"))
    together = design(front=("usd", "tpot"), workers=2)
    assert together.best == alone.best
    assert together.alternatives == alone.alternatives
    assert together.load_curve == alone.load_curve
    assert {one.rule: one.candidates for one in together.removed} == {
        one.rule: one.candidates for one in alone.removed
    }
    assert together.candidates == alone.candidates
    for objective in ("usd", "tpot"):
        ends = [
            min(value(build, objective) for build in found.front)  # type: ignore[arg-type]
            for found in (alone, together)
        ]
        assert ends[0] == pytest.approx(ends[1])


@pytest.mark.parametrize("objectives", [("usd", "tpot"), ("power", "ttft"), ("usd", "capital", "tpot")])
def test_a_front_has_no_beaten_build_and_the_best_of_each(objectives: tuple[DesignObjective, ...]) -> None:
    ways = "own" if "capital" in objectives else "either"
    found = design(front=objectives, ways=ways)
    points = np.array([[value(build, name) for name in objectives] for build in found.front])
    assert len(points) > 1
    for point in points:
        assert not (points * (1 + 1e-9) < point).all(axis=1).any()
    for place, objective in enumerate(objectives):
        best = value(design(objective=objective, ways=ways, top=1).best[0], objective)
        assert points[:, place].min() == pytest.approx(best, rel=1e-8)
    assert found.front_objectives == objectives


def test_the_best_are_in_order_and_each_of_its_kind() -> None:
    found = design(top=20)
    usd = [build.usd_per_million_tokens for build in found.best]
    assert usd == sorted(usd)
    kinds = [(build.accelerator, build.way) for build in found.best]
    assert len(set(kinds)) == len(kinds)
    assert {card for card, _ in kinds} == set(CARDS)
    fewer = design(top=2)
    assert fewer.best == found.best[:2]


def test_own_and_rent_alone_are_what_either_has() -> None:
    either, own, rent = (design(top=20, ways=ways) for ways in ("either", "own", "rent"))
    assert {build.way for build in own.best} == {"own"}
    assert {build.way for build in rent.best} == {"rent"}
    for only in (own, rent):
        mine = [build for build in either.best if build.way == only.best[0].way]
        assert [build.usd_per_million_tokens for build in mine] == pytest.approx(
            [build.usd_per_million_tokens for build in only.best]
        )


def test_the_most_tokens_within_limits() -> None:
    found = design(tokens_per_s=0, objective="tokens-per-s", capital_usd=20_000.0, ways="own")
    best = found.best[0]
    assert best.capital_usd <= 20_000
    more = design(tokens_per_s=0, objective="tokens-per-s", capital_usd=40_000.0, ways="own").best[0]
    assert more.tokens_per_s > best.tokens_per_s
    # What carries so many is not cheaper than what was spent, give or take the last copy.
    again = design(tokens_per_s=best.tokens_per_s, objective="capital", ways="own", top=1).best[0]
    assert again.capital_usd <= best.capital_usd * (1 + 1e-9)


def test_an_encoder_reads() -> None:
    found = design("bert-large", tokens_per_s=50_000, prompt_tokens=400, output_tokens=0)
    assert found.best
    for build in found.best:
        assert build.tokens_per_s >= 50_000
        assert build.tpot_s == 0
        assert build.requests_per_s == pytest.approx(build.tokens_per_s / 400)
        assert build.inference
        assert build.inference.fits
        check_money(build, found.demand, found.limits, found.ownership)


@pytest.mark.parametrize(
    ("model", "cards"), [("mixtral-8x7b", CARDS), ("deepseek-v3", ["h200-sxm", "h100-sxm", "mi300x"])]
)
def test_mixtures_share_their_experts(model: str, cards: list[str]) -> None:
    found = design(model, accelerators=cards, tokens_per_s=3000, most_hosts=8)
    assert found.best
    experts = catalog.model(model).experts
    for build in found.best:
        assert build.inference
        plan = build.inference.plan
        assert build.inference.fits
        assert plan.ep in (1, plan.tp * plan.dp) or plan.ep == plan.tp
        assert experts % plan.ep == 0
        assert build.accelerators >= build.copies * plan.tp * plan.pp * plan.dp
        check_money(build, found.demand, found.limits, found.ownership)
        if build.way == "own":
            check_places(build)
            check_network(build)
            check_power(build, found.ownership)
    assert any(build.inference and build.inference.plan.ep > 1 for build in found.best)


def test_several_formats_are_no_worse_than_each() -> None:
    each = [design(weight_format=name, top=1).best[0] for name in ("bf16", "int8")]
    both = design(weight_format=["bf16", "int8"], top=1).best[0]
    assert both.usd_per_million_tokens == pytest.approx(
        min(build.usd_per_million_tokens for build in each), rel=1e-9
    )


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"tpot_s": 1e-6}, "without the limit on the time a token"),
        ({"ttft_s": 1e-6}, "without the limit on the time to the first token"),
        ({"capital_usd": 10.0, "ways": "own"}, "without the limit on the capital"),
        ({"power_w": 10.0}, "without the limit on the power"),
        ({"usd_per_s": 1e-9}, "without the limit on the money an hour"),
        ({"usd_per_million_tokens": 1e-6}, "without the limit on the price of tokens"),
        ({"tpot_s": 1e-6, "power_w": 1.0}, "no single limit is in the way"),
    ],
)
def test_what_is_in_the_way(limit: dict[str, Any], words: str) -> None:
    found = design(**limit)
    assert not found.best
    assert words in found.miss
    assert not found.sensitivity
    with pytest.raises(Infeasible, match=f"no build of llama-3.1-8b keeps the limits: .*{words}"):
        refuse_nothing(found)


def test_what_would_change_it() -> None:
    found = design(accelerators=["rtx-3090"], ways="own", most_hosts=2, sensitive=True)
    changes = {one.what: one for one in found.sensitivity}
    before = found.best[0].usd_per_million_tokens
    for one in changes.values():
        assert one.factor == pytest.approx(one.usd_per_million_tokens / before)
    assert (
        changes["electricity at half the price"].factor < 1 < changes["electricity at twice the price"].factor
    )
    assert changes["rtx-3090 20% cheaper"].factor < 1 < changes["rtx-3090 20% dearer"].factor
    assert changes["a year more of use"].factor < 1 < changes["a year less of use"].factor
    # The change is what a design under it finds.
    half = design(accelerators=["rtx-3090"], ways="own", most_hosts=2, usd_per_kwh=0.06, top=1).best[0]
    assert changes["electricity at half the price"].usd_per_million_tokens == pytest.approx(
        half.usd_per_million_tokens
    )


def test_what_was_asked_is_in_the_answer() -> None:
    found = design(condition="new", trough_share=0.5, years=5, objective="power")
    assert found.condition == "new"
    assert (found.demand.tokens_per_s, found.demand.trough_share) == (500, 0.5)
    assert (found.limits.most_hosts, found.ownership.years, found.objective) == (4, 5, "power")
    assert found.candidates > found.evaluated > 0
    assert refuse_nothing(found) is None
    assert dataclasses.is_dataclass(found)
