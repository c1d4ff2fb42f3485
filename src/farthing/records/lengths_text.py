"""Lengths of prompts and answers as texts: ``1000``, ``lognormal:1000:0.8``, ``uniform:1000:0.2:1500``."""

from __future__ import annotations

import math
from typing import Final, get_args

from farthing.errors import InvalidInput
from farthing.records.serving import MOST_TOKENS, LengthKind, Lengths
from farthing.units import parse_tokens

_PARTS: Final = {"fixed": (1, 2), "uniform": (2, 3), "lognormal": (2, 3)}
"""Numbers of a kind, without and with the longest."""


def parse_lengths(text: str) -> Lengths:
    """Tokens: a number, ``lognormal:MEAN:VARIATION[:MOST]`` or ``uniform:MEAN:HALFWIDTH[:MOST]``.

    Raises
    ------
    InvalidInput
        A text that is none of these, or a number out of range.

    Examples
    --------
    >>> parse_lengths("1k").tokens, parse_lengths("Lognormal:300:0.8:4k").most
    (1000.0, 4000)
    """
    if "," in text:
        raise InvalidInput(f"{text[:40]!r} is several numbers; give one, without commas")
    kind, *numbers = [part.strip() for part in text.split(":")]
    if not numbers:
        kind, numbers = "fixed", [kind]
    kind = kind.lower()
    if kind not in get_args(LengthKind) or len(numbers) not in _PARTS[kind]:
        raise InvalidInput(
            f"{text[:40]!r} is no length; write it like 1000, lognormal:1000:0.8 (mean and variation), "
            "lognormal:1000:0.8:8000 (none longer) or uniform:1000:0.2 (20% to both sides)"
        )
    tokens = _number(numbers[0])
    spread = _number(numbers[1]) if kind != "fixed" else 0.0
    longest = numbers[_PARTS[kind][0] :]
    most = _number(longest[0]) if longest else 0.0
    if longest and not (most.is_integer() and 1 <= most <= MOST_TOKENS):
        raise InvalidInput(
            f"{longest[0][:40]!r} is no longest length: give a whole number, 1 to {MOST_TOKENS:,}"
        )
    return Lengths(kind=kind, tokens=tokens, spread=spread, most=int(most))  # type: ignore[arg-type]


def _number(text: str) -> float:
    try:
        number = parse_tokens(text)
    except InvalidInput:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"{text[:40]!r} is not a number; write it like 1000, 1k or 0.8")
    return number
