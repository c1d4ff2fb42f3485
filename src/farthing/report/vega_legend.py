"""What the views of both kinds of charts share: the key to the series, and the words of a tooltip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from farthing.report.label_places import text_width

WIDTH = 540
"""Of the area of the data; with an axis a chart is about 640 pixels wide [pixel]."""


def legend(names: Sequence[str]) -> dict[str, Any]:
    """The key in as many columns as have room."""
    widths = [text_width(name, 13) + 34 for name in names]
    fitting = (
        columns
        for columns in range(len(names), 0, -1)
        if sum(max(widths[first::columns]) for first in range(columns)) <= WIDTH
    )
    return {"columns": next(fitting, 1)}


def tooltips(titles: dict[str, str]) -> list[dict[str, str]]:
    """Fields that a pointer shows, with their titles."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in titles.items()]
