"""Where the labels of a chart go, so that none lies on another."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
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

_PLACES: Final = np.array([(far, *way) for far in _DISTANCES for way in _DIRECTIONS])
"""Distance, across and down of every place that is tried, the best ones first."""

Boxes = NDArray[np.float64]
"""Left, top, right and bottom, a row each."""


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
    return list(_placed(tuple(anchors), tuple(texts), tuple(points), width, height, size, limit))


@functools.lru_cache(maxsize=64)
def _placed(
    anchors: tuple[tuple[float, float], ...],
    texts: tuple[str, ...],
    points: tuple[tuple[float, float], ...],
    width: float,
    height: float,
    size: float,
    limit: float,
) -> tuple[Box, ...]:
    """As `label_boxes`: a chart is drawn for a light and for a dark ground, its labels in the same places."""
    across_signs = np.array(points, float).reshape(-1, 2)
    signs = np.hstack([across_signs - 4, across_signs + 4])
    area = np.array([[0.0, 0.0, width, height]])
    taken = np.empty((0, 4))
    for (x, y), text in zip(anchors, texts, strict=True):
        wide, high = min(text_width(text, size), limit), size + 3
        boxes = _boxes(x, y, wide, high)
        on_labels = _shared(boxes, taken)
        cost = (
            1000 * np.round(wide * high - _shared(boxes, area))
            + 1000 * (on_labels > 0)
            + 100 * on_labels
            + 2 * _shared(boxes, signs)
            + 6 * _PLACES[:, 0]
        )
        # Of equals the first is the best; a sum's last digits are no difference.
        taken = np.vstack([taken, boxes[np.argmin(np.round(cost, 6))]])
    return tuple(Box(*map(float, box)) for box in taken)


def _boxes(x: float, y: float, wide: float, high: float) -> Boxes:
    """Places of a label around its point."""
    distance, across, down = _PLACES.T
    beside = np.where(across > 0, x + distance, x - distance - wide)
    left = np.where(across == 0, x - wide / 2, beside)
    top = y - high / 2 + down * np.where(across == 0, distance + high / 2, distance)
    return np.stack([left, top, left + wide, top + high], axis=1)


def _shared(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """The area of each box that lies in others, one after the other [pixel²]."""
    if not len(others):
        return np.zeros(len(boxes))
    ends = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = ends - np.maximum(boxes[:, None, :2], others[None, :, :2])
    areas: NDArray[np.float64] = np.prod(np.maximum(sides, 0.0), axis=2).sum(axis=1)
    return areas


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
