"""Charts of a serving load: what fills a card, where the time goes, and what other batches would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from farthing.records.batch_point import BatchPoint
from farthing.records.chart import Axis, Chart, Point, Series
from farthing.records.estimate import InferenceEstimate, MemoryUse, Part, Sensitivity
from farthing.units import GIB, MILLISECOND, format_bytes, format_seconds, format_usd

_WITHOUT_RATE: Final = "price of the cards"
"""A better part that changes no rate."""

_FAR: Final = 4.0
"""A batch without room is drawn where it takes at most so many times as long as the largest with room."""


_SECONDS: Final = 10.0
"""From here on times are in seconds, and not in milliseconds."""


def inference_charts(estimate: InferenceEstimate, curve: Sequence[BatchPoint] = ()) -> list[Chart]:
    """What an estimate looks like; a chart without anything to draw is left out.

    Parameters
    ----------
    estimate
        Of one plan.
    curve
        What the plan does with other batches.

    Examples
    --------
    >>> import farthing
    >>> found = farthing.infer("llama-3.1-8b", "rtx-4090", weight_format="fp8")
    >>> [chart.title for chart in inference_charts(found)]  # doctest: +NORMALIZE_WHITESPACE
    ['Memory of the fullest card', "Where a decode step's time goes",
     'Where the time to the first token goes']
    """
    return [chart for chart in _charts(estimate, curve) if any(one.points for one in chart.series)]


def _charts(estimate: InferenceEstimate, curve: Sequence[BatchPoint]) -> Iterator[Chart]:
    subject = f"{estimate.model} on {estimate.cluster}"
    yield memory_chart({"fullest card": estimate.memory}, "Memory of the fullest card", f"{subject}.")
    if estimate.workload.output_tokens:
        yield time_chart(
            "Where a decode step's time goes",
            estimate.decode,
            f"{format_seconds(sum(part.value for part in estimate.decode))} a step; its bottleneck is "
            f"{estimate.bottleneck}.",
        )
    yield time_chart(
        "Where the time to the first token goes",
        estimate.prefill,
        f"{format_seconds(estimate.ttft_s)} for one prompt of {estimate.workload.prompt_tokens:,} tokens.",
    )
    if curve:
        yield batch_chart(estimate, curve)
    if estimate.sensitivity:
        yield sensitivity_chart(estimate.sensitivity)


def memory_chart(cards: dict[str, MemoryUse], title: str, note: str = "") -> Chart:
    """Memory of one or several cards by what it holds, and what is free of it.

    Parameters
    ----------
    cards
        Of the same capacity, by name.
    title, note
        Of the chart; what the capacity is comes after the note.
    """
    names = list(dict.fromkeys(part.name for use in cards.values() for part in use.parts if part.value > 0))
    series = []
    for name in names:
        values = {
            card: next((part.value for part in use.parts if part.name == name), 0.0)
            for card, use in cards.items()
        }
        points = tuple(
            Point(x=value / GIB, label=card, detail=f"{value / use.capacity_bytes:.1%} of the card")
            for (card, value), use in zip(values.items(), cards.values(), strict=True)
            # The first part names all cards, so that they stay in order.
            if value > 0 or name == names[0]
        )
        series.append(Series(name=name, points=points))
    free = tuple(
        Point(x=use.free_bytes / GIB, label=card, detail=f"{use.free_bytes / use.capacity_bytes:.1%} of it")
        for card, use in cards.items()
        if use.free_bytes > 0
    )
    if free:
        series.append(Series(name="free", points=free, style="rest"))
    most = max(cards.values(), key=lambda use: use.total_bytes)
    words = f"A card has {format_bytes(most.capacity_bytes, binary=True)}"
    if most.free_bytes < 0:
        words += f": {format_bytes(-most.free_bytes, binary=True)} too little"
        room = Point(x=most.capacity_bytes / GIB, label="what a card has")
        series.append(Series(name="capacity", points=(room,), style="rest"))
    return Chart(
        title=title,
        kind="stacked-bar",
        x=Axis(title="memory", unit="GiB"),
        y=Axis(title="card"),
        series=tuple(series),
        note=f"{note} {words}.".strip(),
    )


def time_chart(title: str, parts: Sequence[Part], note: str = "") -> Chart:
    """Parts of a time as bars, the longest first.

    Parameters
    ----------
    title, note
        Of the chart.
    parts
        Of the time [s].
    """
    ordered = sorted(parts, key=lambda part: -part.value)
    seconds = bool(ordered) and ordered[0].value >= _SECONDS
    points = tuple(
        Point(
            x=part.value if seconds else part.value / MILLISECOND,
            label=part.name,
            detail=f"{part.share:.1%} of all",
        )
        for part in ordered
    )
    return Chart(
        title=title,
        kind="bar",
        x=Axis(title="time", unit="s" if seconds else "ms"),
        y=Axis(title="part"),
        series=(Series(name="time", points=points),),
        note=note,
    )


def sensitivity_chart(rows: Sequence[Sensitivity]) -> Chart:
    """What a 10% better part gives in throughput, the most first.

    Parameters
    ----------
    rows
        Of an estimate.
    """
    points = tuple(
        Point(
            x=max(round(100 * (row.throughput_factor - 1), 2), 0.0),
            label=row.part,
            detail=f"{row.time_factor - 1:+.1%} time, {row.usd_factor - 1:+.1%} USD a token",
        )
        for row in sorted(rows, key=lambda row: -row.throughput_factor)
        if row.part != _WITHOUT_RATE
    )
    return Chart(
        title="What a 10% better part gives",
        kind="bar",
        x=Axis(title="more tokens a second", unit="%"),
        y=Axis(title="part"),
        series=(Series(name="better part", points=points),),
    )


def batch_chart(estimate: InferenceEstimate, curve: Sequence[BatchPoint]) -> Chart:
    """Throughput against latency, a point for each batch; of an encoder against the time to read it."""
    decodes, asked = estimate.workload.output_tokens > 0, estimate.workload.batch_size

    def point(one: BatchPoint, label: str) -> Point:
        words = [f"batch {one.batch_size:,}", f"first token after {format_seconds(one.ttft_s)}"]
        if one.usd_per_million_tokens:
            words.append(f"{format_usd(one.usd_per_million_tokens)} a million tokens")
        return Point(
            x=(one.tpot_s if decodes else one.batch_prefill_s) / MILLISECOND,
            y=one.tokens_per_s if decodes else one.requests_per_s * estimate.workload.prompt_tokens,
            label=label,
            detail=", ".join(words),
        )

    fitting = tuple(
        point(one, "" if one.batch_size == asked else f"{one.batch_size:,}") for one in curve if one.fits
    )
    marked = tuple(
        point(one, f"{asked:,}" if one.fits else f"{asked:,}, does not fit")
        for one in curve
        if one.batch_size == asked
    )
    note = "The numbers are sequences at a time."
    if fitting and marked and marked[0].x > _FAR * fitting[-1].x:
        # So far away it would press the others together.
        marked, note = (), f"{note} The batch asked about, {asked:,}, does not fit."
    series = [
        Series(name="batches that fit", style="line", points=fitting),
        Series(name="the batch asked about", points=marked),
    ]
    return Chart(
        title="Throughput against latency over the batch",
        kind="line",
        x=Axis(title="time per output token" if decodes else "time to read the batch", unit="ms"),
        y=Axis(title="throughput of the cluster", unit="token/s", scale="log"),
        series=tuple(one for one in series if one.points),
        note=note,
    )
