"""A table of the requests of a run: a row for each as it ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from farthing.simulate.serving.line_file import LineFile, check_writable

if TYPE_CHECKING:
    from farthing.simulate.serving.lane import Lane
    from farthing.simulate.serving.replica import Replica
    from farthing.simulate.serving.request import Request

COLUMNS: Final = (
    "request",
    "arrival_s",
    "prompt_tokens",
    "output_tokens",
    "written_tokens",
    "priority",
    "state",
    "ended_s",
    "queue_s",
    "ttft_s",
    "tpot_s",
    "e2e_s",
    "replica",
    "preempted",
)
ENDINGS: Final = (".csv", ".csv.gz")


class RequestsFile:
    """A watcher that writes a CSV file, in the order in which requests end.

    Columns: ``request``, by order of arrival from 0; ``arrival_s`` and ``ended_s``, on the clock of the
    simulation [s]; ``output_tokens``, of the whole answer, and ``written_tokens`` of it; ``state``, how it
    ended; ``queue_s`` until its first pass, ``ttft_s`` to the first token, ``tpot_s`` between tokens on
    average, ``e2e_s`` to the end of the answer [s]; ``replica``, the last that had it; ``preempted``, how
    often it had to step back. What did not happen is left empty.

    Parameters
    ----------
    path
        A name that ends in ``.csv`` or ``.csv.gz``; a file of that name is replaced.

    Raises
    ------
    InvalidInput
        A place that cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        check_writable(path, ENDINGS)
        self.path = path
        self._file = LineFile(path, ",".join(COLUMNS) + "\n")

    @property
    def rows(self) -> int:
        """That are in the file, or will be when it is closed."""
        return self._file.added - 1

    def passed(self, lane: Lane, replica: Replica, writing: int, now_s: float) -> None:
        """Passes are of no interest here."""

    def ended(self, request: Request, now_s: float) -> None:
        """A request ends."""
        arrival_s = request.arrival_s
        answered = request.state == "finished"
        cells = (
            str(request.number),
            _seconds(arrival_s),
            str(request.prompt),
            str(request.output),
            str(request.done),
            str(request.priority),
            request.state,
            _seconds(now_s + request.lag_s),
            _seconds(request.started_s - arrival_s),
            _seconds(request.first_s + request.lag_s - arrival_s),
            _seconds(request.tpot_s),
            _seconds(now_s + request.lag_s - arrival_s) if answered else "",
            "" if request.replica is None else str(request.replica.number),
            str(request.preempted),
        )
        self._file.add(",".join(cells) + "\n")

    def close(self) -> None:
        """Write what is left."""
        self._file.close()


def _seconds(value: float) -> str:
    """To the nanosecond; empty for NaN.

    Examples
    --------
    >>> _seconds(0.1 + 0.2), _seconds(float("nan")), _seconds(2.0)
    ('0.3', '', '2.0')
    """
    return repr(round(value, 9)) if value == value else ""
