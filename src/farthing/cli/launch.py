"""``--launch ENGINE``: the plan of an estimate as commands of an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from farthing.cli.options import LAST, F, option

if TYPE_CHECKING:
    from farthing.records.launch import Launch
    from farthing.records.search import Task


def complete_launcher(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Engines whose commands are known, of the command's own kind."""
    from farthing import api

    task = {"train": "training", "infer": "inference"}.get(ctx.info_name or "", "")
    return [CompletionItem(id) for id in api.launchers(task) if id.startswith(incomplete.lower())]


def launch_option(task: Task) -> Callable[[F], F]:
    """``--launch``; an engine that cannot do the task is refused before anything is searched."""

    def known(ctx: click.Context, param: click.Parameter, engine: str | None) -> str | None:
        if engine is None:
            return None
        from farthing import api

        return api.launcher(engine, task)

    engines = (
        "megatron-lm, torchtitan or deepspeed"
        if task == "training"
        else "vllm, sglang, tensorrt-llm or llama.cpp"
    )
    return option(
        LAST,
        "launch",
        "--launch",
        metavar="ENGINE",
        callback=known,
        shell_complete=complete_launcher,
        help=f"The plan as commands of {engines}.",
    )


def show_launch(launch: Launch | None) -> None:
    """Write the commands, if there are any."""
    if launch is None:
        return
    from farthing.cli.output import write
    from farthing.report.launch import launch_text

    write("\n" + launch_text(launch))
