"""What a caller asks of a search: workload, plan fields that are fixed or may vary, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.subject import filled, plain, refuse_unknown, serving_load
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.search import Limits
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.search.inference_space import Axes

BATCH_TOKENS: Final = 4 * 2**20
"""Tokens of a step of LLaMA-2 (touvron-2023-llama2)."""

SEQUENCES_PER_CARD: Final = 8
"""Sequences of a step where that many cards do not reach `BATCH_TOKENS`: enough to fill pipelines; an
assumption."""

CARDS_PER_SEQUENCE: Final = 8
"""Where cards are so many that `BATCH_TOKENS` would leave most without a sequence: LLaMA-3 405B trained 2,048
sequences a step on 16,384 cards (meta-2024-llama3)."""

TRAINING_HEADROOM: Final = 0.05
"""Share of a card that a search of training leaves free unless told otherwise: memory is predicted within
about as much, and a run that does not fit is worth nothing."""


def usual_batch(cards: int, sequence_tokens: int) -> int:
    """Sequences of a step where none are given: a power of two near 4M tokens, less on few cards.

    Examples
    --------
    >>> usual_batch(8, 4096), usual_batch(512, 2048), usual_batch(16_384, 8192)
    (64, 2048, 2048)
    """
    large = max(BATCH_TOKENS // sequence_tokens, cards // CARDS_PER_SEQUENCE, 1)
    wanted = min(SEQUENCES_PER_CARD * cards, large)
    return int(2 ** (wanted.bit_length() - 1))


def training_question(
    model: Model, cluster: Cluster, limits: Limits | None, options: dict[str, Any]
) -> tuple[TrainingWorkload, Mapping[str, Any], Limits]:
    """Workload, fields of the plan that are given, limits.

    Raises
    ------
    InvalidInput
        Options that nothing knows.
    """
    given = _taken(options, TrainingPlan)
    _check_engines(given, "training")
    tokens = plain(options.setdefault("sequence_tokens", min(model.max_context, 4096)))
    if "global_batch_size" not in options:
        # The workload says what is wrong with tokens that are none.
        counted = isinstance(tokens, int) and tokens > 0
        options["global_batch_size"] = usual_batch(cluster.count, tokens) if counted else 1
    if limits is None:
        options.setdefault("headroom_share", TRAINING_HEADROOM)
    kept = filled(limits, Limits, options)
    workload = filled(None, TrainingWorkload, options)
    refuse_unknown(options, TrainingWorkload, TrainingPlan, Limits)
    return workload, given, kept


def inference_question(
    model: Model, cluster: Cluster, limits: Limits | None, options: dict[str, Any]
) -> tuple[InferenceWorkload, InferencePlan, Axes, Limits]:
    """Workload, what of the plan is not searched, axes, limits.

    Raises
    ------
    InvalidInput
        Options that nothing knows, lists where one value is needed.
    """
    known = {field.name for field in fields(Axes)}
    chosen = {name: plain(options.pop(name)) for name in list(options) if name in known}
    if model.native_format:
        chosen.setdefault("weight_format", model.native_format)
    fixed = _taken(options, InferencePlan)
    for name, value in fixed.items():
        if isinstance(value, list) or (isinstance(value, tuple) and name != "stage_layers"):
            raise InvalidInput(f"plan: {name} is no axis of the search; give one value, not {value!r}")
    kept = filled(limits, Limits, options)
    workload = serving_load(model, None, options)
    refuse_unknown(options, InferenceWorkload, InferencePlan, Limits)
    _check_engines(chosen, "serving")
    return workload, InferencePlan(**fixed), Axes.of(**chosen), kept


def _check_engines(given: Mapping[str, Any], kind: str) -> None:
    """An engine that is named must do what is asked."""
    named = given.get("engine", ())
    for id in named if isinstance(named, (list, tuple)) else (named,):
        if id and isinstance(id, str) and catalog.engine(id).kind != kind:
            words = (
                "serves models: choose one that trains them, such as megatron-lm or torchtitan"
                if kind == "training"
                else "trains models: choose one that serves them, such as vllm or llama.cpp"
            )
            raise InvalidInput(f"{id} {words}")


def _taken(options: dict[str, Any], record: type) -> dict[str, Any]:
    """The options that are fields of a record, out of all."""
    known = {field.name for field in fields(record)}
    return {name: plain(options.pop(name)) for name in list(options) if name in known}
