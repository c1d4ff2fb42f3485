"""The plan that a training search nearly chose: better than the winner, and over a limit by the least."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from farthing.search.training_ranking import kept
from farthing.search.training_sheet import Sheet
from farthing.search.training_space import Rows
from farthing.units import DAY, format_bytes, format_seconds, format_usd

BETTER: Final = 1 - 1e-9
"""Of the winner's figure: what equals it but for rounding is no better."""

_Miss: TypeAlias = tuple[bool, float, int]
"""Whether a plan finds no room, by which share it exceeds the limit that it exceeds most, and its place."""


@dataclass(frozen=True, eq=False)
class Suspects:
    """Plans among which the nearest miss is looked for.

    Attributes
    ----------
    variant
        Number of their question.
    rows
        Of sizes.
    words
        That they share; None for all that there are.
    place
        Of the rows among all: of equal misses the first counts.
    sheet
        Of the rows, where something of it is known.
    """

    variant: int
    rows: Rows
    words: Sequence[dict[str, Any]] | None
    place: Any
    sheet: Sheet | None = None


def nearest_miss(
    questions: Sequence[Question], suspects: Callable[[float], Iterable[Suspects]], best: Choice | None
) -> NearestMiss | None:
    """The plan that exceeds a limit by the least, of those that would be better than the best one.

    Parameters
    ----------
    questions
        One for each variant of the plan.
    suspects
        Plans that may be better than a figure. They are few, and evaluated again, to keep no plan of all
        others.
    best
        The winner; None where no plan keeps the limits.
    """
    bound = best.figures[FIGURES[questions[0].objective]] * BETTER if best else math.inf
    nearest: tuple[_Miss, TrainingPlan, int] | None = None
    for some in suspects(bound):
        found = _nearest(questions[some.variant], some, bound)
        if found is not None and (nearest is None or found[0] < nearest[0]):
            nearest = *found, some.variant
    if nearest is None:
        return None
    _, plan, variant = nearest
    choice = choice_of(questions[variant], plan)
    assert choice.training is not None  # the task is training
    breaks, help_with = joined(list(_broken(questions[variant].limits, choice.training, choice.figures)))
    return NearestMiss(choice=choice, breaks=breaks, would_help=help_with)


def _nearest(question: Question, suspects: Suspects, bound: float) -> tuple[_Miss, TrainingPlan] | None:
    """Of the plans that are below a bound and break a limit, how far the nearest is off, and which it is."""
    rows = suspects.rows
    places = np.broadcast_to(suspects.place, len(rows))
    executed = question.executed(rows)
    nearest: tuple[_Miss, TrainingPlan] | None = None
    only = None if suspects.words is None else beginnings(suspects.words)
    for plans in Block(question.run, rows, suspects.sheet).evaluated(only):
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
        row = int(np.arange(len(rows))[plans.rows][place])
        miss = (roomless, float(worst[place, way]), int(places[row]))
        if nearest is None or miss < nearest[0]:
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
