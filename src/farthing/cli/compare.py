"""``farthing compare``: what clusters do with a model, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from farthing.cli.infer import plan_options, workload_options
from farthing.cli.options import (
    LAST,
    Command,
    complete_cluster,
    cost_options,
    given,
    model_options,
    option,
    output_options,
)
from farthing.cli.plots import check_plots, plot_options, show_charts
from farthing.cli.search import search_options


@click.command("compare", cls=Command, short_help="What clusters do with a model, side by side.")
@model_options
@option(
    "Hardware",
    "clusters",
    "--on",
    "--cluster",
    multiple=True,
    required=True,
    metavar="CLUSTER",
    shell_complete=complete_cluster,
    help="HOSTSxCARDS:ACCELERATOR@NETWORK such as 1x8:h100-sxm, or a .toml file. Repeat it, up to six times.",
)
@workload_options
@plan_options
@cost_options
@search_options("inference")
@option(LAST, "--ideal", is_flag=True, help="Paper arithmetic: every efficiency is 1.")
@plot_options
@output_options
def compare(
    model: str,
    changes: tuple[str, ...],
    clusters: tuple[str, ...],
    chart: bool,
    plots: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Serve MODEL on each CLUSTER by the best plan of each, and hold them against the first.

    Load, plan, cost and limits are those of farthing infer, and hold for all. A cluster that does not do says
    why. Prices are of the cards, bought or rented; power is at the meter.

    \b
    Examples:
      farthing compare llama-2-70b --on 1x8:rtx-4090 --on 1x8:h100-sxm
      farthing compare llama-3.3-70b --on 1x4:rtx-3090 --on m2-ultra --weights q4_k_m --chart
      farthing compare llama-2-70b --on 8x1:rtx-4090@10gbe --on 1x8:a100-sxm-80gb --batch 32 --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.planning import compare as compared
    from farthing.report.cluster_comparison import comparison_charts, comparison_report

    check_plots(chart, plots, as_json)
    shape = api.find_model(model, **api.parsed_changes(changes))
    asked = {name: value for name, value in given(options).items() if name != "ideal" or value}
    plans = compared(shape, clusters, **asked)
    if as_json:
        show_json(plans)
    else:
        show(comparison_report(plans))
    show_charts(comparison_charts(plans), chart, plots, as_json)
