"""What a number of stages allows: ways to run them, and ways to compute activations again."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from farthing.predict.stages import spared_layers
from farthing.records.plan import Recompute, Schedule
from farthing.search.divisors import divisors

SAME: Final = "another schedule or split of the layers is the same"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A way to run the stages: schedule, virtual stages, layers that the ends are spared."""

    schedule: Schedule = "1f1b"
    interleave: int = 1
    first_spared: int = 0
    last_spared: int = 0


@dataclass(frozen=True, slots=True)
class Recomputation:
    """How much is computed again: a word, and with ``full`` a share of the layers and the size of a group."""

    word: Recompute
    share: float = 1.0
    layers: int = 1


@dataclass(frozen=True, slots=True)
class StageOptions:
    """What a number of stages allows.

    Attributes
    ----------
    pipelines, recomputations
        That are legal and unlike each other.
    pipeline_choices
        Ways to run the stages before any rule.
    removed
        Of these, those that each rule took out.
    """

    pipelines: tuple[Pipeline, ...]
    recomputations: tuple[Recomputation, ...]
    pipeline_choices: int
    removed: dict[str, int]

    @property
    def interleaved(self) -> int:
        """Pipelines that need a multiple of the stages of micro-batches."""
        return sum(way.schedule == "interleaved" for way in self.pipelines)


@functools.lru_cache(maxsize=1024)
def stage_options(
    layers: int,
    pp: int,
    *,
    schedules: tuple[Schedule, ...],
    interleaves: tuple[int, ...] | None,
    spared: tuple[tuple[int, int], ...],
    words: tuple[Recompute, ...],
    groups: tuple[int, ...] | None,
    shares: tuple[float, ...] | None,
    flash_attention: bool,
) -> StageOptions:
    """All that so many stages of a model allow.

    Parameters
    ----------
    layers, pp
        Of the model, and stages.
    schedules, spared, words
        Choices of schedules, of layers that the ends are spared, and of what is computed again.
    interleaves, groups, shares
        Choices of virtual stages, of layers in a group that is computed again, and of the share of layers
        that is; None leaves them open.
    flash_attention
        Scores are never stored, so that computing them again is what computing nothing again is.

    Examples
    --------
    Twelve layers in four stages may be 12 virtual stages, or with embedding and head none of 14 layers:

    >>> found = stage_options(12, 4, schedules=("1f1b", "interleaved"), interleaves=None, spared=((0, 0),),
    ...                       words=("none", "full"), groups=None, shares=None, flash_attention=True)
    >>> [(way.schedule, way.interleave) for way in found.pipelines], found.removed
    ([('1f1b', 1), ('interleaved', 3)], {'virtual stages of unequal layers': 1})
    >>> [(way.share, way.layers) for way in found.recomputations if way.word == "full"]
    [(0.3333333333333333, 1), (0.6666666666666666, 1), (1.0, 1), (1.0, 3)]
    """
    deepest = -(-layers // pp)
    ways = [
        Pipeline(schedule, virtual, *ends)
        for schedule in schedules
        for virtual in _virtual_stages(schedule, layers, pp, interleaves)
        for ends in spared
    ]
    removed: dict[str, int] = {}
    kept: dict[tuple[str, int, tuple[int, ...]], Pipeline] = {}
    for way in ways:
        # One stage has no schedule; the same layers a stage are the same plan.
        split = spared_layers(layers, pp, way.first_spared, way.last_spared)
        key = (way.schedule if pp > 1 else "", way.interleave, split)
        rule = _broken(layers, pp, way, split) or (SAME if key in kept else "")
        if rule:
            removed[rule] = removed.get(rule, 0) + 1
        else:
            kept[key] = way
    again: list[Recomputation] = []
    for word in words:
        if word == "full":
            again += _full(deepest, groups, shares)
        elif not (word == "selective" and flash_attention and "none" in words):
            again.append(Recomputation(word))
    # Those that are a share of the layers first: they are evaluated together.
    again.sort(key=lambda way: way.word not in ("none", "full"))
    return StageOptions(tuple(kept.values()), tuple(again), len(ways), removed)


def _virtual_stages(
    schedule: Schedule, layers: int, pp: int, interleaves: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Virtual stages of each stage that go with a schedule."""
    if interleaves is not None:
        return tuple(count for count in interleaves if (count > 1) == (schedule == "interleaved"))
    # Embedding and head may be virtual stages of their own.
    most = max((layers + 2) // pp, 2)
    return tuple(range(2, most + 1)) if schedule == "interleaved" else (1,)


def _full(
    deepest: int, groups: tuple[int, ...] | None, shares: tuple[float, ...] | None
) -> Iterator[Recomputation]:
    """Some layers of a stage one by one, or all of them in groups."""
    for share in shares or [count / deepest for count in range(1, deepest + 1)]:
        for size in groups or (divisors(deepest) if share == 1 else (1,)):
            yield Recomputation("full", share, size)


def _broken(layers: int, pp: int, way: Pipeline, split: tuple[int, ...]) -> str:
    """The rule that a way to run the stages breaks."""
    if way.schedule != "interleaved":
        return "a stage without layers" if min(split) < 1 else ""
    if pp == 1:
        return SAME
    if way.first_spared or way.last_spared:
        return "interleaved stages are spared no layers"
    chunks = pp * way.interleave
    # Embedding and head may count as a layer each (Megatron-Core).
    return "virtual stages of unequal layers" if layers % chunks and (layers + 2) % chunks else ""
