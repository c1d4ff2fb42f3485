"""``farthing simulate faults``: months of a training run whose parts fail."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from farthing.cli.fault_options import (
    checkpoint_options,
    failure_options,
    recovery_options,
    run_options,
    simulation_options,
    slow_options,
)
from farthing.cli.main import INTERRUPTED
from farthing.cli.options import LAST, Command, given, option, output_options
from farthing.cli.plots import check_plots, plot_options, show_charts
from farthing.errors import InvalidInput
from farthing.units import DAY


class Stopped(click.ClickException):
    """The user interrupted the simulation; says what is kept."""

    exit_code = INTERRUPTED


@click.command("faults", cls=Command, short_help="Months of a training run whose parts fail.")
@run_options
@failure_options
@slow_options
@recovery_options
@checkpoint_options
@simulation_options
@option(
    LAST,
    "--out",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.csv",
    help="A row for each run, written as they come; an interrupt loses none of them.",
)
@option(LAST, "--force", is_flag=True, help="Replace FILE.csv where it is there already.")
@plot_options
@output_options
def faults(
    preset: str,
    out: Path | None,
    force: bool,
    chart: bool,
    plots: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """What failures cost a training run: thousands of simulated runs, each failure drawn.

    PRESET is a run that was published, llama-3-405b or article-2048; options change it. Without one, --model
    and --on say what is trained on what, and parts fail as often as they did in LLaMA 3's run. Failures,
    slow parts and maintenance are drawn first; the run then detects, waits for a spare host, restarts from
    its last checkpoint, and works. Goodput is the share of the wall-clock time that is lasting progress at
    full pace. Times are written like 90s, 5min, 2h or 30d.

    \b
    Examples:
      farthing simulate faults llama-3-405b
      farthing simulate faults llama-3-405b --restart 2min --checkpoint-mode async --chart
      farthing simulate faults --model llama-3.1-405b --on 2048x8:h100-sxm@ib-ndr --days 54 --spares 16
      farthing simulate faults --model llama-2-70b --on 256x8:a100-sxm-80gb@ib-hdr --card-mtbf 30d --json
      farthing simulate faults article-2048 --lifetime weibull --shape 0.7 --out months.csv --plot faults.svg
    """
    from farthing import api
    from farthing.cli.output import show, show_json, write
    from farthing.cli.progress import progress

    check_plots(chart, plots, as_json)
    if force and out is None:
        raise InvalidInput("--force is of --out: name the file that it replaces")
    asked = given(options)
    for name, field in (("days", "duration_s"), ("work_days", "work_s")):
        if name in asked:
            asked[field] = asked.pop(name) * DAY
    with _table(out, force) as (told, written), progress("simulating") as bar:
        try:
            found = api.simulate_faults(preset, told=told, progress=bar, **asked)
        except InvalidInput as error:
            raise _in_options(error) from None
        except KeyboardInterrupt:
            kept = f": {written():,} runs are in {out}" if out is not None else ""
            raise Stopped(f"interrupted{kept}") from None
    if as_json:
        show_json(found)
    else:
        from farthing.report.faults import faults_report

        show(faults_report(found))
        if out is not None:
            write(f"wrote {out}\n")
    if chart or plots:
        from farthing.report.fault_charts import fault_charts

        show_charts(fault_charts(found), chart, plots, as_json)


def _in_options(error: InvalidInput) -> InvalidInput:
    """The same message with the options of the command for the fields that they fill."""
    if type(error) is not InvalidInput:
        return error
    options = {
        param.name: max(param.opts, key=len) for param in faults.params if isinstance(param, click.Option)
    }
    words = re.split(r"(?<![\w-])([a-z]+(?:_[a-z]+)+)(?!\w)", str(error))
    return InvalidInput("".join(options.get(word, word) for word in words))


@contextmanager
def _table(
    out: Path | None, force: bool
) -> Iterator[tuple[Callable[[Mapping[str, Any]], None] | None, Callable[[], int]]]:
    """What writes a batch of runs, and how many are written; the file is opened with the first of them."""
    if out is None:
        yield None, lambda: 0
        return
    if out.suffix.lower() != ".csv":
        raise InvalidInput(f"--out {out}: the table is CSV; name it like runs.csv")
    if out.exists() and not force:
        raise InvalidInput(f"{out} is there already; name another file, or replace it with --force")
    if not out.parent.is_dir():
        raise InvalidInput(f"--out {out}: there is no folder {out.parent}")
    rows = 0
    whole = ("run", "failures", "planned")

    def tell(columns: Mapping[str, Any]) -> None:
        nonlocal rows
        names = list(columns)
        try:
            with out.open("a" if rows else "w", encoding="utf-8", newline="") as file:
                table = csv.writer(file, lineterminator="\n")
                if not rows:
                    table.writerow(names)
                for row in zip(*(columns[name] for name in names), strict=True):
                    table.writerow(
                        int(value) if name in whole else repr(float(value))
                        for name, value in zip(names, row, strict=True)
                    )
        except OSError as error:
            raise InvalidInput(f"cannot write {out}: {error.strerror}") from None
        rows += len(columns["run"])

    yield tell, lambda: rows
