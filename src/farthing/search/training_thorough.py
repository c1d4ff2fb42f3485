"""Every plan of a training search evaluated, in blocks and where there are many by several processes."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final, TypeVar

import numpy as np

from farthing.search.training_columns import blocks
from farthing.search.training_miss import Suspects
from farthing.search.training_question import Question
from farthing.search.training_ranking import Ranked, rank
from farthing.search.training_sheet import Sheet
from farthing.search.training_space import Rows

Progress = Callable[[int, int], None]
Piece = tuple[int, Rows]
"""Rows of plans, and the number of their question."""

BATCH: Final = 8
"""Pieces that are handed out together."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Found:
    """What a search knows of its plans.

    Attributes
    ----------
    variants, ranked
        Ranked rows that hold all that are the best of their kind, each with the number of its question.
    evaluated, fitting, broken
        Counts of all plans.
    suspects
        Plans that may be better than a figure, fit or not.
    """

    variants: Sequence[int]
    ranked: Sequence[Ranked]
    evaluated: int
    fitting: int
    broken: Counter[str]
    suspects: Callable[[float], Iterator[Suspects]]


def in_turn(
    work: Callable[[Sequence[Piece]], list[_Found]],
    pieces: Sequence[Piece],
    workers: int,
    progress: Progress | None,
) -> list[_Found]:
    """What is found of each piece, in order.

    Parameters
    ----------
    work
        Looks at pieces one after the other.
    pieces
        All of them.
    workers
        Processes.
    progress
        As in `search_training`.
    """
    found: list[_Found] = []
    batches = [pieces[start : start + BATCH] for start in range(0, len(pieces), BATCH)]

    def gathered(parts: Iterator[list[_Found]]) -> list[_Found]:
        for some in parts:
            found.extend(some)
            if progress:
                progress(len(found), len(pieces))
        return found

    if workers == 1 or len(batches) == 1:
        return gathered(map(work, batches))
    # Fresh interpreters: a process that runs threads must not be copied.
    with ProcessPoolExecutor(min(workers, len(batches)), mp_context=get_context("spawn")) as pool:
        return gathered(pool.map(work, batches))


def thorough(
    questions: Sequence[Question],
    groups: Sequence[Piece],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Found:
    """All plans evaluated.

    Parameters
    ----------
    questions, groups
        What is asked of which rows.
    workers, progress
        As in `in_turn`.
    """
    pieces = pieces_of(groups)
    ranked = in_turn(functools.partial(rank_in_turn, questions), pieces, workers, progress)
    broken: Counter[str] = Counter()
    for one in ranked:
        broken.update(one.broken)

    def suspects(bound: float) -> Iterator[Suspects]:
        for number, ((variant, rows), one) in enumerate(zip(pieces, ranked, strict=True)):
            better = np.flatnonzero(one.least < bound)
            if len(better):
                yield Suspects(variant, rows.part(better), one.words_below(bound), number)

    return Found(
        variants=[variant for variant, _ in pieces],
        ranked=ranked,
        evaluated=sum(one.evaluated for one in ranked),
        fitting=sum(one.fitting for one in ranked),
        broken=broken,
        suspects=suspects,
    )


def pieces_of(groups: Sequence[Piece]) -> list[Piece]:
    """Blocks of all groups."""
    return [(variant, block) for variant, rows in groups for block in blocks(rows)]


def rank_in_turn(questions: Sequence[Question], pieces: Sequence[Piece]) -> list[Ranked]:
    """Blocks ranked one after the other, each as the question of its number asks."""
    found: list[Ranked] = []
    for (number, _), alike in itertools.groupby(pieces, key=lambda piece: (piece[0], piece[1].pp)):
        question, group = questions[number], [block for _, block in alike]
        sheet, start = Sheet(question.run, Rows.together(group)), 0
        for block in group:
            roomier = found[-1].roomier if found else math.inf
            found.append(rank(question, block, roomier=roomier, sheet=sheet, start=start))
            start += len(block)
    return found
