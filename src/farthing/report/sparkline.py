"""A quantity over time in one line of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment

MOST: Final = 60
"""Columns of a line."""

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS: Final = "_.-=+*%#"


class Sparkline:
    """Values side by side, each as high as it is of the highest; where there is no room, means of several.

    Parameters
    ----------
    values
        At equal distances, 0 or more.
    top
        What fills a column; by default the highest value.
    style
        Colour.
    """

    def __init__(self, values: Sequence[float], top: float = 0.0, style: str = "cyan") -> None:
        self.values = list(values)
        self.top = top
        self.style = style

    def text(self, width: int, ascii_only: bool = False) -> str:
        """The line in a width.

        Examples
        --------
        >>> Sparkline([0, 1, 2, 4]).text(10), Sparkline([0, 0, 4, 4]).text(2, ascii_only=True)
        (' ▂▄█', ' #')
        """
        values = means(self.values, max(width, 1))
        top = self.top or max(values, default=0.0)
        signs = _ASCII_LEVELS if ascii_only else _LEVELS
        line = ""
        for value in values:
            if value <= 0 or not top:
                line += " "
                continue
            line += signs[min(max(math.ceil(value / top * len(signs)) - 1, 0), len(signs) - 1)]
        return line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(
            self.text(min(options.max_width, MOST), options.ascii_only), console.get_style(self.style)
        )

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(8, min(options.max_width, MOST, max(len(self.values), 8)))


def means(values: Sequence[float], most: int) -> list[float]:
    """As many values or fewer: means of runs of the same length, the last perhaps shorter.

    Examples
    --------
    >>> means([1.0, 3.0, 5.0, 5.0, 2.0], 3), means([1.0], 3)
    ([2.0, 5.0, 2.0], [1.0])
    """
    each = -(-len(values) // most) if values else 1
    return [
        sum(values[begin : begin + each]) / len(values[begin : begin + each])
        for begin in range(0, len(values), each)
    ]
