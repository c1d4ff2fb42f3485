"""Parameters that one card holds under tensor, pipeline and expert parallelism."""

from __future__ import annotations

import functools

from farthing.predict.memory import adapted_kind, lora_expert_parameters, lora_parameters
from farthing.predict.parameters import (
    embedding_parameters,
    final_norm_parameters,
    head_parameters,
    layer_parameters,
)
from farthing.predict.stages import Stage, layer_kinds
from farthing.predict.trace import Number, formula, is_plain, larger, named, select
from farthing.records.model import LayerKind, Model
from farthing.records.plan import TrainingPlan


def expert_tp_of(plan: TrainingPlan) -> Number:
    """Cards that share one expert: ``expert_tp``, or ``tp`` where it is 0.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    Number

    References
    ----------
    lepikhin-2020

    Examples
    --------
    >>> expert_tp_of(TrainingPlan(tp=4)), expert_tp_of(TrainingPlan(tp=4, expert_tp=1))
    (4, 1)
    """
    if isinstance(plan.expert_tp, int):
        return plan.expert_tp or plan.tp
    return select(plan.expert_tp == 0, plan.tp, plan.expert_tp)


def layer_shard_parameters(
    model: Model, kind: LayerKind, *, tp: Number, expert_groups: Number = 1, expert_tp: Number = 1
) -> tuple[Number, Number]:
    """Parameters of one layer on one card: those that data parallelism replicates, and routed experts.

    Parameters
    ----------
    model, kind
        The layer.
    tp, expert_groups, expert_tp
        Sizes, scalar or column.

    Returns
    -------
    Number, Number
        Shared parameters, routed expert parameters.

    References
    ----------
    shoeybi-2019, lepikhin-2020

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> shared, experts = layer_shard_parameters(model("llama-2-70b"), LayerKind("full", "dense"), tp=8)
    >>> round(shared / 1e6), experts
    (107, 0.0)
    """
    held = layer_parameters(model, kind)
    split = held.attention - held.key_value + held.linear_mixer + held.dense_ffn + held.shared_experts
    kv_heads = max((model.window_kv_heads if kind.mixer == "window" else 0) or model.kv_heads, 1)
    shared = parameters_on_a_card(split, held.key_value, held.replicated, tp=tp, kv_heads=kv_heads)
    if not held.routed_experts:
        return shared, 0.0
    return shared, named("routed experts of a layer", held.routed_experts) / (expert_groups * expert_tp)


@formula(reference="shoeybi-2019", unit="")
def parameters_on_a_card(
    split: Number, key_value: Number, replicated: Number, *, tp: Number, kv_heads: Number
) -> Number:
    """Parameters of a layer on one card, routed experts aside.

    ``split / tp + key_value × max(1 / tp, 1 / kv_heads) + replicated``: a KV head is not cut.

    Parameters
    ----------
    split
        Matrices that tensor parallelism cuts freely, scalar or column.
    key_value
        Projections of keys and values.
    replicated
        Norms, biases, router, latents.
    tp, kv_heads
        Tensor parallel size, KV heads.

    Returns
    -------
    Number
        Scalar or column.

    References
    ----------
    shoeybi-2019

    Examples
    --------
    >>> parameters_on_a_card(838_860_800, 16_777_216, 16_384, tp=8, kv_heads=8)
    106971136.0
    """
    return split / tp + key_value * larger(1 / tp, 1 / kv_heads) + replicated


def head_copy_parameters(model: Model, pp: Number) -> Number:
    """Parameters of the LM head that the last stage holds beside the embedding.

    A tied head is a second copy as soon as the pipeline parts it from the embedding.

    Parameters
    ----------
    model
        The model.
    pp
        Stages, scalar or column.

    Returns
    -------
    Number
        Scalar or column.

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import model
    >>> [head_copy_parameters(model("gpt-2-124m"), pp) for pp in (1, 2)]
    [0, 38597376]
    """
    copy = model.vocab * (model.embedding_hidden or model.hidden)
    return head_parameters(model) + (select(pp > 1, copy, 0) if model.tied_embeddings else 0)


def stage_layer_parameters(
    model: Model, stage: Stage, *, tp: Number, expert_groups: Number = 1, expert_tp: Number = 1
) -> tuple[Number, Number]:
    """Parameters of a pipeline stage's layers on one card: shared ones, routed experts.

    Parameters
    ----------
    model, stage
        The stage.
    tp, expert_groups, expert_tp
        Sizes, scalar or column.

    Returns
    -------
    Number, Number

    References
    ----------
    shoeybi-2019, lepikhin-2020

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.predict.stages import stages
    >>> shape = model("llama-2-70b")
    >>> shared, _ = stage_layer_parameters(shape, stages(shape, 8)[0], tp=8)
    >>> round(shared / 1e9, 2)
    1.07
    """
    shared: Number = 0.0
    experts: Number = 0.0
    for kind, count in zip(layer_kinds(model), stage.counts, strict=True):
        a, b = layer_shard_parameters(model, kind, tp=tp, expert_groups=expert_groups, expert_tp=expert_tp)
        shared = shared + count * a
        experts = experts + count * b
    return shared, experts


def stage_vocabulary_parameters(model: Model, stage: Stage, *, tp: Number, pp: Number) -> Number:
    """Parameters of embedding, head and what lies beside them, on one card of a stage.

    Parameters
    ----------
    model, stage
        The stage.
    tp, pp
        Sizes, scalar or column.

    Returns
    -------
    Number

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.predict.stages import stages
    >>> shape = model("llama-2-70b")
    >>> stage_vocabulary_parameters(shape, stages(shape, 1)[0], tp=8, pp=1)
    65544192.0
    """
    embedding = stage.first * embedding_parameters(model)
    head = stage.last * (head_copy_parameters(model, pp) + model.other_parameters)
    return vocabulary_on_a_card(embedding, head, final_norm=stage.last * final_norm_parameters(model), tp=tp)


@formula(reference="narayanan-2021", name="embedding and head on a card", unit="")
def vocabulary_on_a_card(embedding: Number, head: Number, *, final_norm: Number, tp: Number) -> Number:
    """Parameters of embedding and head on one card: both are cut by the vocabulary, the last norm is not.

    Parameters
    ----------
    embedding, head, final_norm
        Parameters, scalar or column; 0 where the stage has none.
    tp
        Tensor parallel size.

    Returns
    -------
    Number
        Scalar or column.

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> vocabulary_on_a_card(262_144_000, 262_144_000, final_norm=8192, tp=8)
    65544192.0
    """
    return (embedding + head) / tp + final_norm


def stage_parameters(
    model: Model, stage: Stage, *, tp: Number, pp: Number, expert_groups: Number = 1, expert_tp: Number = 1
) -> tuple[Number, Number]:
    """Parameters of a pipeline stage on one card: shared ones (embedding and head counted), routed experts.

    Parameters
    ----------
    model, stage
        The stage.
    tp, pp, expert_groups, expert_tp
        Sizes, scalar or column.

    Returns
    -------
    Number, Number

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.predict.stages import stages
    >>> shape = model("llama-2-70b")
    >>> shared, _ = stage_parameters(shape, stages(shape, 8)[0], tp=8, pp=8)
    >>> round(shared / 1e9, 2)
    1.1
    """
    if is_plain(stage.index, tp, pp, expert_groups, expert_tp):
        return _remembered_parameters(model, stage, tp, pp, expert_groups, expert_tp)
    return _stage_parameters(model, stage, tp, pp, expert_groups, expert_tp)


def _stage_parameters(
    model: Model, stage: Stage, tp: Number, pp: Number, expert_groups: Number, expert_tp: Number
) -> tuple[Number, Number]:
    shared, experts = stage_layer_parameters(
        model, stage, tp=tp, expert_groups=expert_groups, expert_tp=expert_tp
    )
    return shared + stage_vocabulary_parameters(model, stage, tp=tp, pp=pp), experts


# Time and memory of a plan ask for the same stages.
_remembered_parameters = functools.lru_cache(maxsize=4096)(_stage_parameters)


def stage_lora_parameters(
    model: Model,
    stage: Stage,
    *,
    rank: int,
    tp: Number,
    expert_groups: Number = 1,
    expert_tp: Number = 1,
    targets: str = "all",
) -> tuple[Number, Number]:
    """Adapter parameters of a pipeline stage on one card: shared ones, and those of routed experts.

    Parameters
    ----------
    model, stage
        The stage.
    rank, tp, expert_groups, expert_tp
        Rank of the adapters, and sizes as in `stage_layer_parameters`.
    targets
        What they stand beside, as in `adapted_kind`.

    Returns
    -------
    Number, Number

    References
    ----------
    hu-2021-lora

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.predict.stages import stages
    >>> shape = model("llama-2-7b")
    >>> stage_lora_parameters(shape, stages(shape, 1)[0], rank=8, tp=1)
    (19988480.0, 0.0)
    """
    shared: Number = 0.0
    experts: Number = 0.0
    for kind, count in zip(layer_kinds(model), stage.counts, strict=True):
        kind = adapted_kind(kind, targets)
        routed = lora_expert_parameters(model, kind, rank)
        shared = shared + count * (lora_parameters(model, kind, rank) - routed) / tp
        if routed:
            experts = experts + count * routed / (expert_groups * expert_tp)
    return shared, experts
