"""Where the labels of a chart go, so that none lies on another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

EM: Final = 0.56
"""Mean width of a character over the size of its font; a wide one has two."""

_GAP: Final = 8.0
"""Between a point and its label [pixel]."""

_DISTANCES: Final = (_GAP, 18.0, 30.0, 44.0, 60.0, 80.0, 110.0)
_DIRECTIONS: Final = (
    *((1, 0), (1, -1), (1, 1), (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1)),
    *((1, -2), (1, 2), (-1, -2), (-1, 2)),
)
"""Across and down; of equally far ones the first is the best."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, from the upper left."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        """Of its height."""
        return (self.top + self.bottom) / 2

    def shared(self, other: Box) -> float:
        """The area that lies in both [pixel²]."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0.0) * max(down, 0.0)


def text_width(text: str, size: float) -> float:
    """About how wide a text is [pixel].

    Examples
    --------
    >>> text_width("abc", 10) < text_width("漢字漢", 10)
    True
    """
    return cell_len(text) * EM * size


def label_boxes(
    anchors: Sequence[tuple[float, float]],
    texts: Sequence[str],
    points: Sequence[tuple[float, float]],
    width: float,
    height: float,
    size: float,
    limit: float = math.inf,
) -> list[Box]:
    """A box for each label: beside its point where that is free, and further away where it is not.

    Parameters
    ----------
    anchors, texts
        The labelled points [pixel], and their labels.
    points
        All points, which a label should rather not cover [pixel].
    width, height
        Of the area [pixel].
    size
        Of the font [pixel].
    limit
        No label is wider [pixel].

    Examples
    --------
    >>> near, far = label_boxes([(50, 50), (52, 51)], ["one", "two"], [], 200, 100, 11)
    >>> near.shared(far)
    0.0
    """
    signs = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    taken: list[Box] = []
    for anchor, text in zip(anchors, texts, strict=True):
        wide, high = min(text_width(text, size), limit), size + 3

        def cost(place: tuple[float, Box]) -> float:
            distance, box = place
            inside = box.shared(Box(0, 0, width, height))
            outside = (box.right - box.left) * (box.bottom - box.top) - inside
            on_labels = sum(box.shared(other) for other in taken)
            on_signs = sum(box.shared(sign) for sign in signs)
            touches = 1000 if on_labels else 0
            return 1000 * round(outside) + touches + 100 * on_labels + 2 * on_signs + 6 * distance

        taken.append(min(_boxes(anchor, wide, high), key=cost)[1])
    return taken


def _boxes(anchor: tuple[float, float], wide: float, high: float) -> Iterator[tuple[float, Box]]:
    """Places of a label around its point, and how far from it; of equals the first is the best."""
    x, y = anchor
    for distance in _DISTANCES:
        for across, down in _DIRECTIONS:
            if across > 0:
                left = x + distance
            elif across < 0:
                left = x - distance - wide
            else:
                left = x - wide / 2
            top = y - high / 2 + down * (distance if across else distance + high / 2)
            yield distance, Box(left, top, left + wide, top + high)


def spread(places: Sequence[float], least: float, end: float) -> list[float]:
    """Heights moved apart as little as needed, their order kept.

    Parameters
    ----------
    places
        Wanted, in any order.
    least
        Least distance of two.
    end
        None lies beyond 0 or this, where there is room.

    Examples
    --------
    >>> spread([50.0, 52.0, 90.0], 10, 100)
    [50.0, 60.0, 90.0]
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    found = list(places)
    above = -math.inf
    for number in order:
        found[number] = above = max(found[number], above + least)
    below = max(end, least * (len(places) - 1))
    for number in reversed(order):
        found[number] = min(found[number], below)
        below = found[number] - least
    return found
