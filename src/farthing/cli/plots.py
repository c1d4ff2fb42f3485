"""The options of commands that draw: charts in the terminal, or as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farthing.cli.options import LAST, F, joined, option
from farthing.errors import InvalidInput

if TYPE_CHECKING:
    from farthing.records.chart import Chart


def plot_options(function: F) -> F:
    """``--chart`` as ``chart``, and ``--plot`` as ``plots``: paths, none where it is not given."""
    return joined(
        option(LAST, "chart", "--chart", is_flag=True, help="Draw charts below the table."),
        option(
            LAST,
            "plots",
            "--plot",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Draw the charts as a file: .svg, .png, .html or .json (Vega-Lite). Repeatable.",
        ),
    )(function)


def check_plots(chart: bool, plots: Sequence[Path], as_json: bool) -> None:
    """Refuse, before any work, what could not be drawn in the end.

    Raises
    ------
    InvalidInput
        ``--chart`` with ``--json``, two files of one name, a file that cannot be written.
    """
    if chart and as_json:
        raise InvalidInput("use --chart or --json, not both; --plot writes charts beside JSON")
    if len(set(plots)) < len(plots):
        raise InvalidInput("--plot names a file twice; name each once")
    if plots:
        from farthing.report.plot_files import check_plot

        for path in plots:
            check_plot(path)


def show_charts(charts: Sequence[Chart], chart: bool, plots: Sequence[Path], as_json: bool) -> None:
    """Draw what was asked for, and say which files were written unless JSON stands alone."""
    if chart:
        from rich.console import Group
        from rich.text import Text

        from farthing.cli.output import show
        from farthing.report.charts import terminal_chart

        for one in charts:
            show(Group(Text(), terminal_chart(one)))
    if plots:
        from farthing.cli.output import write
        from farthing.report.plot_files import write_plot

        for path in plots:
            write_plot(charts, path)
            if not as_json:
                write(f"wrote {path}\n")
