"""The stream of requests of a load: arrivals, lengths, priorities, beginnings and who gives up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from farthing.errors import InvalidInput
from farthing.records.serving import Traffic
from farthing.simulate.serving.arrivals import arrivals
from farthing.simulate.serving.lengths import Draws
from farthing.simulate.serving.prefixes import BLOCK_TOKENS, Prefixes
from farthing.simulate.serving.trace import Trace
from farthing.simulate.serving.trace_rows import Rows

DEFAULT_REQUESTS: Final = 10_000
"""Where neither a number of requests nor a time ends a synthetic load."""
CHUNK: Final = 4096
"""Requests that are drawn at a time."""
PURPOSES: Final = ("gaps", "prompts", "outputs", "priorities", "prefixes", "cancellations")
"""Each has random numbers of its own, so that a change of one leaves the others as they are."""


class Ask(NamedTuple):
    """A request, as it comes.

    Attributes
    ----------
    arrival_s
        From the start of the load [s]; 0 in a closed loop, where the service decides.
    prompt, output
        Tokens, of the answer all that would be written.
    written
        Tokens of the answer until the user gives up; as ``output`` where nobody does.
    priority
        0 is the most urgent.
    prefix
        Ids of the leading full blocks of the prompt, chained: equal ids mean equal beginnings.
    """

    arrival_s: float
    prompt: int
    output: int
    written: int
    priority: int
    prefix: tuple[int, ...]


class Stream:
    """The requests of a load in order of time, made as they are taken; each walk through it gives the same.

    Parameters
    ----------
    traffic
        What comes.
    trace
        What was recorded, for arrivals from a trace.
    chunk
        Requests that are drawn at a time; the requests do not depend on it.

    Attributes
    ----------
    prefix_block_tokens
        Tokens that one id of a prefix stands for.
    """

    def __init__(self, traffic: Traffic, trace: Trace | None = None, *, chunk: int = CHUNK) -> None:
        if (traffic.arrivals == "trace") != (trace is not None):
            what = "need a trace; read one and give it" if trace is None else "take no trace; leave it out"
            raise InvalidInput(f"traffic: {traffic.arrivals} arrivals {what}")
        self._traffic, self._trace, self._chunk = traffic, trace, chunk
        self._own_prefix = trace is not None and bool(trace.layout.prefix)
        self.prefix_block_tokens = trace.layout.block_tokens if trace and self._own_prefix else BLOCK_TOKENS
        self._stretch = 1.0
        if trace is not None and traffic.requests_per_s:
            if not trace.span_s:
                raise InvalidInput(
                    f"{trace.file.path}: its requests come all at once, which no other rate can stretch; "
                    "leave requests_per_s out"
                )
            self._stretch = trace.requests_per_s / traffic.requests_per_s
        endless = bool(traffic.duration_s) or trace is not None
        self._requests = traffic.requests or (math.inf if endless else DEFAULT_REQUESTS)
        self._end_s = math.inf if traffic.arrivals == "closed" else (traffic.duration_s or math.inf)

    def __iter__(self) -> Iterator[Ask]:
        traffic = self._traffic
        seeds = dict(zip(PURPOSES, SeedSequence(traffic.seed).spawn(len(PURPOSES)), strict=True))
        classes = _Classes(traffic.priorities, seeds["priorities"])
        quitters = _Quitters(traffic.cancel_share, seeds["cancellations"])
        prefixes = self._prefixes(seeds["prefixes"])
        made = cast(Any, partial(tuple.__new__, Ask))  # as Ask(...), at half the time
        for some in self._ended(self._rows(seeds)):
            prompt, output = some.prompt.tolist(), some.output.tolist()
            prefix: Any = some.prefix
            if prefix is None:
                prefix = repeat(()) if prefixes is None else prefixes.ids(prompt)
            priority = some.priority if some.priority is not None else classes.drawn(len(prompt))
            yield from map(
                made,
                zip(
                    some.arrival_s.tolist(),
                    prompt,
                    output,
                    quitters.written(some.output).tolist() if traffic.cancel_share else output,
                    repeat(0) if priority is None else priority.tolist(),
                    prefix,
                    strict=False,  # what is the same for all repeats without an end
                ),
            )

    def _prefixes(self, seed: SeedSequence) -> Prefixes | None:
        traffic = self._traffic
        if self._own_prefix or not traffic.prefix_groups:
            return None
        mean = self._trace.mean_prompt if self._trace is not None else traffic.prompt.tokens
        return Prefixes(traffic.prefix_groups, traffic.prefix_share * mean, seed)

    def _rows(self, seeds: dict[str, SeedSequence]) -> Iterator[Rows]:
        """Requests without an end, or as many as were recorded."""
        if self._trace is not None:
            for some in self._trace.rows():
                yield some._replace(arrival_s=some.arrival_s * self._stretch)
            return
        times = arrivals(self._traffic, seeds["gaps"])
        prompts = Draws(self._traffic.prompt, seeds["prompts"])
        outputs = Draws(self._traffic.output, seeds["outputs"])
        while True:
            yield Rows(
                times.times_s(self._chunk),
                prompts.tokens(self._chunk),
                outputs.tokens(self._chunk),
                None,
                None,
                None,
            )

    def _ended(self, pieces: Iterator[Rows]) -> Iterator[Rows]:
        """Until enough requests came, or the time is over."""
        left = self._requests
        for some in pieces:
            have = some.arrival_s.size
            count = int(min(left, np.searchsorted(some.arrival_s, self._end_s)))
            left -= count
            if count < have:
                some = some.only(np.arange(count))
            yield some
            if count < have or not left:
                return


class _Classes:
    """Priorities by their shares."""

    def __init__(self, shares: tuple[float, ...], seed: SeedSequence) -> None:
        self._generator = np.random.default_rng(seed)
        total = np.cumsum(shares) if len(shares) > 1 else None
        self._bounds = None if total is None else total / total[-1]

    def drawn(self, count: int) -> NDArray[np.int64] | None:
        """None where there is one priority."""
        if self._bounds is None:
            return None
        return np.searchsorted(self._bounds, self._generator.random(count), side="right")


class _Quitters:
    """Users who give up after a random token of the answer but its last."""

    def __init__(self, share: float, seed: SeedSequence) -> None:
        self._share = share
        self._generator = np.random.default_rng(seed)

    def written(self, output: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens that are written."""
        # Two numbers for everyone: another share leaves those who gave up at their tokens.
        who, where = self._generator.random((output.size, 2)).T
        until = 1 + np.floor(where * (output - 1)).astype(np.int64)
        return np.where(who < self._share, until, output)


def stream(traffic: Traffic, trace: Trace | None = None) -> Stream:
    """The requests that come.

    They end after ``traffic.requests`` or ``traffic.duration_s``, whichever comes first; where neither is
    given, with the trace, or after 10,000 requests. A trace that is shorter ends the stream. In a closed loop
    a duration ends nothing here, since the service decides when requests come. The same seed gives the same
    requests, and at another rate the same with their gaps scaled. A rate stretches a whole trace by its own
    mean rate, whichever part of it is played. Priorities, beginnings and cancellations of the traffic apply
    to a trace that tells none of its own; lengths do not.

    Parameters
    ----------
    traffic
        What comes.
    trace
        Of `read_trace`, for arrivals from a trace.

    Examples
    --------
    >>> asks = list(stream(Traffic(requests_per_s=2.0, requests=3, prefix_groups=1, prefix_share=0.05)))
    >>> [(round(ask.arrival_s, 2), ask.prompt, ask.output, ask.prefix) for ask in asks]
    [(1.65, 1000, 250, (0, 1, 2)), (2.03, 1000, 250, (0, 1, 2)), (2.65, 1000, 250, (0, 1, 2))]
    """
    return Stream(traffic, trace)
