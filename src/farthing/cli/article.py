"""``farthing article``: the article's numbers, recomputed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from farthing.cli.options import LAST, Command, Word, option, output_options
from farthing.cli.output import show, show_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from farthing.article import ArticleRow

TITLES: Final = {
    "train": "Training",
    "infer": "Inference",
    "cost": "Cost of serving",
    "design": "Cheap builds",
    "chip": "Cost of the chips",
}
WIDE: Final = 100
"""Columns from which on the table has room to say what each row is."""

LEGEND: Final = (
    "ratio: recomputed over printed, ! where they differ by more than 10%. recomputed: the article's own "
    "assumptions. realistic: dense peaks, grouped-query attention, fitted efficiencies."
)


def shown(value: float | None, unit: str) -> str:
    """Readable value of a row.

    Examples
    --------
    >>> shown(0.0175, "s"), shown(2361.1, "GPU"), shown(4.4e7, "token/h"), shown(None, "s")
    ('17.5 ms', '2,361 GPU', '44.0 M token/h', '')
    """
    from farthing.units import format_count, format_quantity

    if value is None:
        return ""
    if unit == "FLOP" and value >= 1e21:
        return f"{value:.3g} FLOP"
    if unit == "USD/h":
        return f"${value:.2f}/h"
    if unit == "1":
        return format_quantity(float(f"{value:.4g}"), "")
    if unit in ("GPU", "minute", "month", "year", "sequence", "layer") and value >= 1000:
        return f"{value:,.0f} {unit}"
    if unit in ("token/h", "parameter", "token/USD") and value >= 1e6:
        return f"{format_count(value)} {unit}"
    return format_quantity(value, unit)


def ratio(row: ArticleRow) -> float | None:
    """Recomputed over printed; None where nothing is printed."""
    return None if row.printed is None else row.recomputed / row.printed


def as_objects(rows: Sequence[ArticleRow]) -> list[dict[str, Any]]:
    """What ``--json`` prints: SI units, or the article's where ``unit`` says so."""
    fields = ("id", "what", "unit", "printed", "recomputed", "realistic", "note")
    return [{field: getattr(row, field) for field in fields} for row in rows]


@click.command(cls=Command, short_help="The article of 2023, its numbers recomputed.")
@option(LAST, "--section", type=Word(TITLES), help="Only this part of the article.")
@output_options
def article(section: str | None, as_json: bool) -> None:
    """The article of 2023 on A100, H100 and RTX 4090, its numbers recomputed.

    For each: what the article prints, what farthing computes under the article's own assumptions, and what it
    computes with real rates, real attention and real efficiencies.

    \b
    Examples:
      farthing article
      farthing article --section infer
      farthing article --json
    """
    from farthing.article import rows

    chosen = tuple(row for row in rows() if section in (None, row.section))
    if as_json:
        show_json(as_objects(chosen))
    else:
        from rich.console import Console

        show(_tables(chosen, wide=Console().width >= WIDE))


def _tables(chosen: Sequence[ArticleRow], *, wide: bool) -> RenderableType:
    """A table for each section, its notes below; a narrow one leaves to them what each row is."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from farthing.article import known_prices
    from farthing.report.prices import dated
    from farthing.units import format_usd

    blocks: list[RenderableType] = []
    for section, title in TITLES.items():
        part = [row for row in chosen if row.section == section]
        if not part:
            continue
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        table.add_column("id", no_wrap=True)
        if wide:
            table.add_column("what", min_width=16)
        for name in ("printed", "recomputed", "ratio", "realistic"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in part:
            share = ratio(row)
            off = share is not None and abs(share - 1) > 0.1
            mark = "" if share is None else f"{share:.2f}" + " !" * off
            table.add_row(
                row.id,
                *([Text(row.what)] if wide else []),
                shown(row.printed, row.unit),
                shown(row.recomputed, row.unit),
                Text(mark, style="bold yellow" if off else ""),
                shown(row.realistic, row.unit),
            )
        notes = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        notes.add_column(style="bold", no_wrap=True)
        notes.add_column()
        for row in part:
            if text := row.note if wide else f"{row.what[0].upper()}{row.what[1:]}. {row.note}":
                notes.add_row(row.id, Text(text))
        blocks += [table, notes, ""]
    known = ", ".join(
        f"{price.item} {format_usd(price.usd)}{'/h' * (price.kind == 'rental')} ({dated(price)})"
        for price in known_prices()
    )
    return Group(*blocks, f"{LEGEND} Its prices: {known}.")
