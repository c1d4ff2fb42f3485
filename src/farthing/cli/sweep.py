"""``farthing sweep``: many questions at once, as a table."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from farthing.cli.main import INTERRUPTED
from farthing.cli.options import LAST, Command, Count, option, output_options
from farthing.cli.output import show, show_json
from farthing.cli.progress import processors, progress
from farthing.errors import InvalidInput

if TYPE_CHECKING:
    from farthing.sweeps.grid import Grid
    from farthing.sweeps.result import Sweep

WORTH_A_WORKER: Final = 1000
"""Fewer questions are answered before another process has started."""

SHOWN: Final = 5
"""Questions that a dry run shows."""


class Stopped(click.ClickException):
    """The user interrupted a sweep; says how to go on."""

    exit_code = INTERRUPTED


@click.command(cls=Command, short_help="Many questions at once, as a table.")
@click.argument("file", metavar="FILE.toml")
@option(
    LAST,
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="The table: a name that ends in .csv or .parquet.",
)
@option(LAST, "--force", is_flag=True, help="Replace the table where it is there already.")
@option(
    LAST,
    "--dry-run",
    is_flag=True,
    help="Say how many questions FILE.toml asks, and show the first ones.",
)
@option(
    "Work",
    "--workers",
    type=Count(1, 256),
    help="Processes that share the work.  [default: one for a thousand questions, at most the processors]",
)
@option(
    "Work",
    "--ray",
    metavar="ADDRESS",
    default="",
    help="Share the work over the machines of a Ray cluster: auto, HOST:PORT, or local for a cluster of this "
    "machine alone.",
)
@option("Work", "--restart", is_flag=True, help="Drop what an interrupted run answered.")
@output_options
def sweep(
    file: str,
    out: Path | None,
    force: bool,
    dry_run: bool,
    workers: int | None,
    ray: str,
    restart: bool,
    as_json: bool,
) -> None:
    """Answer every combination of models, clusters, workloads, plans and prices.

    FILE.toml (or - for standard input) says which:

    \b
      task = "inference"                 # or "training"
      models = ["llama-3.3-70b", "qwen3-32b"]
      clusters = ["1x8:h100-sxm", "1x8:rtx-4090"]
      [workload]                         # also [plan], [cost]: fields of the records
      batch_size = [1, 8, 64]            # a list is an axis of the grid
      prompt_tokens = 1024

    Several [[plan]] tables are alternatives. A [search] table (objective, and limits such as tpot_s) searches
    the fields of the plan that are left open. Files that FILE.toml names are found as on the command line.

    The table has a row for each question, in the grid's order: what is asked, with all defaults; the
    figures, in SI units under the names of the records' fields (low_ and high_: an 80% interval; own_ and
    rent_: ways of paying); and error, where a combination makes no sense. Unknown names and values that no
    question can have are refused before anything runs.

    Rows are kept in OUT.partial as they come: after an interrupt, the same command goes on where it stopped.
    The table is the same, whatever shares the work.

    \b
    Examples:
      farthing sweep grid.toml --dry-run
      farthing sweep grid.toml --out grid.csv
      farthing sweep grid.toml --out grid.parquet --workers 2 --json
    """
    from farthing import api

    if workers and ray:
        raise InvalidInput("use --workers or --ray, not both; Ray knows the processors of its machines")
    grid = api.read_sweep(file)
    if dry_run:
        _show_questions(grid, as_json)
        return
    if out is None:
        raise InvalidInput("name the table: --out sweep.csv, or a name that ends in .parquet")
    hands = 1 if ray else workers or _workers(grid)
    try:
        with progress("answering") as told:
            found = api.sweep(grid, out, workers=hands, ray=ray, restart=restart, force=force, progress=told)
    except KeyboardInterrupt as stop:
        raise Stopped(str(stop) or "interrupted") from None
    if as_json:
        show_json(_summary(found, out))
    else:
        show(_said(found, out))


def _workers(grid: Grid) -> int:
    if grid.search:
        return min(processors(), len(grid))
    return min(processors(), math.ceil(len(grid) / WORTH_A_WORKER))


def _show_questions(grid: Grid, as_json: bool) -> None:
    first = [dataclasses.asdict(grid[place]) for place in range(min(SHOWN, len(grid)))]
    if as_json:
        show_json({"task": grid.task, "questions": len(grid), "axes": grid.sizes, "first": first})
        return
    axes = " x ".join(f"{values} {axis}" for axis, values in grid.sizes.items() if values > 1)
    lines = [f"{_counted(len(grid), 'question')}{f': {axes}' if axes else ''}", ""]
    for question in first:
        lines.append(f"{question['number']}. {question['model']} on {question['cluster']}{_stated(question)}")
    if len(grid) > len(first):
        lines.append(f"... and {len(grid) - len(first):,} more")
    show("\n".join(lines))


def _stated(question: dict[str, Any]) -> str:
    fields = [
        (name, value) for table in ("workload", "plan", "cost") for name, value in question[table].items()
    ]
    fields += [(f"search {name}", value) for name, value in (question["search"] or {}).items()]
    return "".join(f", {name} {value}" for name, value in fields)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _summary(found: Sweep, out: Path) -> dict[str, Any]:
    return {
        "task": found.task,
        "questions": found.questions,
        "resumed": found.resumed,
        "fitting": found.fitting,
        "errors": found.errors,
        "machines": found.machines,
        "seconds": found.seconds,
        "out": str(out),
        "columns": list(found.columns),
    }


def _said(found: Sweep, out: Path) -> str:
    misfits = found.questions - found.fitting - found.errors
    parts = [f"{found.fitting:,} fit"]
    if misfits:
        parts.append(f"{misfits:,} do not")
    if found.errors:
        parts.append(f"{found.errors:,} cannot be asked: see the column error")
    lines = [f"{_counted(found.questions, 'question')}: {', '.join(parts)}"]
    if found.resumed:
        lines.append(f"{found.resumed:,} were answered before an interrupt")
    if found.machines:
        shares = ", ".join(f"{rows:,}" for rows in sorted(found.machines.values(), reverse=True))
        lines.append(f"answered by {_counted(len(found.machines), 'machine')} of the Ray cluster: {shares}")
    lines.append(f"wrote {out} in {found.seconds:.1f} s")
    return "\n".join(lines)
