"""Colours and signs of charts, which all eyes tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OKABE_ITO: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
"""Okabe and Ito, Color Universal Design, 2008, without yellow, which white swallows, and grey for black."""

OKABE_ITO_DARK: Final = ("#56B4E9", "#E69F00", "#2BBF97", "#E39AC4", "#F0E442", "#FF7F41", "#B0B0B0")
"""The same hues, lighter, for a dark ground."""

SHAPES: Final = ("circle", "triangle-up", "square", "diamond", "cross", "triangle-down", "triangle-right")
DASHES: Final = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (4, 4), (1, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The colours of a chart.

    Attributes
    ----------
    ground, text, quiet, grid
        Of the background, of what is read first, of what is read next, and of lines behind the data.
    colours
        Of the series in their order.
    """

    ground: str
    text: str
    quiet: str
    grid: str
    colours: tuple[str, ...]

    def colour(self, number: int) -> str:
        """Of the series of that number; beyond the last hue they come again, paler."""
        again, place = divmod(number, len(self.colours))
        return mixed(self.colours[place], self.ground, min(0.45 * again, 0.75))


def mixed(colour: str, other: str, share: float) -> str:
    """A colour with a share of another.

    Examples
    --------
    >>> mixed("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(one * (1 - share) + two * share):02x}" for one, two in pairs)


def lightness(colour: str) -> float:
    """Relative luminance as the Web Content Accessibility Guidelines define it, 0..1.

    Examples
    --------
    >>> lightness("#000000"), lightness("#ffffff")
    (0.0, 1.0)
    """
    shares = (channel / 255 for channel in _channels(colour))
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return round(0.2126 * red + 0.7152 * green + 0.0722 * blue, 6)


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


LIGHT: Final = Theme(ground="#ffffff", text="#1b1f24", quiet="#57606a", grid="#e3e6ea", colours=OKABE_ITO)
DARK: Final = Theme(ground="#14171c", text="#f0f3f6", quiet="#a8b1bb", grid="#2e343c", colours=OKABE_ITO_DARK)
