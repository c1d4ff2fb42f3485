"""Memory of the fullest card in serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.predict.kv_cache import kept_tokens, kv_bytes_per_token, kv_cache_bytes, state_bytes
from farthing.predict.memory import CONTEXT_BYTES, weight_bytes
from farthing.predict.placement import Place
from farthing.predict.sharding import stage_layer_parameters, stage_vocabulary_parameters
from farthing.predict.stages import layer_kinds
from farthing.predict.trace import Number, larger, named, smaller
from farthing.records.model import Model
from farthing.records.plan import InferencePlan

SMALL_CONTEXT_SHARE: Final = 0.05
"""Most of its memory that a small board spends on a driver's context; an assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceMemory:
    """Bytes on one card of the stage with the least room, by what they hold; scalar or column.

    ``sequence_bytes`` is the cache of one sequence on that card, ``capacity_bytes`` the card's size.
    """

    weight_bytes: Number
    kv_cache_bytes: Number
    activation_peak_bytes: Number
    workspace_bytes: Number
    total_bytes: Number
    capacity_bytes: Number
    sequence_bytes: Number

    @property
    def free_bytes(self) -> Number:
        """Room that is left; negative where the plan does not fit [byte]."""
        return self.capacity_bytes - self.total_bytes


def inference_memory(
    model: Model,
    placed: Sequence[Place],
    plan: InferencePlan,
    *,
    sequences: Number,
    context_tokens: Number,
    step_tokens: Number,
    weight_size: float = 2.0,
    expert_size: float = 0.0,
    head_size: float = 2.0,
    kv_size: float = 2.0,
    reserve_share: float = 0.0,
    window_spare_tokens: float = 0.0,
) -> InferenceMemory:
    """Memory of the card with the least room left.

    Parameters
    ----------
    model, placed, plan
        What lies where; sizes of the plan may be columns.
    sequences
        Of one replica.
    context_tokens
        That the cache must hold for each.
    step_tokens
        Tokens of the largest forward pass, whose activations live at once.
    weight_size, expert_size, head_size, kv_size
        Of one element of layers, of routed experts (0: as the layers), of embedding and head, of the
        cache [byte].
    reserve_share
        Share of the card that the engine leaves unused.
    window_spare_tokens
        Entries that the engine's cache of a window layer has beyond the window.

    Returns
    -------
    InferenceMemory
        [byte]

    References
    ----------
    kwon-2023, pope-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.predict.placement import places
    >>> from farthing.records.efficiency import IDEAL
    >>> cluster = parse_cluster("1x8:rtx-4090")
    >>> plan = InferencePlan(tp=8)
    >>> placed = places(model("llama-2-70b"), cluster, plan, [device(cluster.groups[0].accelerator, "fp16")],
    ...                 [IDEAL])
    >>> memory = inference_memory(model("llama-2-70b"), placed, plan, sequences=8, context_tokens=4096,
    ...                           step_tokens=512)
    >>> round(memory.weight_bytes / 1e9, 1), round(8 * memory.kv_cache_bytes / 1e9, 2)
    (17.2, 10.74)
    """
    expert_tp = larger(plan.tp // plan.ep, 1)
    kinds: list[Number] = []
    for kind in layer_kinds(model):
        per_token = kv_bytes_per_token(model, kind, bytes_per_element=kv_size, tp=plan.tp)
        kept = kept_tokens(model, kind, context_tokens, spare_tokens=window_spare_tokens)
        cached = kv_cache_bytes(1, kept, bytes_per_token=per_token)
        kinds.append(cached + state_bytes(model, kind, tp=plan.tp))
    width = larger(model.ffn_hidden, model.experts_per_token * model.moe_ffn_hidden)
    inner = (
        named("tokens of a pass", step_tokens)
        * 2.0
        * (4 * named("hidden", model.hidden) + 3 * named("inner width", width) / plan.tp)
    )
    tightest: InferenceMemory | None = None
    for place in placed:
        stage = place.stage
        shared, experts = stage_layer_parameters(
            model, stage, tp=plan.tp, expert_groups=plan.ep, expert_tp=expert_tp
        )
        vocabulary = stage_vocabulary_parameters(model, stage, tp=plan.tp, pp=plan.pp)
        if expert_size in (0.0, weight_size):
            layers = named("layer parameters on a card", shared + experts)
            stored = weight_bytes(layers, bytes_per_parameter=weight_size)
        else:
            stored = weight_bytes(shared, bytes_per_parameter=weight_size) + weight_bytes(
                experts, bytes_per_parameter=expert_size
            )
        weights = named("layer weights_bytes", stored) + named(
            "embedding and head weights_bytes", weight_bytes(vocabulary, bytes_per_parameter=head_size)
        )
        per_sequence: Number = 0.0
        for each, count in zip(kinds, stage.counts, strict=True):
            per_sequence = per_sequence + count * each
        cache = named("KV cache of a card_bytes", sequences * per_sequence, reference="kwon-2023")
        logits = stage.last * sequences * model.vocab * 4.0 / plan.tp
        activations = named("activations_bytes", inner + named("logits_bytes", logits))
        workspace = named(
            "workspace_bytes",
            larger(
                named("card's memory_bytes", place.device.memory_bytes)
                * max(reserve_share, place.device.reserved_share),
                smaller(
                    CONTEXT_BYTES,
                    named("card's memory_bytes", place.device.memory_bytes) * SMALL_CONTEXT_SHARE,
                ),
            ),
        )
        here = InferenceMemory(
            weight_bytes=weights,
            kv_cache_bytes=cache,
            activation_peak_bytes=activations,
            workspace_bytes=workspace,
            total_bytes=weights + cache + activations + workspace,
            capacity_bytes=place.device.memory_bytes,
            sequence_bytes=per_sequence,
        )
        tightest = here if tightest is None else _tighter(tightest, here)
    assert tightest is not None  # a model has at least one stage
    return tightest


def _tighter(a: InferenceMemory, b: InferenceMemory) -> InferenceMemory:
    less = b.free_bytes < a.free_bytes
    if not isinstance(less, np.ndarray):
        return b if less else a
    fields = InferenceMemory.__dataclass_fields__
    pairs = {name: (getattr(b, name), getattr(a, name)) for name in fields}
    return InferenceMemory(**{n: b if b is a else np.where(less, b, a) for n, (b, a) in pairs.items()})
