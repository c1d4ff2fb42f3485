"""The plan that a training search nearly chose: better than the winner, and over a limit by the least."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from farthing.records.estimate import TrainingEstimate
from farthing.records.plan import TrainingPlan
from farthing.records.search import Choice, Limits, NearestMiss
from farthing.search.rank import joined
from farthing.search.training_choice import choice_of
from farthing.search.training_columns import Block, beginnings
from farthing.search.training_evaluated import Evaluated
from farthing.search.training_question import FIGURES, Question
from farthing.search.training_ranking import Ranked, kept
from farthing.search.training_space import Rows
from farthing.units import DAY, format_bytes, format_seconds, format_usd

BETTER: Final = 1 - 1e-9
"""Of the winner's figure: what equals it but for rounding is no better."""

_Miss: TypeAlias = tuple[bool, float]
"""Whether a plan finds no room, and by which share it exceeds the limit that it exceeds most."""


def nearest_miss(
    questions: Sequence[Question],
    pieces: Sequence[tuple[int, Rows]],
    ranked: Sequence[Ranked],
    best: Choice | None,
) -> NearestMiss | None:
    """The plan that exceeds a limit by the least, of those that would be better than the best one.

    Parameters
    ----------
    questions
        One for each variant of the plan.
    pieces, ranked
        Blocks with the number of their variant, and what was found of them.
    best
        The winner; None where no plan keeps the limits.
    """
    bound = best.figures[FIGURES[questions[0].objective]] * BETTER if best else math.inf
    nearest: tuple[_Miss, TrainingPlan, int] | None = None
    for (variant, block), one in zip(pieces, ranked, strict=True):
        # The rows that hold a better plan are few: they are evaluated again, to keep no plan of all others.
        better = np.flatnonzero(one.least < bound)
        words = [own for own, least in zip(one.words, one.words_least, strict=True) if least < bound]
        found = _nearest(questions[variant], block.part(better), words, bound) if len(better) else None
        if found is not None and (nearest is None or found[0] < nearest[0]):
            nearest = *found, variant
    if nearest is None:
        return None
    _, plan, variant = nearest
    choice = choice_of(questions[variant], plan)
    assert choice.training is not None  # the task is training
    breaks, help_with = joined(list(_broken(questions[variant].limits, choice.training, choice.figures)))
    return NearestMiss(choice=choice, breaks=breaks, would_help=help_with)


def _nearest(
    question: Question, rows: Rows, words: Sequence[dict[str, Any]], bound: float
) -> tuple[_Miss, TrainingPlan] | None:
    """Of the plans with some words that are below a bound and break a limit, how far the nearest is off, and
    which it is."""
    executed = question.executed(rows)
    nearest: tuple[_Miss, TrainingPlan] | None = None
    for plans in Block(question.run, rows).evaluated(beginnings(words)):
        value = question.figure(question.objective, plans, executed)
        out = ~kept(question, plans, executed) & (value < bound)
        if plans.legal is not None:
            out &= plans.legal[:, None]
        roomless = False
        if math.isinf(bound):
            # No time or price makes up for a plan that finds no room, where others do.
            roomy = out & _finds_room(question, plans)
            roomless = not roomy.any()
            out = out if roomless else roomy
        if not out.any():
            continue
        worst = np.full(out.shape, -np.inf)
        for _, taken, most in question.limited(plans, executed):
            worst = np.maximum(worst, taken / most - 1)
        worst = np.where(out, worst, np.inf)
        place, way = np.unravel_index(int(worst.argmin()), worst.shape)
        miss = (roomless, float(worst[place, way]))
        if nearest is None or miss < nearest[0]:
            row = int(np.arange(len(rows))[plans.rows][place])
            nearest = miss, rows.plan(question.run.plan, plans.words, row, int(way))
    return nearest


def _finds_room(question: Question, plans: Evaluated) -> NDArray[np.bool_]:
    """Whether cards and hosts hold what plans keep, headroom or not."""
    on_card = plans.total_bytes <= question.run.capacity_bytes
    return np.asarray(on_card & (plans.offloaded_bytes <= question.run.host_room_bytes))


def _broken(
    limits: Limits, estimate: TrainingEstimate, figures: Mapping[str, float]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Which limits a plan breaks, each with what would make it keep it."""
    free, capacity = estimate.memory.free_bytes, estimate.memory.capacity_bytes
    if not estimate.fits:
        missing, _, advice = estimate.misfit.partition("; would fit: ")
        yield missing, tuple(one for one in advice.split(", or ") if one)
    elif free < limits.headroom_share * capacity:
        wanted = format_bytes(limits.headroom_share * capacity, binary=True)
        yield (
            f"leaves {format_bytes(free, binary=True)} of a card free, not {wanted}",
            (f"a headroom of {free / capacity:.1%}",),
        )
    if limits.run_s and estimate.run_s > limits.run_s:
        yield (
            f"takes {format_seconds(estimate.run_s)}, not {format_seconds(limits.run_s)}",
            (f"a limit of {estimate.run_s / DAY:,.3g} days", "more cards"),
        )
    for field, unit in (("run_usd", ""), ("usd_per_million_tokens", " a million tokens")):
        most = getattr(limits, field)
        if most and figures[field] > most:
            price = format_usd(figures[field])
            yield (
                f"costs {price}{unit}, not {format_usd(most)}",
                (f"a limit of {price}", f"hardware for {100 * most / figures[field]:.3g}% of the price"),
            )
