"""Builds that train: what they cost worked by hand, limits that they keep, bounds that nothing beats."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from farthing import api, catalog
from farthing.catalog.cluster import parse_cluster
from farthing.design import training as training_module
from farthing.design.ask import design
from farthing.design.runs import Job, Runs
from farthing.errors import InvalidInput, UnknownName
from farthing.estimate.cost import CostBasis
from farthing.records.design import Build, DesignLimits, DesignResult
from farthing.records.search import Limits
from farthing.records.workload import TrainingWorkload
from farthing.units import DAY, YEAR

MODEL = catalog.model("llama-3.2-1b")
CARDS = ["rtx-3090", "h100-sxm"]
QUESTION: dict[str, Any] = {
    "task": "training",
    "training_tokens": 20e9,
    "run_s": 20 * DAY,
    "accelerators": CARDS,
    "most_hosts": 8,
}


def asked(**changes: Any) -> DesignResult:
    return design(MODEL, **{**QUESTION, **changes})


@pytest.fixture(scope="module")
def result() -> DesignResult:
    return asked()


def one(result: DesignResult, card: str, way: str) -> Build:
    (found,) = [build for build in result.best if (build.accelerator, build.way) == (card, way)]
    return found


def test_builds_are_in_order_of_money_and_in_time(result: DesignResult) -> None:
    assert result.task == "training"
    assert len(result.best) >= 3
    money = [build.run_usd for build in result.best]
    assert money == sorted(money)
    assert all(0 < build.run_s <= 20 * DAY for build in result.best)
    assert len({(build.accelerator, build.way) for build in result.best}) == len(result.best)
    assert result.candidates > result.evaluated > 0


def test_owned_money_by_hand(result: DesignResult) -> None:
    build = one(result, "rtx-3090", "own")
    training = build.training
    assert training is not None
    assert training.reliability is not None
    capital = sum(row.quantity * row.usd for row in build.bill)
    assert build.capital_usd == pytest.approx(capital)
    # 4M tokens a step: 1024 sequences of 4096.
    assert (training.workload.global_batch_size, training.workload.sequence_tokens) == (1024, 4096)
    share = training.reliability.effective_time_share
    run_s = 20e9 / (1024 * 4096) * training.step_s / share
    assert build.run_s == pytest.approx(run_s)
    kwh = build.power_w / 1000 * run_s / 3600
    money = capital * run_s / (3 * YEAR) + kwh * 0.12
    assert build.run_usd == pytest.approx(money)
    assert build.usd_per_million_tokens * 20e9 / 1e6 == pytest.approx(money)
    assert build.tokens_per_s == pytest.approx(20e9 / run_s)
    assert sum(part.usd_per_s for part in build.expenses) == pytest.approx(build.usd_per_s)


def test_power_by_hand(result: DesignResult) -> None:
    build = one(result, "rtx-3090", "own")
    assert build.training is not None
    assert build.hosts == 1
    card, host = catalog.accelerator("rtx-3090"), catalog.host(build.host)
    # At rest 12% of the limit; of the rest all for arithmetic, half for memory, which is half busy.
    idle = card.idle_w or 0.12 * card.tdp_w
    drawn = idle + (card.tdp_w - idle) * (build.training.hfu + 0.5 * 0.5)
    host_w = host.load_w or 80 + 60 * build.accelerators_per_host
    assert build.power_w == pytest.approx((build.accelerators * min(drawn, card.tdp_w) + host_w) * 1.2)


def test_rented_money_by_hand() -> None:
    build = asked(ways="rent", usd_per_hour={"h100-sxm": 2.5}, accelerators=["h100-sxm"]).best[0]
    assert build.run_usd == pytest.approx(build.accelerators * 2.5 * build.run_s / 3600)
    assert build.capital_usd == 0
    assert [row.part for row in build.bill] == ["accelerator"]


def test_the_plan_is_what_a_search_of_the_cluster_finds(result: DesignResult) -> None:
    build = one(result, "rtx-3090", "own")
    found = api.search(
        MODEL, build.cluster, task="training", training_tokens=20e9, global_batch_size=1024, offload="none"
    )
    assert build.training is not None
    # The search knows nothing of the host, which is as good as this one's.
    assert found.best.step_s == pytest.approx(build.training.step_s, rel=0.05)


def test_plans_use_what_is_bought(result: DesignResult) -> None:
    for build in result.best:
        assert build.training is not None
        assert build.training.fits
        assert build.training.accelerators == build.accelerators == build.hosts * build.accelerators_per_host


def test_less_time_takes_more_cards() -> None:
    slow, fast = (asked(run_s=days * DAY, accelerators=["rtx-3090"], ways="own").best[0] for days in (20, 4))
    assert fast.run_s <= 4 * DAY
    assert fast.accelerators > slow.accelerators


def test_least_capital_is_the_fewest_hosts_in_time() -> None:
    cheap = asked(objective="capital", ways="own", accelerators=["rtx-3090"], run_s=4 * DAY).best[0]
    quick = asked(accelerators=["rtx-3090"], ways="own", run_s=4 * DAY).best[0]
    assert cheap.capital_usd <= quick.capital_usd
    assert cheap.run_s <= 4 * DAY
    assert cheap.run_usd >= quick.run_usd * 0.99


def test_least_power() -> None:
    frugal = asked(objective="power", ways="own", run_s=10 * DAY).best[0]
    cheap = asked(ways="own", run_s=10 * DAY).best
    assert frugal.power_w <= min(build.power_w for build in cheap)


def test_the_shortest_run_within_a_capital() -> None:
    build = asked(objective="run", run_s=0, capital_usd=20_000, ways="own", accelerators=["rtx-3090"]).best[0]
    cheap = asked(ways="own", accelerators=["rtx-3090"]).best[0]
    assert build.capital_usd <= 20_000
    assert build.run_s < cheap.run_s


@pytest.mark.parametrize(
    ("limit", "figure"),
    [
        ({"run_usd": 450.0}, "run_usd"),
        ({"power_w": 4000.0}, "power_w"),
        ({"most_accelerators": 4}, "accelerators"),
        ({"usd_per_s": 0.5 / 3600}, "usd_per_s"),
        ({"capital_usd": 15_000.0}, "capital_usd"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_limits_are_kept(limit: dict[str, float], figure: str) -> None:
    (most,) = limit.values()
    found = asked(limits=DesignLimits(**limit))  # type: ignore[arg-type]
    assert all(getattr(build, figure) <= most * (1 + 1e-9) for build in found.best)
    assert found.best or found.miss


def test_what_is_in_the_way_is_named() -> None:
    found = asked(run_s=60.0, accelerators=["rtx-3090"], ways="own")
    assert not found.best
    assert "without the limit on the run's time, rtx-3090 would do" in found.miss


def test_a_run_without_end_is_no_build() -> None:
    found = asked(training_tokens=1e30, accelerators=["rtx-3090"], ways="own")
    assert not found.best
    assert found.miss


def test_nothing_helps() -> None:
    found = design(
        catalog.model("llama-3.1-405b"),
        task="training",
        training_tokens=1e12,
        run_s=DAY,
        accelerators=["rtx-3090"],
        most_hosts=1,
    )
    assert not found.best
    assert "no single limit" in found.miss


def test_rented_hosts_are_joined_by_an_assumption() -> None:
    changes: dict[str, Any] = {
        "ways": "rent",
        "accelerators": ["h100-sxm"],
        "training_tokens": 2e12,
        "most_hosts": 64,
    }
    build = asked(**changes).best[0]
    assert build.hosts > 1
    assert build.cluster.endswith("@100gbe")
    assert any("joined by" in warning.text for warning in build.warnings if warning.kind == "network")
    faster = asked(**changes, rented_network="ib-ndr").best[0]
    assert faster.run_usd < build.run_usd


def test_rented_cards_for_games_stand_alone() -> None:
    found = asked(ways="rent", accelerators=["rtx-3090"], training_tokens=2e10, run_s=60 * DAY)
    assert all(build.hosts == 1 for build in found.best)


def test_owning_pays_after_some_time(result: DesignResult) -> None:
    (other,) = result.alternatives
    own = next(build for build in result.best if build.way == "own")
    running = own.power_w / 1000 / 3600 * 0.12
    saved = other.usd_per_million_tokens * own.tokens_per_s / 1e6 - running
    assert other.break_even_s == pytest.approx(own.capital_usd / saved)


def test_sensitivity_by_hand(result: DesignResult) -> None:
    changes = {change.what: change.factor for change in result.sensitivity}
    best = result.best[0]
    assert best.way == "own"
    power = next(part.share for part in best.expenses if part.name == "electricity")
    assert changes["electricity at twice the price"] == pytest.approx(1 + power)
    assert changes["electricity at half the price"] == pytest.approx(1 - power / 2)


def test_given_fields_are_kept() -> None:
    found = asked(accelerators=["h100-sxm"], ways="own", recompute="full", zero_stage=3)
    for build in found.best:
        assert build.training is not None
        assert (build.training.plan.recompute, build.training.plan.zero_stage) == ("full", 3)


def test_adapters_train_on_less() -> None:
    every = asked(accelerators=["rtx-3090"], ways="own").best[0]
    adapters = asked(accelerators=["rtx-3090"], ways="own", lora_rank=16).best[0]
    assert adapters.run_usd < every.run_usd


def test_two_processes_find_the_same(monkeypatch: pytest.MonkeyPatch, result: DesignResult) -> None:
    monkeypatch.setattr(training_module, "SHARED", 1)
    again = asked(workers=2)
    assert [build.run_usd for build in again.best] == [build.run_usd for build in result.best]
    assert again.candidates == result.candidates


@pytest.mark.parametrize(
    "card", ["rtx-3090", "h100-sxm", "v100-pcie-16gb", "arc-a770", "tpu-v5e", "m2-ultra"]
)
@pytest.mark.parametrize("model", ["llama-3.2-1b", "mixtral-8x7b"])
def test_no_cluster_beats_the_bounds(card: str, model: str) -> None:
    job = Job(
        model=catalog.model(model),
        workload=TrainingWorkload(sequence_tokens=2048, global_batch_size=64, training_tokens=1e9),
        given={"offload": "none"},
        limits=Limits(),
        basis=CostBasis(),
    )
    runs = Runs(job, catalog.accelerator(card))
    assert runs.alone is not None
    several = not runs.card.unified_memory
    for cluster in (
        (f"1x8:{card}", f"2x4:{card}@ib-ndr", f"8x4:{card}@10gbe") if several else (f"1x1:{card}",)
    ):
        on = parse_cluster(cluster)
        hoped, real = runs.hoped_step_s(on.count), runs.best(on)
        assert runs.alone.step_s / on.count <= hoped * (1 + 1e-9)
        if real is None:
            continue
        assert hoped <= real.step_s * (1 + 1e-9)
        full = runs.full(on)
        assert full is not None
        assert full.step_s <= real.step_s * (1 + 1e-9)
        assert runs.alone.step_s / on.count <= full.step_s * (1 + 1e-9)
        assert runs.alone.work_s / on.count <= full.step_s * full.hfu * (1 + 1e-9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training_tokens": 0}, "training_tokens"),
        ({"training_tokens": float("nan")}, "training_tokens"),
        ({"training_tokens": -1.0}, "training_tokens"),
        ({"run_s": 0}, "run_s"),
        ({"run_s": -1.0}, "run_s"),
        ({"run_s": float("nan")}, "run_s"),
        ({"objective": "tpot"}, "no objective 'tpot' in training"),
        ({"objective": "run"}, "the shortest run needs a limit"),
        ({"objective": "capital"}, "ways own"),
        ({"tpot_s": 0.1}, "tpot_s is for inference"),
        ({"tokens_per_s": 5.0}, "training has no demand"),
        ({"front": ["usd", "power"]}, "front"),
        ({"tp": 8}, "a design finds tp itself"),
        ({"recompute": "some"}, "recompute must be one of"),
        ({"zero_stage": []}, "zero_stage has no values"),
        ({"engine": "vllm"}, "serves models"),
        ({"optimizer": "adamw2"}, "unknown optimizer"),
        ({"headroom_share": 1.0}, "headroom_share"),
        ({"global_batch_size": 0}, "global_batch_size"),
        ({"sequence_tokens": 0}, "sequence_tokens"),
        ({"kv_format": "fp8"}, "unknown option 'kv_format'"),
        ({"top": 0}, "top must be"),
        ({"ways": "steal"}, "ways must be"),
        ({"most_hosts": 0}, "most_hosts must be at least 1"),
        ({"workload": 3}, "TrainingWorkload needed"),
    ],
)
def test_bad_questions_say_what_to_do(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        asked(**changes)


def test_unknown_names() -> None:
    with pytest.raises(UnknownName, match="network"):
        asked(rented_network="carrier-pigeon")
    with pytest.raises(UnknownName, match="engine"):
        asked(engine="megatronn")


def test_serving_refuses_limits_of_a_run() -> None:
    with pytest.raises(InvalidInput, match="run_s is for training"):
        design(MODEL, tokens_per_s=100, run_s=5.0)
    with pytest.raises(InvalidInput, match="no objective 'run'"):
        design(MODEL, tokens_per_s=100, objective="run")


def test_a_workload_record_does_as_well(result: DesignResult) -> None:
    load = TrainingWorkload(sequence_tokens=4096, global_batch_size=1024, training_tokens=20e9)
    again = design(MODEL, task="training", workload=load, run_s=20 * DAY, accelerators=CARDS, most_hosts=8)
    assert [dataclasses.replace(build) for build in again.best] == list(result.best)


def test_memory_is_kept_free() -> None:
    for share in (0.05, 0.5):
        build = asked(accelerators=["h100-sxm"], ways="own", headroom_share=share).best[0]
        assert build.training is not None
        memory = build.training.memory
        assert memory.free_bytes >= share * memory.capacity_bytes * (1 - 1e-9)


def test_step_by_roofline(result: DesignResult) -> None:
    for build in result.best:
        assert build.training is not None
        card = catalog.accelerator(build.accelerator)
        peak = max(card.bf16_flop_per_s, card.fp16_flop_per_s, card.fp16_fp32_accumulate_flop_per_s)
        work = 6 * 1.0e9 * 20e9  # fewer parameters than the model has
        assert build.run_s > work / peak / build.accelerators
    assert np.isfinite(result.best[0].run_usd)


@pytest.mark.parametrize(
    "given",
    [
        {"recompute": "none"},
        {"recompute": "full", "recompute_share": [0.25, 1.0]},
        {"schedule": "interleaved", "interleave": 2, "pp": 2},
        {"zero_stage": 3},
        {"offload": "optimizer"},
    ],
    ids=lambda given: ",".join(given),
)
def test_what_is_given_may_go_with_what_is_compared(given: dict[str, Any]) -> None:
    job = Job(
        model=MODEL,
        workload=TrainingWorkload(sequence_tokens=2048, global_batch_size=64, training_tokens=1e9),
        given={"offload": "none", **given},
        limits=Limits(),
        basis=CostBasis(),
    )
    found = Runs(job, catalog.accelerator("h100-sxm")).best(parse_cluster("1x8:h100-sxm"))
    assert found is not None
    for name, value in given.items():
        allowed = value if isinstance(value, list) else [value]
        assert getattr(found.plan, name) in allowed
