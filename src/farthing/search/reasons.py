"""Why one plan is better than another: where the time of both goes."""

from __future__ import annotations

from collections.abc import Mapping

from farthing.records.search import Reason


def reasons(winner: Mapping[str, float], runner_up: Mapping[str, float]) -> tuple[Reason, ...]:
    """Parts of two plans' times beside each other, the largest difference first.

    Parameters
    ----------
    winner, runner_up
        Times by part [s].

    Examples
    --------
    >>> [(one.part, one.winner_s, one.runner_up_s) for one in reasons({"a": 1.0, "b": 2.0}, {"a": 4.0})]
    [('a', 1.0, 4.0), ('b', 2.0, 0.0)]
    """
    found = [
        Reason(part=part, winner_s=winner.get(part, 0.0), runner_up_s=runner_up.get(part, 0.0))
        for part in {**winner, **runner_up}
    ]
    return tuple(sorted(found, key=lambda reason: -abs(reason.runner_up_s - reason.winner_s)))
