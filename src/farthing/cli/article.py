"""``farthing article``: the article's numbers, recomputed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from farthing.cli.options import LAST, Command, Word, option, output_options
from farthing.cli.output import show, show_json
from farthing.records.article import SECTIONS
from farthing.report.article import shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from farthing.records.article import ArticleRow

WIDE: Final = 100
"""Columns from which on the table has room to say what each row is."""

LEGEND: Final = (
    "ratio: recomputed over printed, ! where they differ by more than 10%. recomputed: the article's own "
    "assumptions. realistic: dense peaks, grouped-query attention, fitted efficiencies."
)


def as_objects(rows: Sequence[ArticleRow]) -> list[dict[str, Any]]:
    """What ``--json`` prints: SI units, or the article's where ``unit`` says so."""
    fields = ("id", "what", "unit", "printed", "recomputed", "realistic", "note")
    return [{field: getattr(row, field) for field in fields} for row in rows]


@click.command(cls=Command, short_help="The article of 2023, its numbers recomputed.")
@option(LAST, "--section", type=Word(SECTIONS), help="Only this part of the article.")
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
    from farthing import api

    chosen = api.article_rows(section or "")
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
    for section, title in SECTIONS.items():
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
            share = row.recomputed_ratio
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
