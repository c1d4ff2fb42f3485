"""The report of a training run."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.estimate import TrainingEstimate
from farthing.records.hardware import Cluster
from farthing.report import layout
from farthing.report.estimate import (
    caveats,
    headline,
    memory_table,
    money_table,
    name_width,
    sensitivity_table,
    time_table,
)
from farthing.units import (
    HOUR,
    JOULE_PER_KWH,
    format_count,
    format_flop,
    format_quantity,
    format_seconds,
    format_watts,
)


def _rate(value: float) -> str:
    return format_quantity(value, "token/s").replace("token/s", "tokens/s")


def training_answer(estimate: TrainingEstimate) -> str:
    """The answer in a sentence."""
    speed = (
        f"{format_seconds(estimate.step_s)} a step, {_rate(estimate.tokens_per_s)}, MFU {estimate.mfu:.1%}"
    )
    if not estimate.run_s:
        return speed
    tokens = format_count(estimate.workload.training_tokens)
    return f"{tokens} tokens take {format_seconds(estimate.run_s)}; {speed}"


def energy_words(value_j: float) -> str:
    """Energy as a bill tells it.

    Examples
    --------
    >>> energy_words(3.6e9), energy_words(1.8e3)
    ('1 MWh', '0.5 Wh')
    """
    kwh = value_j / JOULE_PER_KWH
    factor, unit = next(
        ((f, u) for f, u in ((1e6, "GWh"), (1e3, "MWh"), (1.0, "kWh")) if kwh >= f), (1e-3, "Wh")
    )
    return f"{kwh / factor:,.3g} {unit}"


def training_facts(estimate: TrainingEstimate) -> Iterator[tuple[str, str]]:
    """What else is told of a run, by name."""
    load, plan = estimate.workload, estimate.plan
    micro_batches = load.global_batch_size // (plan.dp * plan.micro_batch_size)
    yield (
        "global batch",
        f"{load.global_batch_size:,} sequences of {load.sequence_tokens:,} tokens, "
        f"{micro_batches:,} micro-batch{'es' if micro_batches > 1 else ''} of {plan.micro_batch_size:,} "
        "for each replica",
    )
    each = _rate(estimate.tokens_per_s_per_accelerator)
    yield "throughput", f"{_rate(estimate.tokens_per_s)}, {each} a card"
    yield (
        "utilisation",
        f"MFU {estimate.mfu:.1%}, HFU {estimate.hfu:.1%}; {format_flop(estimate.model_flop)} a step",
    )
    if estimate.run_s:
        hours = estimate.accelerator_s / HOUR
        yield (
            "whole run",
            f"{format_count(load.training_tokens)} tokens in {format_seconds(estimate.run_s)}, "
            f"{format_count(hours) if hours >= 1e6 else f'{hours:,.0f}'} card-hours",
        )
    failures = estimate.reliability
    if failures is not None:
        yield (
            "failures",
            f"one in {format_seconds(failures.mtbf_s)}; a checkpoint of "
            f"{format_seconds(failures.checkpoint_time_s)} every "
            f"{format_seconds(failures.checkpoint_interval_s)}; "
            f"{failures.effective_time_share:.1%} of the time is lasting progress",
        )
    yield "largest part of a step", estimate.bottleneck


def training_report(estimate: TrainingEstimate, cluster: Cluster) -> RenderableType:
    """All that a person wants to read of an estimate; of one that does not fit, what is missing.

    Parameters
    ----------
    estimate
        With or without sensitivity.
    cluster
        The hardware it is for.

    Examples
    --------
    >>> from rich.console import Console
    >>> from farthing import api
    >>> from farthing.catalog.cluster import parse_cluster
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> console = Console(width=80)
    >>> with console.capture() as capture:
    ...     console.print(training_report(api.train("llama-2-7b", cluster), cluster))
    >>> capture.get().splitlines()[0]
    'llama-2-7b on 8 x A100 SXM4 80 GB'
    """
    return Group(*_report(estimate, cluster))


def _report(estimate: TrainingEstimate, cluster: Cluster) -> Iterator[RenderableType]:
    width = name_width(estimate.memory.parts, estimate.parts)
    yield from headline(estimate, cluster, training_answer(estimate))
    yield Text()
    stored = {
        "weights": estimate.plan.weight_format,
        "gradients": estimate.plan.gradient_format,
        "optimizer": estimate.workload.optimizer,
    }
    yield from memory_table(estimate.memory, width, stored)
    yield Text()
    if not estimate.fits:
        yield from caveats(estimate)
        return
    yield from time_table("One step", estimate.parts, estimate.step_s, width)
    yield Text()
    yield layout.heading("Training")
    yield layout.facts(training_facts(estimate))
    yield Text()
    if estimate.power_w:
        energy = energy_words(estimate.energy_j)
        note = f"{format_watts(estimate.power_w)}, {energy} for {'the run' if estimate.run_s else 'a step'}"
    else:
        note = "power unknown"
    yield layout.heading("Energy and money", note)
    yield from money_table(estimate.costs, estimate.run_usd)
    yield Text()
    yield from sensitivity_table(estimate, "time a step")
    yield from caveats(estimate)
