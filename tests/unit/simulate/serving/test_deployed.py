"""Plans made ready: replicas, caches and lanes, worked out anew from the plan's memory."""

from __future__ import annotations

from typing import Any

import pytest

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import Infeasible, InvalidInput
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool
from farthing.records.serving import Scheduler
from farthing.records.workload import InferenceWorkload
from farthing.simulate.serving.deployed import Deployed, deployed, scheduler_of

TYPICAL = 1250.0


def made(name: str, cluster: str, plan: Any, scheduler: Scheduler | None = None, **more: Any) -> Deployed:
    return deployed(
        catalog.model(name),
        parse_cluster(cluster),
        plan,
        scheduler or Scheduler(),
        InferenceWorkload(),
        typical_tokens=more.pop("typical_tokens", TYPICAL),
        **more,
    )


def test_the_cache_is_what_weights_and_activations_leave() -> None:
    found = made("llama-2-70b", "2x8:h100-sxm@ib-ndr", InferencePlan(tp=4, pp=2, dp=2, engine="vllm"))
    memory = found.decode.run.memory(1, TYPICAL)
    free = float(memory.capacity_bytes - memory.weight_bytes - memory.activation_peak_bytes)
    free -= float(memory.workspace_bytes)
    # 8 heads of keys and values of 128, two bytes, 40 of 80 layers, over four cards; 16 tokens a block.
    block = 2 * 8 * 128 * 2 * 40 / 4 * 16
    assert found.decode.machine.kv_blocks == int(free / block)
    assert (found.replicas, found.decode.cards, found.cards, found.readers) == (2, 8, 16, 0)
    assert (found.decode.machine.lanes, found.decode.machine.lockstep) == (2, False)
    # There and back over PCIe 5.0 x16.
    bus = catalog.link("pcie5-x16")
    assert found.decode.machine.swap_s_per_block == pytest.approx(
        2 * block / bus.bytes_per_s / bus.efficiency
    )


def test_one_replica_has_one_batch() -> None:
    found = made("llama-2-7b", "rtx-4090", InferencePlan(engine="vllm"))
    assert (found.replicas, found.decode.machine.lanes, found.decode.machine.lockstep) == (1, 1, False)
    sized = made("llama-2-7b", "rtx-4090", InferencePlan(engine="vllm"), replicas=5)
    assert sized.deployment(16).replicas == 5


def test_ranks_that_share_experts_are_one_replica() -> None:
    found = made("mixtral-8x7b", "8:h100-sxm", InferencePlan(dp=8, ep=8, engine="vllm"))
    machine = found.decode.machine
    assert (found.replicas, found.decode.ranks, found.decode.cards) == (1, 8, 8)
    assert (machine.lanes, machine.lockstep) == (8, True)
    assert machine.kv_blocks % 8 == 0
    assert any("8 ranks share experts" in note for note in found.notes)


def test_sequences_are_no_more_than_blocks() -> None:
    tight = made("llama-2-7b", "rtx-4090", InferencePlan(engine="vllm"), Scheduler(block_tokens=4096))
    assert tight.decode.scheduler.max_sequences == tight.decode.machine.kv_blocks < 256


def test_larger_budgets_leave_less_cache() -> None:
    small, large = (
        made("llama-2-7b", "rtx-4090", InferencePlan(engine="vllm"), Scheduler(token_budget=budget))
        for budget in (512, 16384)
    )
    assert large.decode.machine.kv_blocks < small.decode.machine.kv_blocks


def test_two_sides() -> None:
    half = Pool(accelerators_per_host=4)
    plan = DisaggregatedPlan(
        prefill=InferencePlan(tp=2, dp=2, engine="vllm"),
        decode=InferencePlan(tp=4, engine="vllm"),
        prefill_pool=half,
        decode_pool=half,
    )
    found = made("llama-2-7b", "8:h100-sxm", plan)
    assert (found.readers, found.replicas, found.cards) == (2, 1, 8)
    assert found.prefill is not None
    assert (found.prefill.machine.reads_only, found.decode.machine.reads_only) == (True, False)
    deployment = found.deployment(512)
    assert (deployment.readers, deployment.replicas, deployment.prefix_tokens) == (2, 1, 512)
    assert deployment.reader is found.prefill.machine
    # Keys and values of 32 layers, 32 heads of 128, two bytes, go over more than no time at less than peak.
    one, two = found.transfer_s(1000), found.transfer_s(2000)
    assert 0 < one < two
    wire = 1000 * 2 * 32 * 32 * 128 * 2 / (two - one)
    assert 10e9 < wire < 900e9, "between a network card and NVLink"


def test_what_does_not_fit() -> None:
    with pytest.raises(
        Infeasible, match=r"each card needs .* GiB more for the weights and one request of 1,250"
    ):
        made("llama-2-70b", "rtx-4090", InferencePlan(engine="vllm"))


def test_encoders_write_nothing() -> None:
    encoder = next(name for name, found in catalog.models().items() if found.encoder)
    with pytest.raises(InvalidInput, match="there is nothing to play"):
        made(encoder, "rtx-4090", InferencePlan())


def test_schedulers_are_those_of_the_engine() -> None:
    cluster = parse_cluster("8:h100-sxm")
    assert scheduler_of("vllm", cluster)[0].id == "vllm-large"
    assert scheduler_of("vllm", parse_cluster("rtx-4090"))[0].id == "vllm"
    assert scheduler_of("sglang", cluster)[0].mixes is False
    assert scheduler_of("tensorrt-llm", cluster)[0].reserved_share == 1
    found, notes = scheduler_of("", cluster)
    assert found.id == "vllm-large"
    assert notes == ("no engine: passes are put together as vLLM does",)
