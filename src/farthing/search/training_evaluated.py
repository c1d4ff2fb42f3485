"""Step time and memory of training plans that share their words, worked out where somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.predict.communication import exposed_time_s
from farthing.predict.trace import Number, larger
from farthing.predict.training import last_to_end
from farthing.search.rank import Column


@dataclass(frozen=True, eq=False)
class Ends:
    """When the stages of some plans are through with a step, but for its update; whatever they offload.

    Attributes
    ----------
    times, busy
        Of each unlike stage: its end, and its work on one micro-batch [s].
    micro_batches
        Of a step.
    """

    times: Sequence[Column]
    busy: Sequence[Column]
    micro_batches: Column

    @cached_property
    def last_s(self) -> Column:
        """End of the last stage [s]."""
        return np.asarray(reduce(larger, self.times))

    @cached_property
    def least_s(self) -> Column:
        """The least of it in each row [s]."""
        return np.asarray(self.last_s.min(axis=1))

    @cached_property
    def busy_s(self) -> Number:
        """Work of the last stage on all micro-batches [s]."""
        return last_to_end(self.times).of(self.busy) * self.micro_batches


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Plans that differ in sizes and recomputation, with the words that they share.

    Attributes
    ----------
    words
        Fields of the plan that all share.
    rows
        Which of the block's rows: a slice or indices.
    legal
        Of these, which may have the words: a mask; None where all may.
    ends
        Of their stages.
    update_s, host_s
        Of the update after the last stage, and of the host itself [s].
    streamed_s
        Works out the time in which weights come from the host, hidden or not [s]; None where they stay.
    states
        Works out for each unlike stage what its card holds whatever the batch, and what lies outside the card
        [byte].
    activations
        Works out those of each unlike stage, with its workspace [byte].
    """

    words: dict[str, Any]
    rows: Any
    legal: NDArray[np.bool_] | None
    ends: Ends
    update_s: Number
    host_s: float
    streamed_s: Callable[[], Number] | None
    states: Callable[[], Sequence[tuple[Number, Number]]]
    activations: Callable[[], Sequence[Number]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and ways to recompute."""
        return self.ends.last_s.shape

    @property
    def count(self) -> int:
        """Legal plans."""
        height, width = self.shape
        rows = height if self.legal is None else int(self.legal.sum())
        return int(rows * width)

    @property
    def least_s(self) -> Column:
        """No more than the least step time of each row [s]."""
        least = np.asarray(self.ends.least_s[:, None] + (self.update_s + self.host_s))
        return np.asarray(least.min(axis=1))

    @cached_property
    def step_s(self) -> Column:
        """Rows by ways to recompute [s]."""
        after = self.update_s + self.host_s
        if self.streamed_s is not None:
            after = after + exposed_time_s(self.streamed_s(), self.ends.busy_s, overlap=1.0)
        return np.asarray(self.ends.last_s + after)

    @cached_property
    def _stage_bytes(self) -> list[Column]:
        return [held + kept for (held, _), kept in zip(self.states(), self.activations(), strict=True)]

    @cached_property
    def total_bytes(self) -> Column:
        """Of the fullest stage's card; rows by ways to recompute."""
        return np.asarray(reduce(larger, self._stage_bytes))

    @cached_property
    def offloaded_bytes(self) -> Number:
        """Outside a card of that stage."""
        if self.words["offload"] == "none":
            return 0.0
        return last_to_end(self._stage_bytes).of([outside for _, outside in self.states()])
