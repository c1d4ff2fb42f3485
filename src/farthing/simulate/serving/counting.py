"""How far a run has come: requests that have ended, of those that will come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from farthing.records.serving import Traffic
from farthing.simulate.serving.stream import DEFAULT_REQUESTS

if TYPE_CHECKING:
    from farthing.simulate.serving.lane import Lane
    from farthing.simulate.serving.replica import Replica
    from farthing.simulate.serving.request import Request
    from farthing.simulate.serving.trace import Trace


class Counting:
    """A watcher that reports each request that ends.

    Parameters
    ----------
    told
        Called with how many have ended, and how many will come.
    total
        That will come; 0 where that is open.

    Attributes
    ----------
    ended_requests
        Of the run under way.
    """

    def __init__(self, told: Callable[[int, int], None], total: int) -> None:
        self._told, self._total = told, total
        self.ended_requests = 0

    def restart(self) -> None:
        """Another run begins."""
        self.ended_requests = 0
        self._told(0, self._total)

    def passed(self, lane: Lane, replica: Replica, writing: int, now_s: float) -> None:
        """Passes are not counted."""

    def ended(self, request: Request, now_s: float) -> None:
        """A request ends."""
        self.ended_requests += 1
        self._told(self.ended_requests, self._total)


def expected(traffic: Traffic, trace: Trace | None) -> int:
    """Requests that will come, about so many where a time ends the load; 0 where the service decides.

    Examples
    --------
    >>> expected(Traffic(requests_per_s=2.0, duration_s=60.0), None)
    120
    >>> expected(Traffic(arrivals="closed", users=3, duration_s=60.0), None)
    0
    """
    limits = [traffic.requests] if traffic.requests else []
    if trace is not None:
        limits.append(trace.requests)
        rate = traffic.requests_per_s or trace.requests_per_s
    else:
        rate = traffic.requests_per_s
    if traffic.duration_s and rate:
        limits.append(round(min(traffic.duration_s * rate, 1e12)))
    if limits:
        return min(limits)
    return 0 if traffic.duration_s else DEFAULT_REQUESTS
