"""The building blocks of a report: headings, bars, tables and lists, as wide as the terminal allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

INDENT: Final = 2
NAME_WIDTH: Final = 24
"""At least so wide is the first column, so that the tables of a report line up."""

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


class Bar:
    """A horizontal bar over the width that is left.

    Parameters
    ----------
    share
        Of the full width, 0..1.
    style
        Colour.
    """

    def __init__(self, share: float, style: str = "cyan") -> None:
        self.share = min(max(share, 0.0), 1.0)
        self.style = style

    def text(self, width: int, ascii_only: bool = False) -> str:
        """The bar in a width.

        Examples
        --------
        >>> Bar(0.5).text(5), Bar(0.5).text(5, ascii_only=True)
        ('██▌', '##')
        """
        if ascii_only:
            return "#" * int(self.share * width)
        eighths = round(self.share * width * 8)
        if self.share > 0:
            eighths = max(eighths, 1)
        return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self.text(options.max_width, options.ascii_only), console.get_style(self.style))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(6, min(options.max_width, 60))


def heading(title: str, note: str = "") -> Text:
    """A bold line, with a quiet note behind it."""
    text = Text(title, style="bold")
    if note:
        text.append(f"  {note}", style="dim")
    return text


def indented(content: RenderableType) -> Padding:
    """Two spaces from the left."""
    return Padding(content, (0, 0, 0, INDENT))


def grid(*columns: str, expand: bool = False) -> Table:
    """A table without lines; a column is ``left``, ``right`` or ``fill``."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=expand)
    for number, column in enumerate(columns):
        table.add_column(
            justify="right" if column == "right" else "left",
            no_wrap=column != "fill",
            ratio=1 if column == "fill" and expand else None,
            min_width=NAME_WIDTH if number == 0 and column == "left" else None,
            overflow="fold",
        )
    return table


def bars(rows: Iterable[tuple[str, str, float, str]], width: int = 0) -> RenderableType:
    """A table of name, value and share, with a bar of the share in the style of the row."""
    table = grid("left", "right", "right", "fill", expand=True)
    if width:
        table.columns[0].min_width = width
    for name, value, share, style in rows:
        table.add_row(name, value, percent(share), Bar(share, style))
    return indented(table)


def facts(rows: Iterable[tuple[str, str]], width: int = 0) -> RenderableType:
    """A table of name and words."""
    table = grid("left", "fill")
    if width:
        table.columns[0].min_width = width
    for name, words in rows:
        table.add_row(name, words)
    return indented(table)


def columns(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: int = 1,
    width: int = NAME_WIDTH,
    wrap: bool = False,
) -> RenderableType:
    """A table under a quiet header; the first ``left`` columns are text, the rest numbers.

    A second column of text that finds no room is cut, or goes on in the next line with ``wrap``.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    rows = list(rows)
    for number, name in enumerate(header):
        is_text = number < left
        longest = max((len(row[number]) for row in rows), default=0)
        # Where room is short a second column of text gives way, then names go on in the next line; a number
        # is never cut.
        named = left == 1 and number == 0
        least = 0 if is_text and number else width if named else max(longest, len(name))
        table.add_column(
            name,
            justify="left" if is_text else "right",
            no_wrap=not is_text or (number == 0 and not named),
            min_width=least,
        )
    for row in rows:
        table.add_row(
            *(
                Text(cell)
                if (wrap and 0 < number < left) or (left == 1 and number == 0)
                else Text(cell, no_wrap=True, overflow="ellipsis")
                for number, cell in enumerate(row)
            )
        )
    return indented(table)


def items(rows: Iterable[str], style: str = "") -> RenderableType:
    """A list, one dash an item."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row("-", Text(row, style=Style.parse(style)))
    return indented(table)


def percent(share: float) -> str:
    """A share in whole percent; small ones are not rounded to nothing.

    Examples
    --------
    >>> percent(0.748), percent(0.004), percent(0.0)
    ('75%', '<1%', '0%')
    """
    if 0 < share < 0.005:
        return "<1%"
    return f"{share:.0%}"


def change(factor: float) -> str:
    """A factor as a change in percent.

    Examples
    --------
    >>> change(1.0703), change(0.93432), change(1.00001)
    ('+7.0%', '-6.6%', '0')
    """
    text = f"{factor - 1:+.1%}"
    return "0" if text in ("+0.0%", "-0.0%") else text
