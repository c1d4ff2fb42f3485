"""The space of inference plans: which values each axis has, and which splits of the cards are legal."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InvalidInput
from farthing.estimate.subject import cuts_heads
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.search.divisors import divisors

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

OPEN_BATCHES: Final = 40
"""Batch sizes that are tried where none is given: 1, 2, 3, 4, 6, 8, 11 and on in steps of a root of two."""

OPEN_CHUNKS: Final = (0, 512, 2048, 8192)
"""Tokens of a prefill chunk that are tried where none is given; 0 reads each prompt at once."""

UNABLE: Final = "splits that no engine can do, or with more replicas than sequences"
"""Where this leaves no split of so many cards, those of fewer are tried."""

SIZES: Final = ("tp", "pp", "dp", "ep")
WORDS: Final = ("weight_format", "kv_format", "engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Values that a search may choose from, axis by axis; an empty axis is open.

    Examples
    --------
    >>> chosen = Axes.of(tp=8, batch_size=[4, 1], engine="vllm")
    >>> chosen.tp, chosen.pp, chosen.batch_size, chosen.engine
    ((8,), (), (1, 4), ('vllm',))
    """

    tp: tuple[int, ...] = ()
    pp: tuple[int, ...] = ()
    dp: tuple[int, ...] = ()
    ep: tuple[int, ...] = ()
    micro_batches: tuple[int, ...] = ()
    chunk_tokens: tuple[int, ...] = ()
    batch_size: tuple[int, ...] = ()
    weight_format: tuple[str, ...] = ()
    kv_format: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()

    @classmethod
    def of(cls, **chosen: Any) -> Axes:
        """From single values and lists of them.

        Raises
        ------
        InvalidInput
            An axis that there is not, no value, or one of the wrong kind.
        """
        known = [field.name for field in fields(cls)]
        for name in chosen:
            if name not in known:
                raise InvalidInput(f"search: no axis {name!r}; there are {', '.join(known)}")
        return cls(**{name: _values(name, value) for name, value in chosen.items()})


def _values(name: str, value: Any) -> tuple[Any, ...]:
    many = list(value) if isinstance(value, Sequence | range) and not isinstance(value, str) else [value]
    if not many:
        raise InvalidInput(f"search: {name} has no value; leave it out to try all")
    if name in WORDS:
        for one in many:
            if not isinstance(one, str):
                raise InvalidInput(f"search: {name} must be a name, or a list of names, not {one!r}")
        return tuple(dict.fromkeys(many))
    least = 0 if name in ("micro_batches", "chunk_tokens") else 1
    for one in many:
        if isinstance(one, bool) or not isinstance(one, int) or one < least:
            raise InvalidInput(
                f"search: {name} must be a whole number of at least {least}, or a list of such, not {one!r}"
            )
    return tuple(sorted(set(many)))


def open_batches(count: int = OPEN_BATCHES) -> tuple[int, ...]:
    """So many batch sizes from 1 up, in steps of about the root of two.

    Examples
    --------
    >>> open_batches(9)
    (1, 2, 3, 4, 6, 8, 11, 16, 23)
    """
    sizes = dict.fromkeys(round(math.sqrt(2) ** step) for step in range(count + 1))
    return tuple(sizes)[:count]


@dataclass(frozen=True, slots=True)
class Splits:
    """Parallel sizes as columns, the simplest first, and how many splits each rule removed."""

    sizes: Ints
    removed: dict[str, int]
    tried: int


def splits(
    model: Model,
    cluster: Cluster,
    axes: Axes,
    *,
    stage_layers: tuple[int, ...] = (),
    allowed: Callable[[Ints], Mask],
    cards: Collection[int] = (),
) -> Splits:
    """The legal splits of each of some numbers of cards, or of as many as any legal split uses.

    Parameters
    ----------
    model, cluster, axes
        What is split, over what, and the sizes that are allowed.
    stage_layers
        Layers of each stage, where they are fixed.
    allowed
        Whether rows of sizes can go with a batch and an engine that the search has.
    cards
        Numbers of them that a split may use; none leaves it open.

    Returns
    -------
    Splits
        None tried where the fixed sizes need more cards than there are.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> found = splits(model("llama-2-7b"), parse_cluster("1x3:rtx-4090"), Axes(), allowed=lambda rows:
    ...                rows[:, 2] <= 1)
    >>> found.sizes.tolist(), found.removed
    ([[1, 1, 3, 1], [1, 3, 1, 1]], {'heads that tp does not divide': 1})
    """
    removed: dict[str, int] = {}
    found: list[Ints] = []
    tried = 0
    for used in cards or range(cluster.count, 0, -1):
        rows = np.array(list(_rows(model, used, axes)), dtype=np.int64).reshape(-1, len(SIZES))
        tried += len(rows)
        for rule, broken in _rules(model, cluster, stage_layers):
            wrong = broken(rows)
            if wrong.any():
                removed[rule] = removed.get(rule, 0) + int(wrong.sum())
                rows = rows[~wrong]
        if len(rows) and allowed(rows).any():
            axes_used = (rows > 1).sum(axis=1)
            found.append(rows[np.lexsort((*rows.T[::-1], axes_used))])
            if not cards:
                break
        elif len(rows):
            removed[UNABLE] = removed.get(UNABLE, 0) + len(rows)
    sizes = np.concatenate(found) if found else np.empty((0, len(SIZES)), dtype=np.int64)
    return Splits(sizes, removed, tried)


def _rows(model: Model, used: int, axes: Axes) -> Iterator[tuple[int, int, int, int]]:
    """Sizes whose product is the number of cards used."""
    for tp in axes.tp or divisors(used):
        if used % tp:
            continue
        for pp in axes.pp or divisors(used // tp):
            if used // tp % pp:
                continue
            dp = used // tp // pp
            if axes.dp and dp not in axes.dp:
                continue
            for ep in axes.ep or (divisors(tp * dp) if model.is_moe else (1,)):
                yield tp, pp, dp, ep


def _rules(
    model: Model, cluster: Cluster, stage_layers: tuple[int, ...]
) -> Iterator[tuple[str, Callable[[Ints], Mask]]]:
    """What no plan may do, as `farthing.estimate.run.check` refuses it, for rows of sizes."""

    def uncut(rows: Ints) -> Mask:
        return np.array([not cuts_heads(model, int(tp)) for tp in rows[:, 0]], dtype=bool)

    def experts(rows: Ints) -> Mask:
        ep = rows[:, 3]
        whole = (ep == 1) | (model.is_moe and model.experts % ep == 0)
        return np.asarray(~whole | (rows[:, 0] * rows[:, 2] % ep > 0))

    yield "heads that tp does not divide", uncut
    yield "more stages than layers", lambda rows: rows[:, 1] > model.layers
    yield "experts or cards that ep does not divide", experts
    if stage_layers:
        yield "stages other than those of stage_layers", lambda rows: rows[:, 1] != len(stage_layers)
    if len(cluster.groups) > 1:

        def crowded(rows: Ints) -> Mask:
            slots = sum(group.hosts * (group.accelerators_per_host // rows[:, 0]) for group in cluster.groups)
            return np.asarray(rows[:, 1] > slots)

        yield "replicas on unlike hosts", lambda rows: rows[:, 2] > 1
        yield "stages that cross hosts of unlike groups", crowded
