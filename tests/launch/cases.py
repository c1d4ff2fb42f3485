"""Many plans for every engine: each field of a plan and a workload in all its kinds, drawn once."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import Any, get_args

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.launch import LAUNCHERS, SERVING, TRAINING
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch
from farthing.records.model import Model
from farthing.records.plan import InferencePlan, Offload, RankOrder, Recompute, Schedule, TrainingPlan
from farthing.records.workload import InferenceWorkload, LoraTargets, Optimizer, TrainingWorkload

DENSE = ("llama-2-7b", "llama-3.1-8b", "llama-2-70b", "gpt-3-175b", "qwen3-32b", "gemma-2-9b", "bert-large")
MIXTURES = ("mixtral-8x7b", "deepseek-v3", "qwen3-30b-a3b", "gpt-oss-120b")
CARDS = ("h100-sxm", "a100-sxm-80gb", "rtx-4090", "mi300x")


@dataclass(frozen=True)
class Case:
    """What a launch is asked about."""

    engine: str
    model: Model
    cluster: Cluster
    workload: Any
    plan: Any

    @functools.cached_property
    def launch(self) -> Launch:
        """The commands."""
        found = LAUNCHERS[self.engine](self.model, self.cluster, self.workload, self.plan)
        assert isinstance(found, Launch)
        return found


def cluster_of(cards: int, draw: random.Random) -> Cluster:
    """A cluster with room for so many cards, sometimes with more."""
    card = draw.choice(CARDS)
    per_host = draw.choice([4, 8])
    if cards <= per_host:
        return parse_cluster(f"1x{per_host}:{card}")
    return parse_cluster(f"{-(-cards // per_host)}x{per_host}:{card}@ib-ndr")


def training_case(engine: str, seed: int) -> Case:
    """A plan of training, any field drawn."""
    draw = random.Random(seed)
    model = catalog.model(draw.choice(DENSE + MIXTURES))
    tp, pp = draw.choice([1, 2, 4, 8]), draw.choice([1, 1, 2, 4, 8])
    dp, cp = draw.choice([1, 2, 4, 16]), draw.choice([1, 1, 1, 2])
    expert_tp = draw.choice([0, 1]) if model.is_moe else 0
    widths = [size for size in (1, 2, 4, 8) if tp * cp * dp % (size * (expert_tp or tp)) == 0]
    ep = draw.choice(widths) if model.is_moe else 1
    schedule = draw.choice(get_args(Schedule))
    plan = TrainingPlan(
        tp=tp,
        pp=pp,
        dp=dp,
        cp=cp,
        ep=ep,
        expert_tp=expert_tp,
        sequence_parallel=draw.random() < 0.8,
        zero_stage=draw.choice([0, 1, 1, 2, 3]),
        schedule=schedule,
        interleave=draw.choice([1, 2]) if schedule in ("interleaved", "zero-bubble") else 1,
        first_spared=draw.choice([0, 0, 1]) if pp > 1 else 0,
        last_spared=draw.choice([0, 0, 1]) if pp > 1 else 0,
        rank_order=draw.choice(get_args(RankOrder)),
        micro_batch_size=draw.choice([1, 2]),
        recompute=draw.choice(get_args(Recompute)),
        recompute_layers=draw.choice([1, 1, 2]),
        recompute_share=draw.choice([1.0, 1.0, 0.5]),
        flash_attention=draw.random() < 0.8,
        loss_chunks=draw.choice([1, 1, 4]),
        weight_format=draw.choice(["bf16", "bf16", "fp8", "bnb-nf4"]),
        compute_format=draw.choice(["bf16", "bf16", "fp16", "fp32", "fp8", "fp8-block", "mxfp8", "nvfp4"]),
        gradient_format=draw.choice(["bf16", "fp32"]),
        offload=draw.choice(["none", "none", *get_args(Offload)]),
        offload_to=draw.choice(["memory", "nvme"]),
        overlap_data_parallel=draw.choice([0.0, 1.0]),
        overlap_tensor_parallel=draw.choice([0.0, 0.5]),
        overlap_expert_parallel=draw.choice([0.0, 0.5]),
    )
    workload = TrainingWorkload(
        sequence_tokens=draw.choice([2048, 4096]),
        global_batch_size=draw.choice([256, 512, 300]),
        training_tokens=draw.choice([0.0, 2e12]),
        optimizer=draw.choice(get_args(Optimizer)),
        lora_rank=draw.choice([0, 0, 0, 16]),
        lora_targets=draw.choice(get_args(LoraTargets)),
        predictors=draw.choice([0, 0, 0, 1]),
    )
    return Case(engine, model, cluster_of(tp * pp * dp * cp, draw), workload, plan)


def serving_case(engine: str, seed: int) -> Case:
    """A plan of serving, any field drawn."""
    draw = random.Random(seed)
    model = catalog.model(draw.choice(DENSE + MIXTURES))
    tp, pp, dp = draw.choice([1, 2, 4, 8]), draw.choice([1, 1, 2, 3, 8]), draw.choice([1, 1, 2, 4, 16])
    ep = draw.choice([1, tp, tp * dp]) if model.is_moe else 1
    formats = ["bf16", "fp16", "fp8", "fp8-block", "mxfp4", "nvfp4", "int8", "w4a16", "awq-int4", "gptq-int4"]
    caches = ["fp16", "bf16", "fp8", "fp8-e5m2", "nvfp4", "kv-int8", "q8_0"]
    split = [model.layers // pp] * pp
    split[-1] += model.layers % pp
    plan = InferencePlan(
        tp=tp,
        pp=pp,
        dp=dp,
        ep=ep,
        stage_layers=draw.choice([(), tuple(split)]),
        micro_batches=draw.choice([0, 0, pp, 2]),
        weight_format=draw.choice([*formats, "q4_k_m", "bnb-nf4"]),
        kv_format=draw.choice(caches),
        compute_format=draw.choice(["", "", "fp16"]),
        dense_format=draw.choice(["", "bf16"]) if model.is_moe else "",
        overlap_communication=draw.choice([0.0, 0.0, 0.5]),
        chunk_tokens=draw.choice([0, 512, 8192]),
    )
    workload = InferenceWorkload(
        batch_size=draw.choice([16, 100, 512]),
        prompt_tokens=draw.choice([128, 3000]),
        output_tokens=0 if model.encoder else draw.choice([64, 1000]),
        prefix_share=draw.choice([0.0, 0.5]),
        draft_tokens=draw.choice([0, 0, 4]),
    )
    return Case(engine, model, cluster_of(tp * pp * dp, draw), workload, plan)


@functools.cache
def all_cases(count: int = 200) -> tuple[Case, ...]:
    """So many of every engine."""
    training = [training_case(engine, seed) for engine in TRAINING for seed in range(count)]
    return (*training, *(serving_case(engine, seed) for engine in SERVING for seed in range(count)))


def cases_of(engine: str, count: int = 200) -> list[Case]:
    """Those of an engine."""
    return [case for case in all_cases(count) if case.engine == engine]
