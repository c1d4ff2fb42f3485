"""Random models, clusters and plans that the checks of an estimate let through.

Each fixture is a Hypothesis strategy; a test draws from it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from farthing.catalog.cluster import parse_cluster
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.workload import InferenceWorkload, TrainingWorkload

CARDS = ("rtx-4090", "a100-sxm-80gb", "h100-sxm", "t4", "mi300x", "l40s", "m2-ultra")
NETWORKS = ("1gbe", "10gbe", "25gbe", "ib-hdr", "ib-ndr")


class InferenceCase(NamedTuple):
    """What `farthing.infer` takes."""

    model: Model
    cluster: Cluster
    workload: InferenceWorkload
    plan: InferencePlan


class TrainingCase(NamedTuple):
    """What `farthing.train` takes."""

    model: Model
    cluster: Cluster
    workload: TrainingWorkload
    plan: TrainingPlan


def divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    return [size for size in range(1, number + 1) if number % size == 0]


@st.composite
def _models(draw: DrawFn) -> Model:
    heads = draw(st.sampled_from((4, 8, 16, 32)))
    head_dim = draw(st.sampled_from((64, 128)))
    hidden = heads * head_dim
    layers = draw(st.sampled_from((1, 2, 3, 8, 12, 32)))
    fields: dict[str, Any] = {}
    mixer = draw(st.sampled_from(("full", "full", "window", "mla", "linear")))
    if mixer == "window":
        fields |= {"mixer_pattern": draw(st.sampled_from(("w", "wwf"))), "window": 512}
    elif mixer == "mla":
        fields |= {
            "q_lora_rank": hidden // 4,
            "kv_lora_rank": 256,
            "qk_rope_head_dim": 64,
            "qk_nope_head_dim": head_dim,
            "v_head_dim": head_dim,
        }
    elif mixer == "linear":
        fields |= {
            "mixer_pattern": draw(st.sampled_from(("l", "llf"))),
            "linear_kind": draw(st.sampled_from(("gated-deltanet", "mamba2"))),
            "linear_key_heads": heads,
            "linear_value_heads": heads,
            "linear_key_head_dim": 64,
            "linear_value_head_dim": head_dim,
            "linear_conv_kernel": 4,
        }
    if draw(st.booleans()):
        experts = draw(st.sampled_from((8, 16, 64)))
        fields |= {
            "ffn_pattern": "m",
            "dense_layers": draw(st.sampled_from((0, 1))),
            "experts": experts,
            "experts_per_token": draw(st.sampled_from((1, 2, 4))),
            "moe_ffn_hidden": draw(st.sampled_from((512, 2048))),
            "shared_experts": draw(st.sampled_from((0, 1))),
        }
    return Model(
        id="random",
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=heads if mixer == "mla" else draw(st.sampled_from(divisors(heads))),
        head_dim=head_dim,
        vocab=draw(st.sampled_from((1000, 32000, 151936))),
        max_context=32768,
        ffn_hidden=draw(st.sampled_from((2, 4))) * hidden,
        gated_ffn=draw(st.booleans()),
        norm=draw(st.sampled_from(("rmsnorm", "layernorm"))),
        tied_embeddings=draw(st.booleans()),
        parallel_attention=draw(st.booleans()),
        **fields,
    )


@st.composite
def _clusters(draw: DrawFn) -> Cluster:
    hosts = draw(st.sampled_from((1, 1, 2, 4, 8)))
    cards = draw(st.sampled_from((1, 2, 4, 8)))
    card, network = draw(st.sampled_from(CARDS)), draw(st.sampled_from(NETWORKS))
    return parse_cluster(f"{hosts}x{cards}:{card}" + (f"@{network}" if hosts > 1 else ""))


@st.composite
def _inference_cases(draw: DrawFn) -> InferenceCase:
    model, cluster = draw(_models()), draw(_clusters())
    batch = draw(st.sampled_from((1, 2, 8, 64)))
    tp = draw(st.sampled_from([s for s in divisors(cluster.count) if model.heads % s == 0]))
    pp = draw(st.sampled_from([s for s in divisors(cluster.count // tp) if s <= model.layers]))
    dp = draw(st.sampled_from([s for s in divisors(cluster.count // tp // pp) if s <= batch]))
    ep = draw(
        st.sampled_from([s for s in divisors(tp * dp) if model.is_moe and model.experts % s == 0] or [1])
    )
    workload = InferenceWorkload(
        batch_size=batch,
        prompt_tokens=draw(st.sampled_from((1, 100, 2048))),
        output_tokens=draw(st.sampled_from((1, 64, 500))),
        prefix_share=draw(st.sampled_from((0.0, 0.5))),
    )
    return InferenceCase(model, cluster, workload, InferencePlan(tp=tp, pp=pp, dp=dp, ep=ep))


@st.composite
def _training_cases(draw: DrawFn) -> TrainingCase:
    model, cluster = draw(_models()), draw(_clusters())
    tokens = draw(st.sampled_from((512, 4096)))
    tp = draw(st.sampled_from([s for s in divisors(cluster.count) if model.heads % s == 0]))
    pp = draw(st.sampled_from([s for s in divisors(cluster.count // tp) if s <= model.layers]))
    cp = draw(st.sampled_from(divisors(cluster.count // tp // pp)))
    dp = cluster.count // tp // pp // cp
    expert_tp = draw(st.sampled_from((0, 1)))
    over = tp * cp * dp // (expert_tp or tp)
    ep = draw(st.sampled_from([s for s in divisors(over) if model.is_moe and model.experts % s == 0] or [1]))
    interleave = draw(st.sampled_from([v for v in (1, 2) if pp > 1 and pp * v <= model.layers] or [1]))
    micro_batch = draw(st.sampled_from((1, 2)))
    plan = TrainingPlan(
        tp=tp,
        pp=pp,
        cp=cp,
        dp=dp,
        ep=ep,
        expert_tp=expert_tp,
        zero_stage=draw(st.sampled_from((0, 1, 2, 3))),
        micro_batch_size=micro_batch,
        interleave=interleave,
        schedule="interleaved" if interleave > 1 else draw(st.sampled_from(("1f1b", "gpipe", "zero-bubble"))),
        recompute=draw(st.sampled_from(("none", "selective", "full"))),
        flash_attention=draw(st.booleans()),
        sequence_parallel=draw(st.booleans()),
        overlap_tensor_parallel=draw(st.sampled_from((0.0, 0.7))),
    )
    batch = dp * micro_batch * pp * draw(st.sampled_from((1, 4)))
    return TrainingCase(
        model, cluster, TrainingWorkload(sequence_tokens=tokens, global_batch_size=batch), plan
    )


@pytest.fixture(scope="session")
def models() -> SearchStrategy[Model]:
    """Transformers with all kinds of mixers and feed-forward networks."""
    return _models()


@pytest.fixture(scope="session")
def clusters() -> SearchStrategy[Cluster]:
    """Like hosts with catalogue cards."""
    return _clusters()


@pytest.fixture(scope="session")
def inference_cases() -> SearchStrategy[InferenceCase]:
    """A model, cluster, load and plan."""
    return _inference_cases()


@pytest.fixture(scope="session")
def training_cases() -> SearchStrategy[TrainingCase]:
    """A model, cluster, run and plan."""
    return _training_cases()
