"""Plans as commands of engines: one pure function an engine, and the table of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from farthing.launch.deepspeed import deepspeed
from farthing.launch.llama_cpp import llama_cpp
from farthing.launch.megatron_lm import megatron_lm
from farthing.launch.sglang import sglang
from farthing.launch.tensorrt_llm import tensorrt_llm
from farthing.launch.torchtitan import torchtitan
from farthing.launch.vllm import vllm
from farthing.records.launch import Launch

TRAINING: Final[dict[str, Callable[..., Launch]]] = {
    "megatron-lm": megatron_lm,
    "torchtitan": torchtitan,
    "deepspeed": deepspeed,
}
"""By id of the catalogue: functions of a model, a cluster, a `TrainingWorkload` and a `TrainingPlan`."""

SERVING: Final[dict[str, Callable[..., Launch]]] = {
    "vllm": vllm,
    "sglang": sglang,
    "tensorrt-llm": tensorrt_llm,
    "llama.cpp": llama_cpp,
}
"""The same of an `InferenceWorkload` and an `InferencePlan`."""

LAUNCHERS: Final[dict[str, Callable[..., Any]]] = TRAINING | SERVING
