"""What a search over training plans returns, beside the optimum that the property tests check."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.unit.search.training_plans import pieces

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import Infeasible, InvalidInput
from farthing.estimate.cost import CostBasis
from farthing.records.estimate import TrainingEstimate
from farthing.records.hardware import Cluster
from farthing.records.plan import TrainingPlan
from farthing.records.search import Choice, Limits, SearchResult
from farthing.records.workload import TrainingWorkload
from farthing.search import rank, training, training_thorough
from farthing.search.table import Search
from farthing.search.training import search_training
from farthing.search.training_question import FIGURES
from farthing.search.training_space import WORDS, training_space
from farthing.units import format_bytes

MODEL = catalog.model("gpt-3-1.3b")
CLUSTER = parse_cluster("1x4:rtx-4090")
LOAD = TrainingWorkload(sequence_tokens=2048, global_batch_size=16, training_tokens=1e10)
BASIS = CostBasis(usd_per_accelerator=1600, usd_per_accelerator_hour=0.5)
GIVEN: dict[str, Any] = {
    "cp": 1,
    "micro_batch_size": [1, 2, 4],
    "zero_stage": [1, 3],
    "schedule": ["1f1b", "interleaved"],
    "interleave": [1, 2],
    "recompute": ["none", "full"],
    "recompute_share": [0.5, 1.0],
    "offload": ["none", "optimizer"],
}
"""So few plans that each can be estimated alone, and memory for most but not for all of them."""


@dataclasses.dataclass(frozen=True)
class One:
    """A plan that was estimated alone."""

    plan: TrainingPlan
    estimate: TrainingEstimate

    @functools.cached_property
    def figures(self) -> dict[str, float]:
        found = self.estimate
        return {
            "step": found.step_s,
            "memory": found.memory.total_bytes,
            "energy": found.power_w * found.step_s,
            "usd": min(cost.usd_per_million_tokens for cost in found.costs),
            "run_s": found.run_s,
            "run_usd": min(found.run_usd.values(), default=0.0),
        }

    @property
    def kind(self) -> tuple[int, ...]:
        return (self.plan.tp, self.plan.pp, self.plan.dp, self.plan.cp, self.plan.ep)


@functools.cache
def every() -> tuple[One, ...]:
    """All plans of the question, one by one."""
    space = training_space(MODEL, CLUSTER, LOAD, GIVEN)
    return tuple(
        One(plan, farthing.train(MODEL, CLUSTER, workload=LOAD, plan=plan, cost=BASIS))
        for piece in pieces(MODEL, CLUSTER, LOAD, space)
        for plan, _, _ in piece.plans()
    )


OTHER_CLUSTER = parse_cluster("2x2:rtx-4090@10gbe")
OTHER_LOAD = dataclasses.replace(LOAD, global_batch_size=12)
OTHER_GIVEN: dict[str, Any] = {
    **GIVEN,
    "cp": [1, 2],
    "micro_batch_size": [1, 3, 4],
    "zero_stage": [2, 1],
    "offload": "none",
    "first_spared": 0,
    "last_spared": [0, 1],
}
"""Words that some rows alone may have: orders of ranks, interleaving, sharding."""


@functools.cache
def others() -> tuple[One, ...]:
    """All plans of that question."""
    space = training_space(MODEL, OTHER_CLUSTER, OTHER_LOAD, OTHER_GIVEN)
    return tuple(
        One(plan, farthing.train(MODEL, OTHER_CLUSTER, workload=OTHER_LOAD, plan=plan, cost=BASIS))
        for piece in pieces(MODEL, OTHER_CLUSTER, OTHER_LOAD, space)
        for plan, _, _ in piece.plans()
    )


def search(**more: Any) -> Search:
    return search_training(MODEL, CLUSTER, LOAD, GIVEN, **{"basis": BASIS, **more})


def estimate(choice: Choice) -> TrainingEstimate:
    assert choice.training is not None
    return choice.training


def winner(found: Search | SearchResult) -> TrainingEstimate:
    return estimate((found.result if isinstance(found, Search) else found).best[0])


def counted(result: SearchResult) -> None:
    """Every plan is counted once."""
    assert result.candidates == result.evaluated + sum(one.candidates for one in result.removed)
    assert result.evaluated == result.fitting + sum(one.candidates for one in result.broken)
    assert all(one.candidates > 0 for one in (*result.removed, *result.broken))


def room_bytes(headroom_share: float = 0.0) -> float:
    return CLUSTER.groups[0].accelerator.memory_bytes * (1 - headroom_share)


# ---- what is best


@pytest.mark.parametrize("objective", FIGURES)
def test_the_best_is_the_least_of_all_and_as_train_says(objective: Any) -> None:
    result = search(objective=objective).result
    counted(result)
    fitting = [one for one in every() if one.estimate.fits]
    assert (result.evaluated, result.fitting) == (len(every()), len(fitting))
    best = result.best[0]
    least = min(one.figures[objective] for one in fitting)
    assert best.figures[FIGURES[objective]] == pytest.approx(least, rel=1e-12)
    for choice in result.best:
        alone = farthing.train(MODEL, CLUSTER, workload=LOAD, plan=estimate(choice).plan, cost=BASIS)
        assert alone == estimate(choice)
        figures = One(alone.plan, alone).figures
        assert choice.figures == {
            "step_s": figures["step"],
            "tokens_per_s": alone.tokens_per_s,
            "mfu": alone.mfu,
            "memory_bytes": figures["memory"],
            "energy_j": figures["energy"],
            "usd_per_million_tokens": figures["usd"],
            "run_s": figures["run_s"],
            "run_usd": figures["run_usd"],
        }


@pytest.mark.parametrize("top", [1, 3, 100])
def test_the_best_of_each_kind_come_in_order(top: int) -> None:
    least: dict[tuple[int, ...], float] = {}
    for one in every():
        if one.estimate.fits:
            least[one.kind] = min(one.figures["step"], least.get(one.kind, math.inf))
    best = search(top=top).result.best
    kinds = [One(estimate(choice).plan, estimate(choice)).kind for choice in best]
    assert len(kinds) == len(set(kinds)) == min(top, len(least))
    steps = [choice.figures["step_s"] for choice in best]
    assert steps == pytest.approx(sorted(least.values())[: len(kinds)], rel=1e-12)
    assert kinds == sorted(least, key=lambda kind: least[kind])[: len(kinds)]


def test_formats_are_kinds() -> None:
    given = {**GIVEN, "pp": 1, "gradient_format": ["bf16", "fp32"]}
    best = search_training(MODEL, CLUSTER, LOAD, given, top=4).result.best
    kinds = [(estimate(one).plan.tp, estimate(one).plan.gradient_format) for one in best]
    assert len(set(kinds)) == 4
    assert {name for _, name in kinds} == {"bf16", "fp32"}


@pytest.mark.parametrize("front", [("step", "memory"), ("energy", "step", "memory"), ("usd", "memory")])
def test_the_front_is_what_no_plan_beats(front: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank, "FRONT", 1000)
    points = {tuple(one.figures[name] for name in front) for one in every() if one.estimate.fits}
    unbeaten = {
        point
        for point in points
        if not any(other != point and all(map(float.__le__, other, point)) for other in points)
    }
    found = [
        tuple(choice.figures[FIGURES[name]] for name in front) for choice in search(front=front).result.front
    ]
    assert len(found) > 3
    assert np.array(found) == pytest.approx(np.array(sorted(unbeaten)), rel=1e-12)


def test_a_long_front_is_thinned_between_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    front = search(front=("step", "memory")).result.front
    monkeypatch.setattr(rank, "FRONT", 5)
    thin = search(front=("step", "memory")).result.front
    assert len(front) > len(thin) == 5
    assert (thin[0], thin[-1]) == (front[0], front[-1])
    assert all(choice in front for choice in thin)


@pytest.mark.parametrize("objective", FIGURES)
def test_rows_that_may_not_have_every_word(objective: Any) -> None:
    """Each row's best is its own: words of other rows do not slip in."""
    names = ("tp", "pp", "dp", "cp", "ep", "micro_batch_size", "sequence_parallel")
    least: dict[tuple[Any, ...], One] = {}
    for one in others():
        key = tuple(getattr(one.plan, name) for name in names)
        old = least.get(key)
        if one.estimate.fits and (old is None or one.figures[objective] < old.figures[objective]):
            least[key] = one
    found = search_training(
        MODEL,
        OTHER_CLUSTER,
        OTHER_LOAD,
        OTHER_GIVEN,
        objective=objective,
        basis=BASIS,
        front=("step", "memory"),
    )
    counted(found.result)
    assert found.result.evaluated == len(others())
    rows = [row for row in map(found.table.row, range(len(found.table))) if row["fits"]]
    assert len(rows) == len(least)
    for row in rows:
        best = least[tuple(row[name] for name in names)]
        plan = TrainingPlan(**{f.name: row[f.name] for f in dataclasses.fields(TrainingPlan)})
        alone = farthing.train(MODEL, OTHER_CLUSTER, workload=OTHER_LOAD, plan=plan, cost=BASIS)
        assert One(plan, alone).figures[objective] == pytest.approx(best.figures[objective], rel=1e-12)
        assert row["step_s"] == pytest.approx(alone.step_s, rel=1e-12)
    points = [(choice.figures["step_s"], choice.figures["memory_bytes"]) for choice in found.result.front]
    unbeaten = [
        (one.figures["step"], one.figures["memory"])
        for one in others()
        if one.estimate.fits
        and not any(
            other.estimate.fits
            and other.figures["step"] <= one.figures["step"]
            and other.figures["memory"] <= one.figures["memory"]
            and (other.figures["step"], other.figures["memory"])
            != (one.figures["step"], one.figures["memory"])
            for other in others()
        )
    ]
    assert np.array(points) == pytest.approx(np.array(sorted(set(unbeaten))), rel=1e-12)


def test_reasons_add_up_to_the_difference() -> None:
    result = search().result
    first, second = result.best[:2]
    theirs = sum(reason.runner_up_s for reason in result.reasons)
    ours = sum(reason.winner_s for reason in result.reasons)
    assert ours == pytest.approx(first.figures["step_s"], rel=1e-9)
    assert theirs == pytest.approx(second.figures["step_s"], rel=1e-9)
    gaps = [abs(reason.runner_up_s - reason.winner_s) for reason in result.reasons]
    assert gaps == sorted(gaps, reverse=True)
    assert not search(top=1).result.reasons


def test_equal_plans_give_way_to_the_earlier_word() -> None:
    best = winner(search())
    space = training_space(MODEL, CLUSTER, LOAD, GIVEN)
    ties = [
        plan
        for piece in pieces(MODEL, CLUSTER, LOAD, space)
        for plan, step_s, total in piece.plans()
        if step_s == best.step_s and total <= room_bytes()
    ]
    assert best.plan in ties
    for name in ("zero_stage", "schedule", "rank_order", "offload"):
        order = [WORDS[name].index(getattr(plan, name)) for plan in ties]
        assert WORDS[name].index(getattr(best.plan, name)) == min(order)


def test_memory_does_not_care_for_the_order_of_ranks() -> None:
    load = TrainingWorkload(sequence_tokens=1024, global_batch_size=16)
    result = search_training(
        catalog.model("gpt-2-355m"),
        parse_cluster("2x4:rtx-4090@10gbe"),
        load,
        {"pp": 2, "tp": 2, "recompute": "none", "rank_order": ["tp-cp-pp-dp", "tp-cp-dp-pp"]},
        objective="memory",
    ).result
    assert winner(result).plan.rank_order == "tp-cp-dp-pp"


def test_the_same_twice() -> None:
    assert search(front=("step", "memory")).result == search(front=("step", "memory")).result


# ---- limits


def middle(figure: str) -> float:
    """A limit that half of the plans keep, between two of them."""
    values = sorted({one.figures[figure] for one in every() if one.estimate.fits})
    return (values[len(values) // 2] + values[len(values) // 2 + 1]) / 2


LIMITS = {
    "headroom_share": ("memory", "too much memory on a card"),
    "run_s": ("run_s", "too long a run"),
    "run_usd": ("run_usd", "too dear a run"),
    "usd_per_million_tokens": ("usd", "too dear tokens"),
}


def limited(field: str) -> tuple[Limits, float]:
    """A limit of the search, and of the figure."""
    most = middle(LIMITS[field][0])
    capacity = CLUSTER.groups[0].accelerator.memory_bytes
    return Limits(**{field: 1 - most / capacity if field == "headroom_share" else most}), most


@pytest.mark.parametrize("field", LIMITS)
def test_a_limit_takes_out_what_breaks_it(field: str) -> None:
    figure, rule = LIMITS[field]
    limits, most = limited(field)
    result = search(limits=limits, objective="memory" if field != "headroom_share" else "step", top=50).result
    counted(result)
    kept = [one for one in every() if one.estimate.fits and one.figures[figure] <= most]
    assert 0 < result.fitting == len(kept) < len(every())
    broken = {one.rule: one.candidates for one in result.broken}
    misfits = sum(not one.estimate.fits for one in every())
    if field == "headroom_share":
        assert broken == {rule: len(every()) - len(kept)}
    else:
        assert broken == {
            "too much memory on a card": misfits,
            rule: len(every()) - misfits - len(kept),
        }
    for choice in result.best:
        assert One(estimate(choice).plan, estimate(choice)).figures[figure] <= most * (1 + 1e-12)


def test_limits_are_counted_one_after_the_other() -> None:
    first, second = limited("run_s")[0], limited("headroom_share")[0]
    both = dataclasses.replace(first, headroom_share=second.headroom_share)
    result = search(limits=both).result
    counted(result)
    kept = [
        one
        for one in every()
        if one.figures["run_s"] <= both.run_s and one.figures["memory"] <= room_bytes(both.headroom_share)
    ]
    assert result.fitting == len(kept)
    broken = {one.rule: one.candidates for one in result.broken}
    over = sum(one.figures["memory"] > room_bytes(both.headroom_share) for one in every())
    assert broken["too much memory on a card"] == over


def test_the_host_has_room_for_so_much() -> None:
    host = dataclasses.replace(catalog.hosts()["romed8-2t"], memory_bytes=20e9)
    groups = tuple(dataclasses.replace(group, host=host) for group in CLUSTER.groups)
    cluster = dataclasses.replace(CLUSTER, groups=groups)
    given = {**GIVEN, "offload": "optimizer", "tp": 1, "pp": [1, 4], "zero_stage": [0, 1]}
    result = search_training(MODEL, cluster, LOAD, given).result
    counted(result)
    alone = [
        farthing.train(MODEL, cluster, workload=LOAD, plan=plan)
        for piece in pieces(MODEL, cluster, LOAD, training_space(MODEL, cluster, LOAD, given))
        for plan, _, _ in piece.plans()
    ]
    hosts = sum("host's memory" in one.misfit for one in alone)
    broken = {one.rule: one.candidates for one in result.broken}
    assert result.fitting == sum(one.fits for one in alone)
    assert broken["too much memory on a host"] == hosts > 0


# ---- the nearest miss


def excess(one: One, limits: Limits) -> float:
    """Largest share by which a plan breaks a limit."""
    shares = [one.figures["memory"] / room_bytes(limits.headroom_share)]
    for field, figure in (("run_s", "run_s"), ("run_usd", "run_usd"), ("usd_per_million_tokens", "usd")):
        if getattr(limits, field):
            shares.append(one.figures[figure] / getattr(limits, field))
    return max(shares) - 1


WORDS_OF = {
    "headroom_share": r"^leaves [\d.]+ GiB of a card free, not [\d.]+ GiB$",
    "run_s": r"^takes .*, not .*$",
    "run_usd": r"^costs \$[\d.]+, not \$[\d.e-]+$",
    "usd_per_million_tokens": r"^costs \$[\d.]+ a million tokens, not \$[\d.e-]+$",
}


@pytest.mark.parametrize("field", LIMITS)
def test_the_nearest_miss_is_better_and_breaks_a_limit_by_the_least(field: str) -> None:
    limits, _ = limited(field)
    objective: Any = "memory" if field != "headroom_share" else "step"
    result = search(limits=limits, objective=objective).result
    assert result.miss is not None
    bound = result.best[0].figures[FIGURES[objective]]
    better = [one for one in every() if one.figures[objective] < bound * (1 - 1e-9)]
    least = min(excess(one, limits) for one in better)
    assert least > 0  # none of these keeps all limits
    plan = estimate(result.miss.choice).plan
    found = One(plan, estimate(result.miss.choice))
    assert excess(found, limits) == pytest.approx(least, rel=1e-9)
    assert found.figures[objective] < bound
    assert found.estimate == farthing.train(MODEL, CLUSTER, workload=LOAD, plan=plan, cost=BASIS)


@pytest.mark.parametrize("field", LIMITS)
def test_the_nearest_miss_says_which_limit_it_breaks(field: str) -> None:
    limits, _ = limited(field)
    objective: Any = "memory" if field != "headroom_share" else "step"
    miss = search(limits=limits, objective=objective).result.miss
    assert miss is not None
    assert miss.choice.training is not None
    assert miss.choice.training.fits
    assert re.match(WORDS_OF[field], miss.breaks), miss.breaks
    assert miss.would_help


def test_without_room_the_nearest_miss_says_what_is_missing() -> None:
    result = search_training(
        catalog.model("llama-2-7b"),
        parse_cluster("1x2:rtx-4090"),
        TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
        {"offload": "none"},
    ).result
    counted(result)
    assert result.fitting == 0
    assert not result.best
    assert result.miss is not None
    assert result.miss.breaks.startswith("needs ")
    assert "would fit" not in result.miss.breaks
    assert result.miss.breaks == estimate(result.miss.choice).misfit.partition("; would fit")[0]
    assert result.miss.would_help  # offload


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_the_nearest_miss_of_rows_that_may_not_have_every_word(share: float) -> None:
    sizes = sorted({one.figures["memory"] for one in others()})
    room = sizes[int(share * len(sizes))]
    limits = Limits(headroom_share=1 - room / room_bytes() * (1 + 1e-9))
    result = search_training(MODEL, OTHER_CLUSTER, OTHER_LOAD, OTHER_GIVEN, limits=limits, basis=BASIS).result
    best = result.best[0].figures["step_s"]
    better = [one for one in others() if one.figures["step"] < best * (1 - 1e-9)]
    assert (result.miss is None) == (not better)
    if result.miss:
        least = min(excess(one, limits) for one in better)
        plan = estimate(result.miss.choice).plan
        assert excess(One(plan, estimate(result.miss.choice)), limits) == pytest.approx(least, rel=1e-6)
        assert result.miss.choice.figures["step_s"] < best


def test_a_miss_of_several_limits_says_all_of_them() -> None:
    miss = search(limits=Limits(usd_per_million_tokens=1e-9, run_s=60)).result.miss
    assert miss is not None
    time, price = miss.breaks.split(", and ")
    assert re.match(WORDS_OF["run_s"], time)
    assert re.match(WORDS_OF["usd_per_million_tokens"], price)
    (advice,) = miss.would_help
    assert re.match(r"^a limit of [\d.]+ days and a limit of \$[\d.]+$", advice)


def test_a_plan_without_room_is_the_nearest_only_where_all_are() -> None:
    limits = Limits(usd_per_million_tokens=1e-9)
    miss = search(limits=limits).result.miss
    assert miss is not None
    roomy = [one for one in every() if one.estimate.fits]
    least = min(excess(one, limits) for one in roomy)
    # One that finds no room would be cheaper.
    assert least > min(excess(one, limits) for one in every())
    found = One(estimate(miss.choice).plan, estimate(miss.choice))
    assert excess(found, limits) == pytest.approx(least, rel=1e-9)


def test_without_room_anywhere_the_nearest_needs_the_least_more() -> None:
    card = dataclasses.replace(CLUSTER.groups[0].accelerator, memory_bytes=2.5e9)
    groups = tuple(dataclasses.replace(group, accelerator=card) for group in CLUSTER.groups)
    result = search_training(MODEL, dataclasses.replace(CLUSTER, groups=groups), LOAD, GIVEN).result
    assert result.fitting == 0
    assert result.miss is not None
    least = min(one.figures["memory"] for one in every())
    assert estimate(result.miss.choice).memory.total_bytes == pytest.approx(least, rel=1e-12)
    assert result.miss.breaks == f"needs {format_bytes(least - 2.5e9, binary=True)} more a card"


def test_nothing_better_is_no_miss() -> None:
    assert search(objective="memory").result.miss is None


# ---- the table


def test_the_table_has_a_row_for_each_combination_of_sizes() -> None:
    limits = Limits(headroom_share=0.8)
    found = search(limits=limits)
    table = found.table
    names = ("tp", "pp", "dp", "cp", "ep", "micro_batch_size", "sequence_parallel")
    best: dict[tuple[Any, ...], float] = {}
    for one in every():
        key = tuple(getattr(one.plan, name) for name in names)
        fits = one.figures["memory"] <= room_bytes(0.8)
        best[key] = min(best.get(key, math.inf), one.figures["step"] if fits else math.inf)
    rows = [table.row(index) for index in range(len(table))]
    keys = [tuple(row[name] for name in names) for row in rows]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(best)
    for key, row in zip(keys, rows, strict=True):
        assert row["fits"] == math.isfinite(best[key])
        assert row["step_s"] == pytest.approx(best[key], rel=1e-12)
        if row["fits"]:
            # The row is a plan, and its figures are that plan's.
            plan = TrainingPlan(**{f.name: row[f.name] for f in dataclasses.fields(TrainingPlan)})
            alone = farthing.train(MODEL, CLUSTER, workload=LOAD, plan=plan)
            assert row["step_s"] == pytest.approx(alone.step_s, rel=1e-12)
            assert row["memory_bytes"] == pytest.approx(alone.memory.total_bytes, rel=1e-12)
            assert row["tokens_per_s"] == pytest.approx(alone.tokens_per_s, rel=1e-12)
    assert 0 < sum(row["fits"] for row in rows) < len(rows)
    first = rows[int(table["step_s"].argmin())]
    assert all(first[name] == value for name, value in dataclasses.asdict(winner(found).plan).items())


# ---- cards that nothing uses wholly


@pytest.mark.parametrize(("cluster", "used"), [("1x7:a100-sxm-80gb", 6), ("13x1:rtx-4090@10gbe", 12)])
def test_some_cards_stay_idle_where_no_plan_uses_all(cluster: str, used: int) -> None:
    model = dataclasses.replace(catalog.model("gpt-2-124m"), layers=6 if used == 6 else 12)
    load = TrainingWorkload(sequence_tokens=1024, global_batch_size=24)
    result = search_training(model, parse_cluster(cluster), load, {"cp": 1, "zero_stage": 1}).result
    counted(result)
    for choice in result.best:
        plan = estimate(choice).plan
        assert plan.tp * plan.pp * plan.cp * plan.dp == estimate(choice).accelerators == used
        assert farthing.train(model, cluster, workload=load, plan=plan) == estimate(choice)
        assert any("cards idle" in warning for warning in estimate(choice).warnings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tp": [3, 5]}, r"no split of up to 16,384 cards of .* has tp=\[3, 5\]: allow other sizes"),
        ({"micro_batch_size": 3}, "not a multiple of dp x micro_batch_size = 1 x 3"),
        ({"micro_batch_size": [3, 5]}, "micro-batches do not divide a replica's batch"),
        ({"tp": 8, "dp": 7}, "not a multiple of dp x micro_batch_size = 7 x 1"),
    ],
)
def test_numbers_of_cards_that_have_no_sizes_are_not_tried(
    given: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def counting(*asked: Any, **more: Any) -> Any:
        tried.append(more.get("cards", 0))
        return training_space(*asked, **more)

    monkeypatch.setattr(training, "training_space", counting)
    load = TrainingWorkload(sequence_tokens=2048, global_batch_size=1024)
    cluster = parse_cluster("2048x8:h100-sxm@ib-ndr")
    with pytest.raises(InvalidInput, match=message):
        search_training(catalog.model("llama-2-7b"), cluster, load, given)
    assert tried == [0]


def test_sizes_that_are_all_given_are_used() -> None:
    given = {"tp": 2, "pp": 1, "cp": 1, "dp": 1}
    assert winner(search_training(MODEL, CLUSTER, LOAD, given)).accelerators == 2


# ---- what makes no sense


CHECKS: list[tuple[dict[str, Any], str]] = [
    ({"objective": "speed"}, "no objective 'speed'; there are step, usd, energy, memory"),
    ({"front": ("step", "speed")}, "no objective 'speed'"),
    ({"front": ("step",)}, "a front is of two or three objectives, not step"),
    ({"front": ("step", "step")}, "a front is of two or three objectives"),
    ({"front": ("step", "usd", "energy", "memory")}, "a front is of two or three objectives"),
    ({"top": 0}, "top must be a whole number of at least 1, not 0"),
    ({"top": 2.0}, "top must be a whole number"),
    ({"top": True}, "top must be a whole number"),
    ({"limits": Limits(ttft_s=1)}, "ttft_s is for inference"),
    ({"limits": Limits(tpot_s=1)}, "tpot_s is for inference"),
    ({"limits": Limits(max_batch_size=1)}, "max_batch_size is for inference"),
]


@pytest.mark.parametrize(("more", "message"), CHECKS, ids=lambda value: str(value)[:40])
def test_questions_that_make_no_sense(more: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        search(**more)


@pytest.mark.parametrize("limits", [Limits(run_s=1e6), Limits(run_usd=1e6)])
def test_a_limit_of_a_run_needs_its_tokens(limits: Limits) -> None:
    load = dataclasses.replace(LOAD, training_tokens=0.0)
    with pytest.raises(InvalidInput, match="needs training_tokens"):
        search_training(MODEL, CLUSTER, load, GIVEN, limits=limits)


def unknown() -> Cluster:
    """Of cards that nothing but speed is known of."""
    card = dataclasses.replace(catalog.accelerator("rtx-4090"), id="own", name="own card", tdp_w=0.0)
    groups = tuple(dataclasses.replace(group, accelerator=card) for group in CLUSTER.groups)
    return dataclasses.replace(CLUSTER, groups=groups)


@pytest.mark.parametrize(
    "more",
    [
        {"objective": "usd"},
        {"front": ("step", "usd")},
        {"limits": Limits(run_usd=1e6)},
        {"limits": Limits(usd_per_million_tokens=1)},
    ],
    ids=str,
)
def test_money_needs_prices(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"no price of .* is known: state usd_per_accelerator"):
        search_training(MODEL, unknown(), LOAD, GIVEN, **more)
    assert search_training(MODEL, unknown(), LOAD, GIVEN, basis=BASIS, **more).result.best


@pytest.mark.parametrize("more", [{"objective": "energy"}, {"front": ("step", "energy")}], ids=str)
def test_energy_needs_the_cards_power(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="the power of own card is unknown"):
        search_training(MODEL, unknown(), LOAD, GIVEN, **more)


def test_without_prices_and_power_there_are_fewer_figures() -> None:
    best = search_training(MODEL, unknown(), LOAD, GIVEN).result.best[0]
    assert best.figures.keys() == {"step_s", "tokens_per_s", "mfu", "memory_bytes", "energy_j", "run_s"}


NOTHING: list[tuple[dict[str, Any], str]] = [
    ({"tp": []}, "tp has no values to choose from"),
    ({"tp": 3}, "tp=3 does not divide the 24 heads|tp=3"),
    ({"dp": 3}, "not a multiple of dp x micro_batch_size = 3"),
    ({"tp": 8}, "8"),
    ({"tp": 2, "pp": 4, "cp": 1, "dp": 4}, "32"),
    ({"pp": 2, "interleave": 5}, "rules took out .*virtual stages of unequal layers"),
    ({"pp": 1, "schedule": "interleaved"}, "interleaving needs a pipeline"),
    ({"micro_batch_size": 3}, "multiple of dp x micro_batch_size"),
    ({"tp": [3, 5]}, r"no split of up to 4 cards of .* has tp=\[3, 5\]"),
]


@pytest.mark.parametrize(("given", "message"), NOTHING, ids=lambda value: str(value)[:40])
def test_nothing_legal_says_which_rule(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        search_training(MODEL, CLUSTER, LOAD, given)


def test_offload_that_the_cards_have_no_place_for() -> None:
    load = TrainingWorkload(sequence_tokens=1024, global_batch_size=8)
    with pytest.raises(InvalidInput, match="computes in the host's memory: offload to nvme"):
        search_training(MODEL, parse_cluster("1x1:m2-ultra"), load, {"offload": "optimizer"})
    with pytest.raises(InvalidInput, match=r"computes? in the host's memory"):
        search_training(
            MODEL, parse_cluster("1x1:m2-ultra"), load, {"offload": ["optimizer", "optimizer+weights"]}
        )


# ---- what surrounds it


def test_progress_ends_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_thorough, "BATCH", 2)
    told: list[tuple[int, int]] = []
    search(progress=lambda done, whole: told.append((done, whole)))
    assert len(told) > 1
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert {whole for _, whole in told} == {told[-1][0]}


def test_sensitivity_is_told_of_the_best_alone() -> None:
    asked: dict[str, Any] = {**GIVEN, **dataclasses.asdict(LOAD), "tp": 1}
    found = farthing.search("gpt-3-1.3b", "1x4:rtx-4090", task="training", sensitivity=True, **asked)
    plain = farthing.search("gpt-3-1.3b", "1x4:rtx-4090", task="training", **asked)
    first, *others = found.result.best
    assert estimate(first).sensitivity
    assert others
    assert not any(estimate(choice).sensitivity for choice in others)
    bare = dataclasses.replace(estimate(first), sensitivity=())
    assert dataclasses.replace(first, training=bare) == plain.result.best[0]
    alone = farthing.train("gpt-3-1.3b", "1x4:rtx-4090", workload=LOAD, plan=bare.plan, sensitivity=True)
    assert alone.sensitivity == estimate(first).sensitivity
    assert found.best == estimate(first)


def test_json_keeps_all_of_it() -> None:
    result = search(front=("step", "memory"), limits=limited("run_usd")[0], objective="memory").result
    assert result.miss
    assert result.broken
    text = msgspec.json.encode(result)
    assert msgspec.json.decode(text, type=SearchResult, strict=True) == result


def test_nothing_that_fits_raises_where_one_is_demanded() -> None:
    found = search(limits=Limits(usd_per_million_tokens=1e-9))
    assert not found.result.best
    assert not found.result.front
    with pytest.raises(Infeasible, match=r"keeps the limits: the nearest .*costs \$"):
        _ = found.best
    assert not found.table["fits"].any()


def test_ideal_is_faster() -> None:
    assert winner(search(ideal=True)).step_s < winner(search()).step_s


@pytest.mark.parametrize("front", [(), ("step", "memory")])
def test_processes_find_the_same(front: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SHARED", 0)
    monkeypatch.setattr(training, "COUNTED", 0)
    monkeypatch.setattr(training_thorough, "BATCH", 3)
    model, cluster = catalog.model("llama-2-7b"), parse_cluster("2x8:a100-sxm-80gb@ib-hdr")
    load = TrainingWorkload(sequence_tokens=4096, global_batch_size=64)
    told: list[tuple[int, int]] = []
    alone, shared = (
        search_training(
            model,
            cluster,
            load,
            {"offload": "none"},
            front=front,
            workers=workers,
            progress=lambda done, all_: told.append((done, all_)),
        )
        for workers in (1, 2)
    )
    assert shared.result == alone.result
    assert shared.more_memory == alone.more_memory
    assert told[-1][0] == told[-1][1]
