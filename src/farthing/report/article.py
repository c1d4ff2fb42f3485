"""Values of the article's numbers in words."""

from __future__ import annotations

from farthing.units import format_count, format_quantity


def shown(value: float | None, unit: str) -> str:
    """Readable value of a number of the article.

    Examples
    --------
    >>> shown(0.0175, "s"), shown(2361.1, "GPU"), shown(4.4e7, "token/h"), shown(None, "s")
    ('17.5 ms', '2,361 GPU', '44.0 M token/h', '')
    """
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
