"""``farthing validate``: predictions beside measurements."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farthing.cli.options import LAST, Command, Count, option, output_options
from farthing.cli.output import show, show_json
from farthing.cli.progress import processors, progress
from farthing.errors import InvalidInput

if TYPE_CHECKING:
    from farthing.records.accuracy import Validation

_FILE = click.Path(path_type=Path)


@click.command(cls=Command, short_help="Predictions beside measurements, the shipped ones or yours.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=_FILE)
@option(
    LAST,
    "--predictions",
    type=_FILE,
    metavar="OUT.csv",
    help="Write every measured number with its prediction and 80% interval, or why there is none.",
)
@option(
    "Your own runs",
    "--mine",
    type=_FILE,
    metavar="RUNS.csv",
    help="Refit the constants of engines on cards to your runs, and keep them for all later estimates.",
)
@option("Your own runs", "--forget", is_flag=True, help="Drop the constants that --mine keeps.")
@option(LAST, "--jobs", type=Count(1, 256), help="Processes that share the work.  [default: the processors]")
@output_options
def validate(
    files: tuple[Path, ...],
    predictions: Path | None,
    mine: Path | None,
    forget: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """How far predictions are from measurements.

    Without FILE: those that ship with farthing, each judged by intervals that its own source has no part in.
    With FILE: CSV files in the same columns, their kind told from the header. Each row that can be predicted
    is, each other one says why not. Kinds: training, inference, serving_online, consumer, cluster, gemm,
    attention, collective.

    \b
    Examples:
      farthing validate
      farthing validate runs.csv --predictions out.csv
      farthing validate a.csv b.csv --json
      farthing validate --mine runs.csv
      farthing validate --forget
    """
    from farthing import api

    if (mine is not None) + forget + bool(files) > 1:
        raise InvalidInput("give files to compare, or --mine RUNS.csv, or --forget: one of them")
    if predictions and (mine or forget):
        raise InvalidInput("--predictions goes with files to compare, not with --mine or --forget")
    if forget:
        _forget(as_json)
    elif mine:
        found = api.refit(mine)
        if as_json:
            show_json(found)
        else:
            from farthing.report.accuracy import refit_report

            show(refit_report(found))
    else:
        with _written(predictions, files) as write, progress("comparing") as told:
            compared = api.validate(files, jobs=jobs or processors(), progress=told)
            write(compared)
        _show(compared, as_json)


def _forget(as_json: bool) -> None:
    from farthing import api

    found = api.forget_refit()
    if as_json:
        show_json({"forgotten": found})
    else:
        show("your constants are dropped" if found else "there were no constants of your own")


def _show(found: Validation, as_json: bool) -> None:
    from farthing.report.accuracy import validation_object, validation_report

    if as_json:
        show_json(validation_object(found))
    else:
        show(validation_report(found))


@contextlib.contextmanager
def _written(out: Path | None, files: tuple[Path, ...]) -> Iterator[Callable[[Validation], None]]:
    """A writer of the predictions, tried before the work and whole or not there after it."""
    if out is None:
        yield lambda found: None
        return
    target = out.resolve()
    if target in [file.resolve() for file in files]:
        raise InvalidInput(f"--predictions {out} would overwrite the measurements; name another file")
    special = out.exists() and not out.is_file()
    # A pipe that a name leads to has no path of its own.
    target = out if special else target
    part = target if special else target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.is_dir():
            raise InvalidInput(f"cannot write {out}: it is a folder")
        if target.exists() and not os.access(target, os.W_OK):
            raise InvalidInput(f"cannot write {out}: Permission denied")
        part.open("a").close()
    except OSError as error:
        raise InvalidInput(f"cannot write {out}: {error.strerror}") from None

    def write(found: Validation) -> None:
        from farthing.report.accuracy import predictions_text

        try:
            part.write_text(predictions_text(found.comparisons), "utf-8", newline="")
            if not special:
                part.replace(target)
        except OSError as error:
            raise InvalidInput(f"cannot write {out}: {error.strerror}") from None

    try:
        yield write
    finally:
        if not special:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
