"""How many plans cards and hosts have room for, which their times need not be known for."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.predict.training import last_to_end
from farthing.search.training_columns import Block
from farthing.search.training_question import CARD_FULL, HOST_FULL, Question
from farthing.search.training_sheet import Sheet
from farthing.search.training_space import Ints, Rows
from farthing.search.training_stages import Pipeline
from farthing.search.unlike import Indices, unlike_rows

AT_ONCE: Final = 32_768
"""Plans that are tried together: their columns stay in the processor's cache."""

Mask = NDArray[np.bool_]
Column = NDArray[np.float64]


@dataclass(slots=True)
class Room:
    """Counts of the plans of some rows.

    Attributes
    ----------
    rows
        Which of the rows may have plans that fit: a mask; the others have none.
    evaluated, fitting
        Counts.
    broken
        Evaluated plans that break a limit, by limit.
    """

    rows: Mask
    evaluated: int = 0
    fitting: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    def take_out(self, rule: str, plans: int) -> None:
        """Count plans that break a limit."""
        if plans:
            self.broken[rule] = self.broken.get(rule, 0) + plans


@dataclass(frozen=True, eq=False)
class _Stage:
    """What cards of one stage hold of plans that run their stages alike.

    Attributes
    ----------
    states, outside
        Whatever the batch, on a card and outside of it: ways to shard and to offload by rows [byte].
    kept, kind
        Activations: kinds of rows by ways to recompute [byte], and which kind each row is of.
    """

    states: Column
    outside: Column
    kept: Column
    kind: Indices

    def within(self, kept: Column, most: float) -> Mask:
        """Where a card has room for so much of each kind."""
        return np.asarray(self.states + kept.take(self.kind) <= most)

    def total_bytes(self, places: Indices) -> Column:
        """For all ways to recompute; places count ways to shard and to offload, and of each the rows."""
        kept = self.kept.take(self.kind[places % len(self.kind)], axis=0)
        kept += self.states.reshape(-1).take(places)[:, None]
        return kept


def room(question: Question, rows: Rows) -> Room:
    """Count the plans of some rows that fit.

    Parameters
    ----------
    question, rows
        What is asked of which plans; its limits are of memory alone.
    """
    found = Room(np.zeros(len(rows), dtype=bool))
    # What a card keeps of a batch does not depend on how experts are spread, nor its states on the batch.
    sizes = (rows.tp, rows.dp, rows.cp, rows.expert_tp)
    first, kind = unlike_rows(~rows.sequence_parallel, rows.ep > 1, rows.micro_batch_size, *sizes)
    block, ways = Block(question.run, rows.part(first)), len(rows.recomputations)
    layouts, layout = unlike_rows(rows.ep, *sizes)
    sheet = Sheet(question.run, rows.part(layouts))
    # Nor does memory depend on the order of ranks.
    orders = sum(rows.rank_orders >> bit & 1 for bit in range(len(rows.words["rank_order"])))
    whole = (block.micro_batches[:, 0] % rows.pp == 0)[kind]
    words = list(itertools.product(enumerate(rows.words["zero_stage"]), rows.words["offload"]))
    legal = np.array([rows.zero_stages >> bit & 1 for (bit, _), _ in words])

    def column(values: Any) -> Column:
        each = np.array([np.broadcast_to(np.ravel(one), len(layouts)) for one in values])
        return each.take(layout, axis=1)

    @functools.cache
    def states(pipeline: Pipeline) -> list[tuple[Column, Column]]:
        found = [sheet.states(pipeline, zero_stage, offload) for (_, zero_stage), offload in words]
        return [
            (column(held for held, _ in own), column(outside for _, outside in own))
            for own in zip(*found, strict=True)
        ]

    for pipeline in rows.pipelines:
        plans = legal * orders * (whole if pipeline.schedule == "interleaved" else 1)
        if not plans.any():
            continue
        own = states(Pipeline(first_spared=pipeline.first_spared, last_spared=pipeline.last_spared))
        stages = [
            _Stage(*held, np.broadcast_to(kept, (len(first), ways)), kind)
            for held, kept in zip(own, block.kept(pipeline), strict=True)
        ]
        _count(found, stages, plans, question.room_bytes, question.run.host_room_bytes)
    return found


def _count(found: Room, stages: Sequence[_Stage], plans: Ints, card: float, host: float) -> None:
    """Most rows are told by the ways to recompute that keep least and most; the others are tried.

    ``plans`` are those of each way to recompute: ways to shard and to offload by rows.
    """
    ways = stages[0].kept.shape[1]
    some = functools.reduce(np.logical_and, [one.within(one.kept.min(axis=1), card) for one in stages])
    every = functools.reduce(np.logical_and, [one.within(one.kept.max(axis=1), card) for one in stages])
    spilt = functools.reduce(np.logical_or, [one.outside > host for one in stages])
    every &= ~spilt
    found.rows |= (some & (plans > 0)).any(axis=0)
    total, left = int(plans.sum()), int(plans[every].sum()) * ways
    found.evaluated += total * ways
    tried = some & ~every
    on_card, on_host = left, left
    # Few numbers of plans occur: those of one are counted together.
    for number in range(1, int(plans.max()) + 1):
        places = np.flatnonzero(tried & (plans == number))
        here, there = _tried(stages, places, spilt.reshape(-1)[places], card, host)
        on_card, on_host = on_card + number * here, on_host + number * there
    found.fitting += on_host
    found.take_out(CARD_FULL, total * ways - on_card)
    found.take_out(HOST_FULL, on_card - on_host)


def _tried(
    stages: Sequence[_Stage], places: Indices, spilt: Mask, card: float, host: float
) -> tuple[int, int]:
    """Combinations of place and way that cards have room for, and of these hosts too."""
    on_card = on_host = 0
    size = max(AT_ONCE // stages[0].kept.shape[1], 1)
    for start in range(0, len(places), size):
        own = places[start : start + size]
        fits = stages[0].total_bytes(own) <= card
        for stage in stages[1:]:
            fits &= stage.total_bytes(own) <= card
        on_card += int(np.count_nonzero(fits))
        which = np.flatnonzero(spilt[start : start + size])
        if len(which):
            fullest = last_to_end([stage.total_bytes(own[which]) for stage in stages])
            outside = fullest.of([stage.outside.reshape(-1)[own[which], None] for stage in stages])
            fits[which] &= outside <= host
        on_host += int(np.count_nonzero(fits))
    return on_card, on_host
