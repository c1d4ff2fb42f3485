"""Answers questions on many machines, as tasks of Ray."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from farthing import __version__
from farthing.errors import FarthingError, InvalidInput
from farthing.sweeps.answer import Row, answers
from farthing.sweeps.extras import extra
from farthing.sweeps.grid import Grid, basis

AHEAD: Final = 2
"""Tasks handed out for each processor of the cluster, so that none waits for the next."""

PATIENCE_S: Final = 10.0
"""So long may the address of a cluster keep silent."""


def ray_package() -> Any:
    """Ray, or the command that installs it."""
    return extra("ray", "ray", "a sweep on many machines", "leave out --ray")


def in_cluster(
    grid: Grid, chunks: Iterator[Sequence[int]], address: str, machines: Counter[str]
) -> Iterator[list[Row]]:
    """Rows of chunks of places, as they come.

    Parameters
    ----------
    grid, chunks
        The questions, and places of some of them.
    address
        ``auto``, ``local``, or ``HOST:PORT``; of no account where the process has a connection already.
    machines
        Counts the rows of each machine of the cluster by Ray's id.

    Raises
    ------
    InvalidInput
        No Ray, no cluster at the address, or machines where farthing has another version or other constants.
    FarthingError
        A task failed more often than Ray repeats it.
    """
    ray = ray_package()
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address)
    try:
        task = ray.remote(_answer).options(scheduling_strategy="SPREAD")
        shared = ray.put(grid)
        waiting: list[Any] = []
        while True:
            free = AHEAD * int(ray.cluster_resources().get("CPU", 1)) - len(waiting)
            waiting += [task.remote(shared, chunk) for chunk in islice(chunks, max(free, 0))]
            if not waiting:
                return
            done, waiting = ray.wait(waiting)
            rows, machine = ray.get(done[0])
            machines[machine] += len(rows)
            yield rows
    except ray.exceptions.RayError as error:
        raise _explained(error) from None
    finally:
        if ours:
            ray.shutdown()


def _answer(grid: Grid, chunk: Sequence[int]) -> tuple[list[Row], str]:
    """Rows, and the machine that they are from; what they rest on must be the same everywhere."""
    machine: str = ray_package().get_runtime_context().get_node_id()
    if basis() != grid.basis:
        raise InvalidInput(
            f"machine {socket.gethostname()} of the Ray cluster has farthing {__version__} or constants "
            "or prices of your own (farthing validate --mine, farthing prices) that differ from those here; "
            "use the same on all machines"
        )
    return answers(grid, chunk), machine


def _connect(ray: Any, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = {"include_dashboard": False} if address == "local" else {}
    try:
        if address not in ("auto", "local"):
            _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level="error", **local)
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InvalidInput(
            f"no Ray cluster to be had at {address}: {said}; start one (ray start --head), or use --ray local"
        ) from None


def _reach(address: str) -> None:
    """Fail at once where nobody listens: Ray itself would try for long."""
    host, sign, port = address.removeprefix("ray://").rpartition(":")
    if not (sign and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise InvalidInput(f"--ray {address!r} is no address; use auto, local or HOST:PORT")
    socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()


def _explained(error: Exception) -> FarthingError:
    cause = getattr(error, "cause", None)
    if isinstance(cause, FarthingError):
        return cause
    said = " ".join(str(cause or error).split())
    advice = (
        f"install farthing {__version__} on every machine" if "farthing" in said else "see the logs of Ray"
    )
    return FarthingError(f"a task on the Ray cluster failed: {said[-300:]}; {advice}")
