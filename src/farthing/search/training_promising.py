"""The fastest plans without the times of all: rows that their layers alone make too slow are only counted."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing.search.training_bound import ROUNDING, Work, work_of
from farthing.search.training_columns import blocks
from farthing.search.training_miss import Suspects
from farthing.search.training_question import Question
from farthing.search.training_ranking import Ranked, rank
from farthing.search.training_room import Mask, Room, room
from farthing.search.training_sheet import Sheet
from farthing.search.training_space import Rows
from farthing.search.training_thorough import Found, Piece, Progress, in_turn, pieces_of
from farthing.search.unlike import Indices

SCOUTS: Final = 64
"""Rows of a number of stages that are tried first."""

FEW: Final = 4
"""Less than so many times as many rows are ranked without."""

Column = NDArray[np.float64]


def promises(question: Question) -> bool:
    """Whether a question can be answered so: by times alone, of plans that memory alone limits."""
    return question.objective == "step" and not question.front and question.limits_memory_alone


def promising(
    questions: Sequence[Question],
    groups: Sequence[Piece],
    top: int,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Found:
    """The best of each kind, and all counts.

    Parameters
    ----------
    questions, groups
        What is asked of which rows.
    top
        Kinds of plans that are wanted.
    workers, progress
        As in `in_turn`.
    """
    rooms = in_turn(functools.partial(count_in_turn, questions), groups, workers, progress)
    broken: Counter[str] = Counter()
    for one in rooms:
        broken.update(one.broken)
    contest = _Contest(questions, top)
    fitting = sum(one.fitting for one in rooms)
    entries: list[tuple[_Entry, Ranked, Indices]] = []
    if fitting:
        found = _entries(questions, groups, rooms)
        hopeful = sorted(found, key=lambda one: one.least_s[one.order].min(initial=math.inf))
        contest.scout(hopeful)
        entries = sorted(contest.ranked(hopeful), key=lambda one: one[0].blocks[0])

    def suspects(bound: float) -> Iterator[Suspects]:
        if not fitting:
            for number, (variant, rows) in enumerate(pieces_of(groups)):
                yield Suspects(variant, rows, None, number)
        for entry, one, own in entries:
            better = np.flatnonzero(one.least < bound)
            if len(better):
                rows, places = one.rows.part(better), own[better]
                sheet = Sheet(questions[entry.variant].run, rows, entry.work.of(places).passes)
                yield Suspects(entry.variant, rows, one.words_below(bound), entry.blocks[places], sheet)

    return Found(
        variants=[entry.variant for entry, _, _ in entries],
        ranked=[one for _, one, _ in entries],
        evaluated=sum(one.evaluated for one in rooms),
        fitting=fitting,
        broken=broken,
        suspects=suspects,
    )


def count_in_turn(questions: Sequence[Question], groups: Sequence[Piece]) -> list[Room]:
    """What cards have room for, of each group."""
    return [room(questions[variant], rows) for variant, rows in groups]


@dataclass(frozen=True, eq=False)
class _Entry:
    """Rows of one number of stages and one question.

    Attributes
    ----------
    variant
        Number of the question.
    rows, roomy
        The rows, and which may have plans that fit.
    work
        Of a micro-batch on them.
    least
        No more than any step time of each row with each pipeline [s].
    blocks
        Number of the block that each row is of, where all are evaluated.
    """

    variant: int
    rows: Rows
    roomy: Mask
    work: Work
    least: Column
    blocks: Indices

    @functools.cached_property
    def least_s(self) -> Column:
        """With any pipeline."""
        return np.asarray(self.least.min(axis=0))

    @functools.cached_property
    def order(self) -> Indices:
        """Rows that may have plans that fit, the most promising first."""
        rows = np.flatnonzero(self.roomy)
        return rows[np.argsort(self.least_s[rows], kind="stable")]

    def part(self, rows: Indices, bound: float) -> Rows:
        """Some of the rows, with the pipelines that may keep them below a step time."""
        ways = [
            own
            for own, least in zip(self.rows.pipelines, self.least[:, rows], strict=True)
            if least.min() <= bound
        ]
        # GPipe takes the time of 1F1B, and no less memory.
        pipelines = [
            own for own in ways if own.schedule != "gpipe" or replace(own, schedule="1f1b") not in ways
        ]
        return replace(self.rows.part(rows), pipelines=tuple(pipelines))


def _entries(questions: Sequence[Question], groups: Sequence[Piece], rooms: Sequence[Room]) -> list[_Entry]:
    found: list[_Entry] = []
    first = 0
    for variant, question in enumerate(questions):
        own = [(rows, one) for (number, rows), one in zip(groups, rooms, strict=True) if number == variant]
        for (rows, one), work in zip(own, work_of(question.run, [rows for rows, _ in own]), strict=True):
            micro_batches = question.run.workload.global_batch_size / (rows.dp * rows.micro_batch_size)
            sizes = [len(block) for block in blocks(rows)]
            found.append(
                _Entry(
                    variant=variant,
                    rows=rows,
                    roomy=one.rows,
                    work=work,
                    least=np.array([work.least_s(way, rows.pp, micro_batches) for way in rows.pipelines]),
                    blocks=np.repeat(np.arange(first, first + len(sizes)), sizes),
                )
            )
            first += len(sizes)
    return found


class _Contest:
    """The best step times of each kind so far; what cannot be among them is not looked at.

    Attributes
    ----------
    bound, best
        Step times that none of the best kinds, and the best of all, are above [s].
    """

    def __init__(self, questions: Sequence[Question], top: int) -> None:
        self.questions, self.top = questions, top
        self.kinds: dict[tuple[int, ...], float] = {}
        self.bound = self.best = math.inf

    def scout(self, entries: Sequence[_Entry]) -> None:
        """Let the bound fall by the most promising rows, tried with few words where these suffice."""
        size = max(SCOUTS, 4 * self.top)
        for entry in entries:
            if len(entry.order) < FEW * size:
                continue
            rows = entry.order[:size]
            rows = np.sort(rows[entry.least_s[rows] <= self.bound])
            for few in (True, False):
                if few or self.bound == math.inf:
                    list(self._ranked(entry, rows, few=few))

    def ranked(self, entries: Sequence[_Entry]) -> list[tuple[_Entry, Ranked, Indices]]:
        """All rows that may hold one of the best, or a better one that finds no room."""
        found: list[tuple[_Entry, Ranked, Indices]] = []
        for entry in entries:
            least = entry.least_s
            rows = np.flatnonzero((entry.roomy & (least <= self.bound)) | (least <= self.best))
            roomier = found[-1][1].roomier if found else math.inf
            found += [(entry, one, own) for one, own in self._ranked(entry, rows, roomier)]
        return found

    def _ranked(
        self, entry: _Entry, rows: Indices, roomier: float = math.inf, *, few: bool = False
    ) -> Iterator[tuple[Ranked, Indices]]:
        if not len(rows):
            return
        question = self.questions[entry.variant]
        part, start = entry.part(rows, self.bound), 0
        if few:
            words = {name: part.words[name][:1] for name in ("rank_order", "offload")}
            part = replace(part, words={**part.words, **words})
        sheet = Sheet(question.run, part, entry.work.of(rows).passes)
        for block in blocks(part):
            one = rank(question, block, roomier=roomier, sheet=sheet, start=start, bound=self.bound)
            self._see(entry.variant, one)
            yield one, rows[start : start + len(block)]
            roomier, start = one.roomier, start + len(block)

    def _see(self, variant: int, one: Ranked) -> None:
        """Let the bound fall."""
        rows = np.flatnonzero(np.isfinite(one.best))
        sizes = [getattr(one.rows, name)[rows].tolist() for name in ("tp", "dp", "cp", "ep")]
        for value, *own in zip(one.best[rows].tolist(), *sizes, strict=True):
            kind = (variant, one.rows.pp, *own)
            self.kinds[kind] = min(value, self.kinds.get(kind, math.inf))
        values = sorted(self.kinds.values())
        self.best = min(values, default=math.inf) / ROUNDING
        if len(values) >= self.top:
            self.bound = values[self.top - 1] / ROUNDING
