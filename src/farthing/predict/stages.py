"""Which layers lie on which pipeline stage."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from farthing.predict.trace import Number, untraced
from farthing.records.model import LayerKind, Model
from farthing.records.plan import TrainingPlan


@dataclass(frozen=True, slots=True)
class Stage:
    """Pipeline stages that are alike.

    For a column of plans each field is a column; a plan with fewer unlike stages has ``copies`` 0 there.

    Attributes
    ----------
    counts
        Layers of each of the model's kinds, in the order of `layer_kinds`.
    first, last
        1 where the stage holds the embedding, or the head; else 0.
    index
        Place of the earliest such stage, from 0.
    copies
        How many stages are like this one.
    """

    counts: tuple[Number, ...]
    first: Number
    last: Number
    index: Number
    copies: Number

    @property
    def layers(self) -> Number:
        """Layers of one stage."""
        return sum(self.counts)


@functools.lru_cache(maxsize=4096)
def layer_kinds(model: Model) -> tuple[LayerKind, ...]:
    """The unlike layers of a model, in order of first appearance.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    tuple of LayerKind

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import model
    >>> len(layer_kinds(model("llama-2-70b"))), len(layer_kinds(model("deepseek-v3")))
    (1, 2)
    """
    return tuple(dict.fromkeys(model.layer_kinds))


def even_layers(layers: int, pp: int) -> tuple[int, ...]:
    """Layers of each stage when they are spread evenly; the first and last stage never get a spare one
    while a middle stage can, because they hold the embedding and the head.

    Parameters
    ----------
    layers, pp
        Layers of the model, stages.

    Returns
    -------
    tuple of int

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> even_layers(80, 8), even_layers(10, 4)
    ((10, 10, 10, 10, 10, 10, 10, 10), (2, 3, 3, 2))
    """
    base, spare = divmod(layers, pp)
    counts = [base] * pp
    order = [*range(1, pp - 1), 0, pp - 1]
    for stage in order[:spare]:
        counts[stage] += 1
    return tuple(counts)


def spared_layers(layers: int, pp: int, first: int, last: int) -> tuple[int, ...]:
    """Layers of each stage where the ends hold fewer than an even split gives them.

    Parameters
    ----------
    layers, pp
        Layers of the model, stages.
    first, last
        Layers that the first and the last stage are spared.

    Returns
    -------
    tuple of int
        May hold 0 or less where more is spared than there is.

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> spared_layers(126, 16, 0, 0) == spared_layers(126, 16, 1, 1) == (7, *(8,) * 14, 7)
    True
    >>> spared_layers(32, 4, 0, 2)
    (8, 9, 9, 6)
    """
    split = list(even_layers(layers + first + last, pp))
    split[0] -= first
    split[-1] -= last
    return tuple(split)


def plan_stages(model: Model, plan: TrainingPlan) -> tuple[Stage, ...]:
    """The unlike stages of a training plan.

    Parameters
    ----------
    model, plan
        Records; ``pp`` may be a column where no stage is spared layers.

    Returns
    -------
    tuple of Stage

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import model
    >>> [s.layers for s in plan_stages(model("llama-3.1-8b"), TrainingPlan(pp=4, last_spared=2))]
    [8, 9, 6]
    """
    first, last = plan.first_spared, plan.last_spared
    if not (first or last):
        return stages(model, plan.pp)
    pp = int(untraced(plan.pp))
    return _stages_of(model, pp, spared_layers(model.layers, pp, first, last))


@functools.lru_cache(maxsize=4096)
def single_stages(model: Model, stage_layers: tuple[int, ...]) -> tuple[Stage, ...]:
    """Each stage of a pipeline by itself, also where some are alike.

    Parameters
    ----------
    model
        The model.
    stage_layers
        Layers of each stage.

    Returns
    -------
    tuple of Stage
        In their order, with one copy each.

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import model
    >>> [(s.index, s.layers, s.last) for s in single_stages(model("llama-3.1-8b"), (8, 9, 9, 6))]
    [(0, 8, 0), (1, 9, 0), (2, 9, 0), (3, 6, 1)]
    """
    kinds, sequence = layer_kinds(model), model.layer_kinds
    ends = list(itertools.accumulate(stage_layers))
    last = len(stage_layers) - 1
    return tuple(
        Stage(
            tuple(sequence[end - layers : end].count(kind) for kind in kinds),
            int(index == 0),
            int(index == last),
            index,
            1,
        )
        for index, (layers, end) in enumerate(zip(stage_layers, ends, strict=True))
    )


def each_stage(model: Model, plan: TrainingPlan) -> tuple[Stage, ...]:
    """Each stage of a training plan by itself: what `plan_stages` puts together where they are alike.

    Parameters
    ----------
    model, plan
        Records; ``pp`` is one number.

    Returns
    -------
    tuple of Stage

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import model
    >>> [s.layers for s in each_stage(model("llama-3.1-8b"), TrainingPlan(pp=4))]
    [8, 8, 8, 8]
    """
    split = spared_layers(model.layers, plan.pp, plan.first_spared, plan.last_spared)
    return single_stages(model, split)


@functools.lru_cache(maxsize=4096)
def _stages_of(model: Model, pp: int, stage_layers: tuple[int, ...]) -> tuple[Stage, ...]:
    kinds = layer_kinds(model)
    sequence = model.layer_kinds
    split = stage_layers or even_layers(model.layers, pp)
    alike: dict[tuple[tuple[int, ...], int, int], list[int]] = {}
    start = 0
    for index, layers in enumerate(split):
        held = sequence[start : start + layers]
        start += layers
        key = (tuple(held.count(kind) for kind in kinds), int(index == 0), int(index == pp - 1))
        alike.setdefault(key, []).append(index)
    return tuple(
        Stage(counts, first, last, indices[0], len(indices))
        for (counts, first, last), indices in alike.items()
    )


def stages(model: Model, pp: Number, stage_layers: tuple[int, ...] = ()) -> tuple[Stage, ...]:
    """The unlike stages of a pipeline.

    Parameters
    ----------
    model
        The model.
    pp
        Stages, scalar or column.
    stage_layers
        Layers of each stage; empty spreads them evenly. For scalars only.

    Returns
    -------
    tuple of Stage

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import model
    >>> [(s.layers, s.first, s.last, s.copies) for s in stages(model("llama-2-70b"), 8)]
    [(10, 1, 0, 1), (10, 0, 0, 6), (10, 0, 1, 1)]
    """
    pp = untraced(pp)
    if not isinstance(pp, np.ndarray):
        return _stages_of(model, int(pp), stage_layers)
    values, where = np.unique(pp, return_inverse=True)
    tables = [_stages_of(model, int(value), ()) for value in values]
    kinds = len(layer_kinds(model))
    columns = []
    for place in range(max(len(table) for table in tables)):
        # A plan with fewer unlike stages repeats its first one with no copies: maxima do not change.
        rows = [table[place] if place < len(table) else table[0] for table in tables]
        real = np.array([place < len(table) for table in tables], dtype=float)
        columns.append(
            Stage(
                counts=tuple(np.array([row.counts[k] for row in rows])[where] for k in range(kinds)),
                first=np.array([row.first for row in rows])[where],
                last=np.array([row.last for row in rows])[where],
                index=np.array([row.index for row in rows])[where],
                copies=(np.array([row.copies for row in rows]) * real)[where],
            )
        )
    return tuple(columns)


def predictor_kind(model: Model) -> LayerKind:
    """The kind of a layer of multi-token prediction: full attention and the last feed-forward of the model.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    LayerKind

    References
    ----------
    deepseek-2024-v3

    Examples
    --------
    >>> from farthing.catalog import model
    >>> predictor_kind(model("deepseek-v3"))
    LayerKind(mixer='full', feed_forward='moe')
    """
    ends = [kind.feed_forward for kind in layer_kinds(model) if kind.feed_forward != "none"]
    return LayerKind("full", ends[-1])
