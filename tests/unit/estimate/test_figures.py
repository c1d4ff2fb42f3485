"""The figures of many plans in one call equal those of each plan alone."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.estimate.cost import CostBasis
from farthing.estimate.figures import Figures, figures
from farthing.estimate.run import run_of
from farthing.estimate.subject import subject
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

SHAPES = ((8, 1, 1, 1), (1, 8, 1, 1), (2, 2, 2, 1), (1, 2, 4, 4), (4, 1, 2, 8), (1, 3, 2, 2))
BATCHES = (1, 8, 13, 64)
MICRO_BATCHES = (0, 1, 3)
CHUNKS = (0, 4, 600, 2048)

CASES = (
    ("llama-2-70b", "1x8:h100-sxm", "vllm", "bf16", {}),
    ("deepseek-v3", "2x8:h200-sxm@ib-ndr", "sglang", "fp8", {"draft_tokens": 2}),
    ("mixtral-8x7b", "8x1:rtx-4090@10gbe", "petals", "bnb-nf4", {"prefix_share": 0.5}),
    ("gemma-3-27b", "1x8:rtx-4090", "llama.cpp", "q4_k_m", {}),
    ("gemma-3-27b", "4x2:m2-ultra@10gbe", "exo", "mlx-4bit", {}),
    ("llama-2-7b", "8x1:raspberry-pi-5@1gbe", "distributed-llama", "q4_0", {}),
    ("qwen3-next-80b-a3b", "1x8:h100-sxm", "vllm", "bf16", {"output_tokens": 0}),
)


def leaves(found: Figures) -> dict[str, object]:
    """All numbers by name."""
    flat: dict[str, object] = {}
    for field in dataclasses.fields(Figures):
        value = getattr(found, field.name)
        if dataclasses.is_dataclass(value):
            flat |= {f"{field.name}.{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)}
        else:
            flat[field.name] = value
    return flat


@pytest.mark.parametrize(("model", "cluster", "engine", "weights", "load"), CASES)
def test_columns_equal_scalars(
    model: str, cluster: str, engine: str, weights: str, load: dict[str, float]
) -> None:
    shape = catalog.model(model)
    about = subject(shape, parse_cluster(cluster), weight_format=weights, compute_format="", engine=engine)
    workload = InferenceWorkload(**load)  # type: ignore[arg-type]
    basis = CostBasis()
    splits = [split for split in SHAPES if shape.is_moe or split[3] == 1]
    plan = InferencePlan(
        **dict(zip(("tp", "pp", "dp", "ep"), np.array(splits).T, strict=True)),
        chunk_tokens=np.array(CHUNKS).reshape(-1, 1, 1),
        micro_batches=np.array(MICRO_BATCHES).reshape(-1, 1, 1, 1),
        weight_format=weights,
        engine=engine,
    )
    many = leaves(figures(run_of(about, workload, plan, np.array(BATCHES).reshape(-1, 1)), basis))
    axes = [range(len(axis)) for axis in (MICRO_BATCHES, CHUNKS, BATCHES, splits)]
    whole = {
        name: np.broadcast_to(np.asarray(value, dtype=float), [len(axis) for axis in axes])
        for name, value in many.items()
    }
    for place in itertools.product(*axes):
        m, c, b, s = place
        tp, pp, dp, ep = splits[s]
        if dp * MICRO_BATCHES[m] > BATCHES[b] or dp > BATCHES[b]:
            continue
        one = InferencePlan(
            tp=tp,
            pp=pp,
            dp=dp,
            ep=ep,
            chunk_tokens=CHUNKS[c],
            micro_batches=MICRO_BATCHES[m],
            weight_format=weights,
            engine=engine,
        )
        alone = figures(run_of(about, dataclasses.replace(workload, batch_size=BATCHES[b]), one), basis)
        for name, value in leaves(alone).items():
            assert whole[name][place] == pytest.approx(float(value), rel=1e-12), (name, place)  # type: ignore[arg-type]


def test_an_encoder_is_paid_for_all_prompts_of_the_batch() -> None:
    found = farthing.infer("bert-large", "1x4:h100-sxm", tp=1, dp=4, batch_size=64, prompt_tokens=128)
    rate = 64 * 128 / found.batch_prefill_s
    assert [cost.tokens_per_usd * cost.usd_per_s for cost in found.costs] == [
        pytest.approx(rate),
        pytest.approx(rate),
    ]


def test_an_encoder_spends_energy_on_what_it_reads() -> None:
    found = farthing.infer("bert-base", "rtx-4090", batch_size=8)
    read = found.requests_per_s * found.workload.prompt_tokens
    assert found.energy_per_token_j == pytest.approx(found.power_w / read)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"tp": 8}, "traffic between tensor-parallel cards"),
        ({"dp": 8, "ep": 8}, "traffic between the experts' cards"),
        ({"tp": 2, "dp": 4, "ep": 4}, "tensor- and expert-parallel traffic"),
    ],
)
def test_traffic_is_named_by_what_it_is_for(sizes: dict[str, int], words: str) -> None:
    found = farthing.infer("mixtral-8x7b", "1x8:h100-sxm", tp=1, pp=1, batch_size=64).plan
    plan = dataclasses.replace(found, **{"tp": 1, "dp": 1, **sizes})
    parts = farthing.infer("mixtral-8x7b", "1x8:h100-sxm", plan=plan, batch_size=64)
    for names in ({part.name for part in parts.decode}, {part.name for part in parts.prefill}):
        assert {name for name in names if "traffic" in name} == {words}


def test_unevenly_popular_experts_are_told() -> None:
    uneven = farthing.infer("mixtral-8x7b", "1x8:h100-sxm", tp=8).assumptions
    assert "some experts get more tokens than others: routing_spread 0.5" in uneven
    even = farthing.infer("mixtral-8x7b", "1x8:h100-sxm", tp=8, routing_spread=0.0).assumptions
    assert "tokens are spread evenly over the experts" in even
