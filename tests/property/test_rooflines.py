"""No prediction beats the physics: FLOPs / peak, bytes / bandwidth, bytes / link rate, messages x latency.

The bounds are worked out here anew, from the shapes and the data sheets, and hold for any plan.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

import farthing
from farthing.catalog import accelerator, efficiency
from farthing.catalog.cluster import parse_cluster
from farthing.predict.attention import attention_flop, attention_time_s
from farthing.predict.collectives import (
    Axis,
    all_reduce_time_s,
    axis_all_gather_time_s,
    axis_all_to_all_time_s,
)
from farthing.predict.communication import (
    all_gather_time_s,
    all_to_all_time_s,
    direct_all_reduce_time_s,
    point_to_point_time_s,
    ring_all_reduce_time_s,
    tree_all_reduce_time_s,
)
from farthing.predict.compute import experts_matmul_time_s, matmul_time_s
from farthing.predict.device import device, peak_flop_per_s
from farthing.predict.kv_cache import attention_shape, linear_width
from farthing.records.efficiency import IDEAL
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

SLACK = 1 + 1e-9
sizes = st.integers(1, 20_000)
rates = st.floats(1e8, 1e12)
latencies = st.floats(0, 1e-2)
cards = st.sampled_from(("rtx-4090", "a100-sxm-80gb", "h100-sxm", "m2-ultra", "mi300x"))


def a_device(name: str, ideal: bool) -> Any:
    card = accelerator(name)
    return device(card, "bf16", IDEAL if ideal else efficiency(card))


@given(sizes, sizes, sizes, cards, st.booleans())
def test_matmul(m: int, n: int, k: int, name: str, ideal: bool) -> None:
    card = a_device(name, ideal)
    time = matmul_time_s(m, n, k, device=card)
    assert time * SLACK >= 2 * m * n * k / card.matmul_flop_per_s
    assert time * SLACK >= 2 * (m * k + k * n + m * n) / card.memory_bytes_per_s


@given(st.integers(1, 5000), st.integers(1, 128), sizes, sizes, cards, st.booleans())
def test_grouped_matmul(slots: int, active: int, n: int, k: int, name: str, ideal: bool) -> None:
    assume(active <= slots)
    card = a_device(name, ideal)
    time = experts_matmul_time_s(slots, active, n, k, device=card)
    assert time * SLACK >= 2 * slots * n * k / card.matmul_flop_per_s
    assert time * SLACK >= 2 * (active * k * n + slots * (k + n)) / card.memory_bytes_per_s


@given(sizes, sizes, st.sampled_from((1, 8, 64)), cards, st.booleans())
def test_attention(new: int, context: int, heads: int, name: str, ideal: bool) -> None:
    card = a_device(name, ideal)
    work = attention_flop(new, context, heads=heads, qk_dim=128, v_dim=128)
    traffic = 512.0 * heads * (new + context)
    time = attention_time_s(work, traffic, device=card)
    assert time * SLACK >= 4 * new * context * heads * 128 / card.attention_flop_per_s
    assert time * SLACK >= traffic / card.memory_bytes_per_s


@given(st.floats(1, 1e12), st.integers(2, 4096), rates, latencies)
def test_flat_collectives(message: float, ranks: int, rate: float, latency: float) -> None:
    link = {"bytes_per_s": rate, "latency_s": latency}
    share = (ranks - 1) / ranks * message / rate
    for all_reduce in (ring_all_reduce_time_s, tree_all_reduce_time_s, direct_all_reduce_time_s):
        assert all_reduce(message, ranks, **link) * SLACK >= max(2 * share, 2 * latency)
    for one_way in (all_gather_time_s, all_to_all_time_s):
        assert one_way(message, ranks, **link) * SLACK >= max(share, latency)
    assert point_to_point_time_s(message, **link) * SLACK >= max(message / rate, latency)


@given(
    st.floats(1, 1e12), st.sampled_from((1, 2, 4, 8)), st.integers(1, 64), rates, latencies, rates, latencies
)
def test_collectives_by_host(
    message: float,
    inside: int,
    hosts: int,
    inside_rate: float,
    inside_latency: float,
    rate: float,
    latency: float,
) -> None:
    axis = Axis(
        ranks=inside * hosts,
        inside=inside,
        inside_bytes_per_s=inside_rate,
        inside_latency_s=inside_latency,
        across_bytes_per_s=rate,
        across_latency_s=latency,
    )
    # All ports of a host together carry what has to leave it; a card sends all but its own share.
    leaves = (hosts - 1) / hosts * message / (rate * inside)
    sends = (axis.ranks - 1) / axis.ranks * message / (inside_rate + rate)
    steps = max(latency if hosts > 1 else 0, inside_latency if inside > 1 else 0)
    bound = max(leaves, sends, steps)
    assert all_reduce_time_s(message, axis) * SLACK >= 2 * bound
    assert axis_all_gather_time_s(message, axis) * SLACK >= bound
    away = (hosts - 1) / hosts * message / rate
    assert axis_all_to_all_time_s(message, axis) * SLACK >= max(away, sends, steps)


def matrix_parameters(model: Any, kind: Any) -> tuple[float, float]:
    """Weights of a layer that every token passes, and of one routed expert, matrices alone."""
    hidden = model.hidden
    shared = 0.0
    if kind.mixer in ("full", "window"):
        heads, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
        if model.is_mla:
            shared += hidden * (model.q_lora_rank + model.kv_lora_rank + model.qk_rope_head_dim)
            shared += (model.q_lora_rank or hidden) * heads * qk_dim
            shared += model.kv_lora_rank * heads * (model.qk_nope_head_dim + v_dim)
        else:
            shared += hidden * (heads * qk_dim + kv_heads * (qk_dim + v_dim))
        shared += heads * v_dim * hidden
    elif kind.mixer == "linear":
        shared += hidden * linear_width(model)
        shared += hidden * model.linear_value_heads * model.linear_value_head_dim
    matrices = 3 if model.gated_ffn else 2
    if kind.feed_forward == "dense":
        return shared + matrices * hidden * model.ffn_hidden, 0.0
    shared += hidden * model.experts + matrices * hidden * model.shared_experts * model.moe_ffn_hidden
    return shared, matrices * hidden * model.moe_ffn_hidden


def active_flop_per_token(model: Any) -> float:
    """Products of one token with the weights of all layers."""
    total = 0.0
    for kind in model.layer_kinds:
        shared, expert = matrix_parameters(model, kind)
        total += 2 * (shared + model.experts_per_token * expert)
    return total


def all_reduces_s(case: Any, message: float, latencies: int = 2) -> float:
    """The least time of one all-reduce over the tensor-parallel cards, whatever the algorithm."""
    group = case.cluster.groups[0]
    hosts = math.ceil(case.plan.tp / group.accelerators_per_host)
    if hosts == 1:
        return 0.0
    network = case.cluster.network
    wire = 2 * (hosts - 1) / hosts * message / (network.bytes_per_s * group.nics_per_host)
    return max(wire, latencies * network.latency_s)


def exchanges(model: Any) -> int:
    """All-reduces of a forward pass under tensor parallelism."""
    return model.layers * (1 if model.parallel_attention else 2)


@given(data=st.data(), ideal=st.booleans())
def test_prefill(inference_cases: Any, data: st.DataObject, ideal: bool) -> None:
    case = data.draw(inference_cases)
    model, plan, group = case.model, case.plan, case.cluster.groups[0]
    found = farthing.infer(model, case.cluster, workload=case.workload, plan=plan, ideal=ideal)
    peak = peak_flop_per_s(group.accelerator, "bf16")
    one = max(1.0, case.workload.prompt_tokens * (1 - case.workload.prefix_share))
    tokens = one * case.workload.batch_size
    # The prompts of the batch keep all cards busy at best; one prompt has one replica, experts of all.
    everywhere = plan.tp * plan.pp * plan.dp
    assert found.batch_prefill_s * SLACK >= tokens * active_flop_per_token(model) / (everywhere * peak)
    assert found.ttft_s * SLACK >= one * active_flop_per_token(model) / (everywhere * peak)
    assert found.ttft_s * SLACK >= exchanges(model) * all_reduces_s(case, one * model.hidden * 2)
    if plan.tp * plan.pp > group.accelerators_per_host:
        hosts = math.ceil(plan.tp * plan.pp / group.accelerators_per_host)
        stages = min(hosts, plan.pp)
        wire = one * model.hidden * 2 / (case.cluster.network.bytes_per_s * group.nics_per_host)
        assert found.ttft_s * SLACK >= (stages - 1) * max(case.cluster.network.latency_s, wire)


@given(data=st.data(), ideal=st.booleans())
def test_decode(inference_cases: Any, data: st.DataObject, ideal: bool) -> None:
    case = data.draw(inference_cases)
    model, plan, group = case.model, case.plan, case.cluster.groups[0]
    found = farthing.infer(model, case.cluster, workload=case.workload, plan=plan, ideal=ideal)
    bandwidth = group.accelerator.memory_bytes_per_s
    sequences = case.workload.batch_size / plan.dp
    micro_batches = 1 if plan.pp == 1 else min(plan.pp, math.floor(sequences))
    together = sequences / micro_batches
    context = case.workload.decode_context_tokens
    read = model.vocab * model.hidden * 2.0 / plan.tp
    for kind in model.layer_kinds:
        shared, expert = matrix_parameters(model, kind)
        read += shared * 2 / plan.tp
        read += model.experts_per_token * expert * 2 / (plan.ep * max(plan.tp // plan.ep, 1))
        if kind.mixer in ("full", "window"):
            kept = min(context, model.window) if kind.mixer == "window" else context
            if model.is_mla:
                values = model.kv_lora_rank + model.qk_rope_head_dim
            else:
                _, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
                values = max(kv_heads / plan.tp, 1) * (qk_dim + v_dim)
            read += together * kept * values * 2
        elif kind.mixer == "linear":
            state = model.linear_value_heads * model.linear_key_head_dim * model.linear_value_head_dim
            read += together * state * 4 / plan.tp
    assert found.tpot_s * SLACK >= read / bandwidth
    peak = peak_flop_per_s(group.accelerator, "bf16")
    work = active_flop_per_token(model) + 2 * model.vocab * model.hidden
    all_cards = plan.tp * plan.pp * plan.dp * peak
    assert found.tokens_per_s <= all_cards / work * SLACK
    assert found.tpot_s * SLACK >= exchanges(model) * all_reduces_s(case, together * model.hidden * 2)
    if plan.tp * plan.pp > group.accelerators_per_host:
        hosts = math.ceil(plan.tp * plan.pp / group.accelerators_per_host)
        if plan.pp > 1:
            assert found.tpot_s * SLACK >= (min(hosts, plan.pp) - 1) * case.cluster.network.latency_s


@given(data=st.data(), ideal=st.booleans())
def test_training_step(training_cases: Any, data: st.DataObject, ideal: bool) -> None:
    case = data.draw(training_cases)
    model, plan, group = case.model, case.plan, case.cluster.groups[0]
    found = farthing.train(model, case.cluster, workload=case.workload, plan=plan, ideal=ideal)
    count = plan.tp * plan.pp * plan.cp * plan.dp
    tokens = case.workload.sequence_tokens * case.workload.global_batch_size
    peak = peak_flop_per_s(group.accelerator, "bf16")
    layers, head = active_flop_per_token(model), 2 * model.vocab * model.hidden
    passes = 4 if plan.recompute == "full" else 3
    assert found.step_s * SLACK >= tokens * (passes * layers + 3 * head) / (count * peak)
    # Two all-reduces a layer in each direction, and again where the forward pass is repeated.
    micro_batches = case.workload.global_batch_size / (plan.dp * plan.micro_batch_size)
    message = plan.micro_batch_size * case.workload.sequence_tokens / plan.cp * model.hidden * 2
    each = (passes - 1) * exchanges(model) / plan.pp * micro_batches
    hidden = 0.3 if plan.overlap_tensor_parallel else 1
    assert found.step_s * SLACK >= hidden * each * all_reduces_s(case, message)


@given(data=st.data(), ideal=st.booleans())
def test_gradients_cross_the_network(training_cases: Any, data: st.DataObject, ideal: bool) -> None:
    """Each host sends and receives (n-1)/n of its stage's gradients, and of as much again in weights."""
    model = dataclasses.replace(data.draw(training_cases).model, ffn_pattern="d")
    hosts, tp = data.draw(st.sampled_from((2, 4, 16))), data.draw(st.sampled_from((1, 2, 4)))
    cp = data.draw(st.sampled_from((1, 2)))
    cluster = parse_cluster(f"{hosts}x4:h100-sxm@{data.draw(st.sampled_from(('1gbe', '100gbe', 'ib-ndr')))}")
    stage = data.draw(st.sampled_from((0, 1, 2, 3)))
    plan = TrainingPlan(tp=tp, cp=cp, dp=hosts * 4 // tp // cp, zero_stage=stage)
    workload = TrainingWorkload(sequence_tokens=512, global_batch_size=2 * plan.dp)
    found = farthing.train(model, cluster, workload=workload, plan=plan, ideal=ideal)
    gradients = 2 * sum(matrix_parameters(model, kind)[0] for kind in model.layer_kinds)
    passes = 3 if stage == 3 else 2
    ports = cluster.network.bytes_per_s * cluster.groups[0].nics_per_host
    assert found.step_s * SLACK >= passes * (hosts - 1) / hosts * gradients / ports
    assert found.step_s * SLACK >= passes * cluster.network.latency_s


@given(data=st.data())
def test_utilisation_stays_below_one(training_cases: Any, data: st.DataObject) -> None:
    case = data.draw(training_cases)
    found = farthing.train(case.model, case.cluster, workload=case.workload, plan=case.plan)
    assert 0 < found.mfu <= 1
    assert 0 < found.hfu <= 1
    assert found.hfu * SLACK >= found.mfu
    assert math.isclose(sum(part.value for part in found.parts), found.step_s, rel_tol=1e-9)
    assert math.isclose(sum(part.share for part in found.parts), 1, rel_tol=1e-9)
