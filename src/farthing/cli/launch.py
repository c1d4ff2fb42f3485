"""``--launch ENGINE``: the plan of an estimate as commands of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from farthing.cli.options import LAST, F, option

if TYPE_CHECKING:
    from farthing.records.estimate import InferenceEstimate, TrainingEstimate
    from farthing.records.hardware import Cluster
    from farthing.records.launch import Launch
    from farthing.records.model import Model


def complete_launcher(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Engines whose commands are known, of the command's own kind."""
    from farthing import api

    task = {"train": "training", "infer": "inference"}.get(ctx.info_name or "", "")
    return [CompletionItem(id) for id in api.launchers(task) if id.startswith(incomplete.lower())]


def launch_option(function: F) -> F:
    """``--launch``."""
    return option(
        LAST,
        "launch",
        "--launch",
        metavar="ENGINE",
        shell_complete=complete_launcher,
        help="The plan as commands of an engine, e.g. vllm.",
    )(function)


def launch_of(
    engine: str | None, model: Model, cluster: Cluster, estimate: TrainingEstimate | InferenceEstimate
) -> Launch | None:
    """The plan of an estimate as commands; None where none were asked for."""
    if engine is None:
        return None
    from farthing import api

    return api.launch(engine, model, cluster, workload=estimate.workload, plan=estimate.plan)


def show_launch(launch: Launch | None) -> None:
    """Write the commands, if there are any."""
    if launch is None:
        return
    from farthing.cli.output import write
    from farthing.report.launch import launch_text

    write("\n" + launch_text(launch))
