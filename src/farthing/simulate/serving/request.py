"""A request on its way through the service."""

from __future__ import annotations

import math
from typing import Any


class Request:
    """What is known of a request, and how far it has come.

    Attributes
    ----------
    number, user
        In order of arrival; which user of a closed loop sent it.
    arrival_s, prompt, output, written, priority, prefix
        As in `Ask`.
    total
        Tokens that must be in the cache before it decodes: the prompt, and after a step back what was
        written; where keys and values are brought, those that are.
    left
        Of these, still to be read.
    done
        Tokens written.
    started_s, first_s, last_s
        First pass, first token, latest known token [s]; NaN before.
    lag_s
        From a token to the user who sees it, once there is one [s].
    base, joined
        Tokens in the cache when it joined the decoding ones of its lane, and the lane's count of tokens then.
    ends
        Its lane's count of tokens at which its answer is complete; -1 while it does not decode.
    shared
        Leading pieces of its prompt that it holds and others may hold too.
    preempted
        Times that it had to step back.
    handed, swapped
        Its keys and values wait to be brought here, from a worker that only reads prompts or from the host.
    state
        How it ended; empty before.
    """

    __slots__ = (
        "arrival_s",
        "base",
        "done",
        "ends",
        "first_s",
        "handed",
        "joined",
        "lag_s",
        "lane",
        "last_s",
        "left",
        "number",
        "output",
        "preempted",
        "prefix",
        "priority",
        "prompt",
        "replica",
        "shared",
        "started_s",
        "state",
        "swapped",
        "total",
        "user",
        "written",
    )

    def __init__(
        self,
        number: int,
        arrival_s: float,
        prompt: int,
        output: int,
        written: int = 0,
        priority: int = 0,
        prefix: tuple[int, ...] = (),
        user: int = -1,
    ) -> None:
        self.number = number
        self.user = user
        self.arrival_s = arrival_s
        self.prompt = self.total = self.left = prompt
        self.output = output
        self.written = written or output
        self.priority = priority
        self.prefix = prefix
        self.done = 0
        self.started_s = self.first_s = self.last_s = math.nan
        self.lag_s = 0.0
        self.base = self.joined = self.shared = self.preempted = 0
        self.ends = -1
        self.handed = self.swapped = False
        self.lane: Any = None
        self.replica: Any = None
        self.state = ""

    @property
    def tpot_s(self) -> float:
        """Mean time between its tokens, once it has ended [s]; NaN with fewer than two."""
        return (self.last_s - self.first_s) / (self.done - 1) if self.done > 1 else math.nan
