"""The report of a serving load."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.estimate import Cost, InferenceEstimate
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
from farthing.report.prices import STALE_COST
from farthing.units import HOUR, format_quantity, format_seconds, format_usd, format_watts


def _rate(value: float) -> str:
    return format_quantity(value, "token/s").replace("token/s", "tokens/s")


def inference_answer(estimate: InferenceEstimate) -> str:
    """The answer in a sentence."""
    load = estimate.workload
    if not load.output_tokens:
        return f"{load.prompt_tokens:,} tokens are read in {format_seconds(estimate.ttft_s)}"
    each = f"{format_seconds(estimate.tpot_s)} a token"
    first = f"first token after {format_seconds(estimate.ttft_s)}"
    if load.batch_size == 1:
        return f"{_rate(estimate.tokens_per_s)} for one stream, {each}, {first}"
    own = _rate(estimate.tokens_per_s_per_sequence)
    return (
        f"{_rate(estimate.tokens_per_s)} for {load.batch_size:,} streams, {own} and {each} for each, {first}"
    )


def serving_facts(estimate: InferenceEstimate) -> Iterator[tuple[str, str]]:
    """What else is told of a service, by name."""
    load = estimate.workload
    prompts = f"one prompt of {load.prompt_tokens:,} tokens"
    if load.prefix_share:
        prompts += f", {layout.percent(load.prefix_share)} of it cached"
    yield "time to first token", f"{format_seconds(estimate.ttft_s)}, {prompts}"
    if load.batch_size > 1:
        yield "prefill of the batch", format_seconds(estimate.batch_prefill_s)
    if load.output_tokens:
        yield (
            "prompts and outputs",
            f"{_rate(estimate.served_tokens_per_s)} put out, "
            f"{format_quantity(estimate.requests_per_s, 'request/s').replace('request/s', 'requests/s')} of "
            f"{load.prompt_tokens:,} + {load.output_tokens:,} tokens",
        )
    if estimate.fits:
        context = load.longest_context_tokens
        yield "largest batch", f"{_sequences(estimate.largest_batch_size)} of {context:,} tokens"
        yield (
            "longest context",
            f"{estimate.largest_context_tokens:,} tokens, {_sequences(load.batch_size)}",
        )
    if load.output_tokens:
        yield "limited by", estimate.bottleneck
        yield "limited by compute from", f"{_sequences(round(estimate.balance_batch_size))} a step"


def _hourly(cost: Cost) -> str:
    age = f"; {STALE_COST}" if cost.stale else ""
    return f"{cost.way}: {format_usd(cost.usd_per_s * HOUR)} an hour; {cost.basis}{age}"


def _sequences(count: int) -> str:
    return "one sequence" if count == 1 else f"{count:,} sequences"


def inference_report(estimate: InferenceEstimate, cluster: Cluster) -> RenderableType:
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
    >>> cluster = parse_cluster("1x8:rtx-4090")
    >>> console = Console(width=80)
    >>> with console.capture() as capture:
    ...     console.print(inference_report(api.infer("llama-2-70b", cluster, tp=8), cluster))
    >>> capture.get().splitlines()[0]
    'llama-2-70b on 8 x GeForce RTX 4090'
    """
    return Group(*_report(estimate, cluster))


def _report(estimate: InferenceEstimate, cluster: Cluster) -> Iterator[RenderableType]:
    width = name_width(estimate.memory.parts, estimate.decode, estimate.prefill)
    yield from headline(estimate, cluster, inference_answer(estimate))
    yield Text()
    stored = {"weights": estimate.plan.weight_format, "KV cache": estimate.plan.kv_format}
    yield from memory_table(estimate.memory, width, stored)
    yield Text()
    if not estimate.fits:
        yield from caveats(estimate)
        return
    if estimate.workload.output_tokens:
        context = f"at {estimate.workload.decode_context_tokens:,.0f} tokens of context"
        whole = sum(part.value for part in estimate.decode)
        if estimate.workload.draft_tokens:
            context += f", {whole / estimate.tpot_s:.3g} tokens accepted"
        yield from time_table(f"One decode step {context}", estimate.decode, whole, width)
        yield Text()
    yield from time_table("Prefill of one prompt", estimate.prefill, estimate.ttft_s, width)
    yield Text()
    yield layout.heading("Serving")
    yield layout.facts(serving_facts(estimate))
    yield Text()
    draw = f"{format_watts(estimate.power_w)} at the meter" if estimate.power_w else "power unknown"
    if estimate.power_w and estimate.workload.output_tokens:
        draw += f", {estimate.energy_per_token_j:,.3g} J a token"
    yield layout.heading("Energy and money", draw)
    if estimate.workload.output_tokens:
        yield from money_table(estimate.costs)
        yield Text()
        yield from sensitivity_table(estimate, "time a token")
    else:
        yield layout.items(_hourly(cost) for cost in estimate.costs)
        yield Text()
    yield from caveats(estimate)
