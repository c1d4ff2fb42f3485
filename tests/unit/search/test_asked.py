"""What callers of Python ask: numbers of NumPy are taken, nonsense gets a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import farthing
from farthing.errors import InvalidInput
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.search.asked import usual_batch

RIG = "1x8:a100-sxm-80gb"
TRAINING: Mapping[str, Any] = {"task": "training", "offload": "none", "pp": 1, "cp": 1}


def ask(**more: Any) -> Any:
    return farthing.search("llama-2-7b", RIG, **more)


@pytest.mark.parametrize("value", [np.int64(4), np.array([4]), np.array([4, 16]), range(4, 5), [4], (4,)])
def test_sizes_may_come_from_arrays(value: Any) -> None:
    assert ask(tp=value, batch_size=8).best.plan.tp == 4
    assert ask(**TRAINING, tp=value).best.plan.tp == 4


def test_scalars_of_numpy_are_plain_in_the_answer() -> None:
    found = ask(
        batch_size=np.int32(8), ttft_s=np.float32(1), top=np.int64(2), weight_format=np.array(["fp8"])
    )
    assert type(found.best.workload.batch_size) is int
    assert type(found.result.limits.ttft_s) is float
    assert len(found.result.best) == 2
    assert found.best.plan.weight_format == "fp8"
    run = ask(**TRAINING, global_batch_size=np.int64(64), sequence_parallel=np.bool_(True))
    assert type(run.best.workload.global_batch_size) is int
    assert type(farthing.infer("llama-2-7b", RIG, tp=np.int64(8)).plan.tp) is int
    assert type(farthing.train("llama-2-7b", RIG, dp=np.int64(8)).plan.dp) is int


def test_a_front_may_be_a_tuple_or_a_list() -> None:
    for front in (("tpot", "usd"), ["tpot", "usd"]):
        assert ask(front=front).result.front_objectives == ("tpot", "usd")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"task": "serve"}, "task must be inference or training"),
    ({"task": None}, "task must be inference or training"),
    ({"objective": "cheap"}, "there are tokens-per-s, ttft"),
    ({"objective": ("usd", "tpot")}, "there are tokens-per-s, ttft"),
    ({"front": "tpot"}, "two or three objectives, not tpot; write e.g. tpot,usd"),
    ({"front": ["tpot", "tpot"]}, "two or three objectives"),
    ({"front": ["tpot", "usd", "memory", "energy"]}, "two or three objectives"),
    ({"front": [1, 2]}, "no objective 1"),
    ({"top": 0}, "top must be a whole number of at least 1"),
    ({"top": "3"}, "top must be a whole number"),
    ({"top": 2.5}, "top must be a whole number"),
    ({"tp": []}, "tp has no value"),
    ({"tp": np.array([])}, "tp has no value"),
    ({"tp": "8"}, "tp must be a whole number"),
    ({"tp": ["4", "8"]}, "tp must be a whole number"),
    ({"tp": 4.0}, "tp must be a whole number"),
    ({"tp": np.float64(4)}, "tp must be a whole number"),
    ({"tp": True}, "tp must be a whole number"),
    ({"tp": None}, "tp must be a whole number"),
    ({"tp": {4, 8}}, "tp must be a whole number"),
    ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    ({"prompt_tokens": [128, 256]}, "prompt_tokens must be a whole number"),
    ({"weight_format": [None]}, "weight_format must be a name"),
    ({"engine": "vlmm"}, "did you mean vllm"),
    ({"engine": "megatron-lm"}, "megatron-lm trains models: choose one that serves them"),
    ({"engine": ["vllm", "torchtitan"]}, "torchtitan trains models"),
    ({"engine": "mlx"}, "MLX LM does not run on A100 SXM4 80 GB: choose another"),
    ({"ttft_s": "1s"}, "ttft_s must be a number of 0 or more"),
    ({"ttft_s": float("nan")}, "ttft_s must be a number of 0 or more"),
    ({"limits": {"ttft_s": 1}}, "Limits needed, .*; give a record, or its fields as options"),
    ({"max_batch_size": 1.5}, "max_batch_size must be a whole number"),
    ({"max_batch_size": 8, "batch_size": [16, 64]}, "batch_size of 16 is above max_batch_size 8"),
    ({"headroom_share": 1}, "headroom_share must be in"),
    ({"run_s": 100.0}, "run_s is for training"),
    ({"tpp": 4}, "did you mean tp"),
    ({"dp": 16}, "the plan needs tp x pp x dp = 16 cards"),
    ({"dp": 2, "micro_batches": 4, "batch_size": 4}, "micro_batches=4 in flight need a batch of at least 8"),
    ({"stage_layers": (16, 16), "tp": 8}, "the plan needs tp x pp x dp = 16 cards"),
    ({**TRAINING, "tp": []}, "tp has no values"),
    ({**TRAINING, "tp": "2"}, "tp must be a whole number"),
    ({**TRAINING, "tp": [3, 5]}, r"has tp=\[3, 5\], pp=1, cp=1: allow other sizes"),
    ({**TRAINING, "zero_stage": [1, 4]}, "zero_stage must be 0, 1, 2 or 3"),
    ({**TRAINING, "schedule": 3}, "schedule must be one of"),
    ({**TRAINING, "sequence_parallel": "yes"}, "sequence_parallel must be true or false"),
    ({**TRAINING, "flash_attention": 1}, "flash_attention must be true or false"),
    ({**TRAINING, "sequence_tokens": "4096"}, "sequence_tokens must be a whole number"),
    ({**TRAINING, "sequence_tokens": 0}, "sequence_tokens must be at least 1"),
    ({**TRAINING, "global_batch_size": [64, 128]}, "global_batch_size must be a whole number"),
    ({**TRAINING, "recompute_share": float("nan")}, "recompute_share must be in 0..1"),
    ({**TRAINING, "recompute_share": 0.5, "recompute": "none"}, "recompute_share goes with recompute=full"),
    ({**TRAINING, "recompute_layers": 2, "recompute": "selective"}, "goes with recompute=full"),
    ({**TRAINING, "interleave": 2}, "interleaving needs a pipeline"),
    ({**TRAINING, "schedule": "interleaved"}, "interleaving needs a pipeline"),
    ({**TRAINING, "pp": 2, "interleave": 2, "schedule": "1f1b"}, "needs the schedule interleaved"),
    ({**TRAINING, "pp": 2, "interleave": 1, "schedule": "interleaved"}, "an interleave of at least 2"),
    ({**TRAINING, "first_spared": 100}, "first_spared=100 leaves no layer"),
    ({**TRAINING, "engine": "vllm"}, "vllm serves models: choose one that trains them"),
    ({**TRAINING, "run_s": 1.0}, "needs training_tokens: say how many"),
    ({**TRAINING, "ttft_s": 1.0}, "ttft_s is for inference"),
]


@pytest.mark.parametrize(("more", "words"), BAD, ids=lambda value: str(value)[-50:])
def test_nonsense_is_explained(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        ask(**more)


def test_part_of_the_layers_means_full_recomputation() -> None:
    best = ask(**TRAINING, recompute_share=0.5).best
    assert (best.plan.recompute, best.plan.recompute_share) == ("full", 0.5)


def test_records_of_the_wrong_kind() -> None:
    load = TrainingWorkload(sequence_tokens=128, global_batch_size=8)
    with pytest.raises(InvalidInput, match="InferenceWorkload needed"):
        farthing.infer("llama-2-7b", RIG, workload=load)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="both of training or both of inference"):
        farthing.launch("vllm", "llama-2-7b", RIG, workload=load, plan=InferencePlan())
    with pytest.raises(InvalidInput, match="unknown engine 'none'"):
        farthing.launch(None, "llama-2-7b", RIG, workload=InferenceWorkload(), plan=InferencePlan())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="plan must be a DisaggregatedPlan"):
        farthing.infer_disaggregated("llama-2-7b", RIG, SimpleNamespace())  # type: ignore[arg-type]


def test_the_usual_batch_is_a_power_of_two() -> None:
    for cards in (1, 7, 24, 16_384):
        batch = usual_batch(cards, 4096)
        assert batch >= 1
        assert batch & (batch - 1) == 0
