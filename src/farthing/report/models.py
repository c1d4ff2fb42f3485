"""Models as a list, or one in full."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.summary import ModelSummary
from farthing.report import layout
from farthing.units import format_bytes, format_count, format_flop


def model_list(summaries: Iterable[ModelSummary]) -> RenderableType:
    """One line for each model."""
    rows = [
        (
            summary.model.id,
            summary.model.attention,
            format_count(summary.parameters),
            format_count(summary.active_parameters) if summary.model.is_moe else "",
            format_count(summary.model.max_context),
            format_bytes(summary.kv_bytes_per_token, binary=True),
        )
        for summary in summaries
    ]
    header = ("id", "attention", "size", "active", "context", "KV/token")
    note = f"{len(rows)} models. Size: parameters. SWA: sliding window. KV/token: cache in 16 bits."
    return Group(layout.columns(header, rows, left=2), Text(), Text(note, style="dim"))


def _shape(summary: ModelSummary) -> Iterator[tuple[str, str]]:
    model = summary.model
    yield "layers", f"{model.layers}, hidden width {model.hidden:,}"
    if model.heads:
        yield "attention", f"{model.attention}; {model.heads} heads of {model.head_dim}"
    if model.window:
        yield "window", f"{model.window:,} tokens"
    if model.ffn_hidden:
        gated = "gated" if model.gated_ffn else "two matrices"
        yield "feed-forward", f"width {model.ffn_hidden:,}, {gated}"
    if model.is_moe:
        shared = f", {model.shared_experts} shared" if model.shared_experts else ""
        yield (
            "experts",
            f"{model.experts_per_token} of {model.experts} a token{shared}; width {model.moe_ffn_hidden:,}",
        )
    tied = ", tied to the head" if model.tied_embeddings else ""
    yield "vocabulary", f"{model.vocab:,}{tied}"
    yield "positions", f"{model.position}, up to {model.max_context:,} tokens"


def _size(summary: ModelSummary) -> Iterator[tuple[str, str]]:
    model = summary.model
    yield "parameters", _against(summary.parameters, model.published_parameters)
    if model.is_moe:
        yield "active a token", _against(summary.active_parameters, model.published_active_parameters)
    yield "weights in 16 bits", format_bytes(2.0 * summary.parameters)
    if summary.kv_bytes_per_token:
        full = format_bytes(summary.kv_cache_bytes, binary=True)
        each = format_bytes(summary.kv_bytes_per_token, binary=True)
        yield "KV cache in 16 bits", f"{each} a token, {full} at {model.max_context:,} tokens"
    if summary.state_bytes:
        yield "recurrent state", f"{format_bytes(summary.state_bytes, binary=True)} a sequence"
    yield "forward pass", f"{format_flop(summary.forward_flop_per_token)} a token, attention scores aside"


def _against(computed: int, published: float) -> str:
    words = f"{computed:,}"
    if not published:
        return f"{words}; none published"
    if computed == published:
        return f"{words}, as published"
    return f"{words}; published {published:,.0f} ({layout.change(published / computed)})"


def model_report(summary: ModelSummary) -> RenderableType:
    """The shape of a model and what follows from it."""
    model = summary.model
    groups = [
        (
            str(group.count),
            group.mixer,
            group.feed_forward,
            format_count(group.parameters),
            format_bytes(group.kv_bytes_per_token, binary=True) if group.kv_bytes_per_token else "-",
        )
        for group in summary.layer_groups
    ]
    rows: list[RenderableType] = [
        layout.heading(model.id, ", ".join(word for word in (model.name, model.family) if word)),
        layout.facts(_shape(summary)),
        Text(),
        layout.heading("Size"),
        layout.facts(_size(summary)),
        Text(),
        layout.heading("Layers"),
        layout.columns(("count", "mixer", "feed-forward", "parameters", "KV/token"), groups, left=3),
    ]
    if model.source:
        rows += [Text(), layout.heading("Source"), layout.indented(Text(model.source, style="dim"))]
    return Group(*rows)
