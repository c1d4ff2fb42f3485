"""Runs a sweep: hands out its questions in chunks, keeps what comes, writes the table when all is there."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from farthing.errors import FarthingError, InvalidInput
from farthing.sweeps.answer import Row, answers
from farthing.sweeps.columns import columns
from farthing.sweeps.grid import Grid
from farthing.sweeps.on_ray import in_cluster, ray_package
from farthing.sweeps.partial import ENDING, Answers, PartialFile
from farthing.sweeps.result import Sweep
from farthing.sweeps.table import check_table, write_table
from farthing.sweeps.workers import in_workers

CHUNK: Final = 100
"""Questions handed out at once, a tenth of a second of work; of searches, which take as long, one."""

CHUNKS_EACH: Final = 4
"""At least so many chunks a worker, so that all end at about the same time."""

CLUSTER_WORKERS: Final = 16
"""So many workers a Ray cluster is taken to have, before it is asked."""

MOST_WORKERS: Final = 256


def run_sweep(
    grid: Grid,
    out: Path | None,
    *,
    workers: int = 1,
    ray: str = "",
    restart: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Answer all questions; what the parameters mean is said at `farthing.api.sweep`."""
    started = time.monotonic()
    kinds = columns(grid.task)
    machines: Counter[str] = Counter()
    tally: Counter[str] = Counter()
    held: tuple[Row, ...] = ()
    _check(workers, ray)
    if out is not None:
        out = out.expanduser()
        check_table(out, force=force)
        if out.is_symlink():
            # Renaming onto a link would replace the link.
            out = out.resolve()
    with _kept(grid, out, len(kinds), restart) as kept, _told(kept):
        resumed = kept.done
        if progress:
            progress(kept.done, len(grid))
        with contextlib.closing(_source(grid, kept, workers, ray, machines)) as source:
            for rows in source:
                kept.add(rows)
                if progress:
                    progress(kept.done, len(grid))
        counted = _counted(kept.rows(), kinds, tally)
        if out is None:
            held = tuple(counted)
        else:
            write_table(out, kinds, counted)
            kept.remove()
    return Sweep(
        task=grid.task,
        columns=kinds,
        questions=len(grid),
        resumed=resumed,
        fitting=tally["fits"],
        errors=tally["error"],
        machines=dict(machines),
        seconds=time.monotonic() - started,
        out=out and out.absolute(),
        _rows=held,
    )


def _check(workers: int, ray: str) -> None:
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
        raise InvalidInput(f"workers must be a whole number of 1 to {MOST_WORKERS}, not {workers!r}")
    if ray:
        if workers != 1:
            raise InvalidInput("use workers of this machine or --ray, not both; Ray knows its processors")
        ray_package()


def _kept(grid: Grid, out: Path | None, width: int, restart: bool) -> Answers | PartialFile:
    if out is None:
        return Answers(grid)
    return PartialFile(out.with_name(out.name + ENDING), grid, width, restart=restart)


@contextlib.contextmanager
def _told(kept: Answers | PartialFile) -> Iterator[None]:
    """Whatever ends a sweep early says where its rows are."""
    try:
        yield
    except InvalidInput:
        raise
    except FarthingError as error:
        raise FarthingError(f"{error}{kept.whereabouts}") from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted{kept.whereabouts}") from None


def _source(
    grid: Grid, kept: Answers | PartialFile, workers: int, ray: str, machines: Counter[str]
) -> Generator[list[Row], None, None]:
    """Rows of the open questions, in chunks as they come."""
    left = len(grid) - kept.done
    hands = CLUSTER_WORKERS if ray else workers
    size = 1 if grid.search else max(1, min(CHUNK, math.ceil(left / (CHUNKS_EACH * hands))))
    chunks = _chunks(kept.open, size)
    if left == 0:
        return
    if ray:
        yield from in_cluster(grid, chunks, ray, machines)
    elif workers > 1:
        yield from in_workers(grid, chunks, min(workers, math.ceil(left / size)))
    else:
        for chunk in chunks:
            yield answers(grid, chunk)


def _chunks(places: Iterator[int], size: int) -> Iterator[Sequence[int]]:
    while chunk := list(islice(places, size)):
        yield chunk


def _counted(rows: Iterable[Row], kinds: Mapping[str, type], tally: Counter[str]) -> Iterator[Row]:
    fits, error = list(kinds).index("fits"), list(kinds).index("error")
    for row in rows:
        tally["fits"] += row[fits] is True
        tally["error"] += row[error] is not None
        yield row
