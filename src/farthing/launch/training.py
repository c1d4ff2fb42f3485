"""What commands of all training engines need: torchrun, stages, steps."""

from __future__ import annotations

import itertools
import math

from farthing import catalog
from farthing.launch.commands import Flag, command_line
from farthing.launch.hosts import Share, address, address_note, shares, visible, where
from farthing.predict.stages import spared_layers
from farthing.records.hardware import Cluster
from farthing.records.launch import LaunchCommand
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

PORT = "29500"
TRIAL_STEPS = 20
"""Steps of a run whose workload has no token count: enough to see its step time settle."""


def cards(plan: TrainingPlan) -> int:
    """Cards of the whole run.

    Examples
    --------
    >>> cards(TrainingPlan(tp=8, pp=4, dp=2, cp=2))
    128
    """
    return int(plan.tp * plan.pp * plan.dp * plan.cp)


def num_micro_batches(workload: TrainingWorkload, plan: TrainingPlan) -> int:
    """Micro-batches of one replica in a step.

    Examples
    --------
    >>> num_micro_batches(TrainingWorkload(sequence_tokens=1, global_batch_size=64), TrainingPlan(dp=4))
    16
    """
    return int(max(1, workload.global_batch_size // (plan.dp * plan.micro_batch_size)))


def steps(workload: TrainingWorkload) -> int:
    """Optimizer steps of the run.

    Examples
    --------
    >>> steps(TrainingWorkload(sequence_tokens=4096, global_batch_size=256, training_tokens=1e9))
    954
    """
    if not workload.training_tokens:
        return TRIAL_STEPS
    return math.ceil(workload.training_tokens / (workload.sequence_tokens * workload.global_batch_size))


def steps_note(workload: TrainingWorkload) -> list[str]:
    """Says that the length of the run was not given."""
    if workload.training_tokens:
        return []
    return [
        f"The workload has no token count: {TRIAL_STEPS} steps, to see the step time; --tokens sets them."
    ]


def stages(model: Model, plan: TrainingPlan) -> tuple[int, ...]:
    """Layers of each pipeline stage.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> stages(model("llama-3.1-8b"), TrainingPlan(pp=4, last_spared=2))
    (8, 9, 9, 6)
    """
    return spared_layers(model.layers, plan.pp, plan.first_spared, plan.last_spared)


def chunks(model: Model, plan: TrainingPlan) -> list[int]:
    """Layers of each virtual stage in the order of the layers: the first of every card, then the second.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> chunks(model("llama-3.1-8b"), TrainingPlan(pp=4, interleave=2, schedule="interleaved"))
    [4, 4, 4, 4, 4, 4, 4, 4]
    """
    split = stages(model, plan)
    rounds = plan.interleave if plan.schedule == "interleaved" else 1
    return [
        layers // rounds + (turn < layers % rounds)
        for turn, layers in itertools.product(range(rounds), split)
    ]


def is_even(model: Model, plan: TrainingPlan) -> bool:
    """Whether all virtual stages hold as many layers."""
    return len(set(chunks(model, plan))) == 1


def torchrun(
    cluster: Cluster, plan: TrainingPlan, script: list[str], flags: list[Flag], variables: dict[str, str]
) -> tuple[list[LaunchCommand], list[str]]:
    """``torchrun`` on every host, and what must be filled in."""
    taken = shares(cluster, cards(plan))
    commands = []
    for alike in _runs(taken):
        first = alike[0]
        about: list[Flag] = [("--nproc-per-node", str(first.cards))]
        if len(taken) > 1:
            rank = "$NODE_RANK" if len(alike) > 1 else str(taken.index(first))
            about = [
                ("--nnodes", str(len(taken))),
                *about,
                ("--node-rank", rank),
                ("--master-addr", address(taken[0].host)),
                ("--master-port", PORT),
            ]
        text = command_line(["torchrun"], [*about, tuple(script), *flags], visible(first) | variables)
        commands.append(LaunchCommand(where=where([s.host for s in alike], cluster.hosts), text=text))
    notes = []
    if len(taken) > 1:
        notes.append(address_note(len(taken)))
    if any("$NODE_RANK" in command.text for command in commands):
        notes.append(
            "Set NODE_RANK on each host before the command: export NODE_RANK=0 on host 1, 1 on host 2, and "
            "so on."
        )
    return commands, notes


def _runs(taken: tuple[Share, ...]) -> list[list[Share]]:
    """Hosts that take the same command."""
    return [
        list(group)
        for _, group in itertools.groupby(
            taken, key=lambda share: (share.cards, tuple(visible(share).items()))
        )
    ]


def mixed_note(cluster: Cluster) -> list[str]:
    """Unlike cards in one run."""
    if not cluster.is_mixed:
        return []
    return ["Every rank gets the same share of the work: the slowest kind of card sets the pace of all."]


def vendor_misfit(engine: str, cluster: Cluster) -> list[str]:
    """Cards that the engine does not run on."""
    known = catalog.engine(engine)
    vendors = sorted({group.accelerator.vendor for group in cluster.groups})
    return [
        f"{known.name} does not run on {vendor} accelerators: it is made for {known.vendors}"
        for vendor in vendors
        if vendor not in known.vendors
    ]


def batch_misfit(workload: TrainingWorkload, plan: TrainingPlan) -> list[str]:
    """A batch that micro-batches do not divide."""
    whole = plan.dp * plan.micro_batch_size
    if workload.global_batch_size % whole == 0:
        return []
    below = max(1, workload.global_batch_size // whole) * whole
    return [
        f"a global batch of {workload.global_batch_size} is not a multiple of dp x micro-batch = {whole}: "
        "use "
        f"--global-batch {below}"
    ]
