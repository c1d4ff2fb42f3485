"""Writes charts as files: SVG, PNG, a page that works without a network, or the specification."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from farthing.errors import FarthingError, InvalidInput
from farthing.records.chart import Chart
from farthing.report.vega import vega_lite

if TYPE_CHECKING:
    import types

VEGA_LITE: Final = "6.1"
"""The version of Vega-Lite that draws."""

_PNG_SCALE: Final = 2
"""Pixels of a picture over those of the chart, for dense screens."""


def write_plot(charts: Iterable[Chart], path: str | os.PathLike[str], dark: bool = False) -> None:
    """Write charts as one file, whole or not at all; the ending of its name says the kind.

    Parameters
    ----------
    charts
        One or more; several are stacked.
    path
        A name that ends in ``.svg``, ``.png``, ``.html`` or ``.json``; a file of that name is replaced.
    dark
        Light on a dark ground.

    Raises
    ------
    InvalidInput
        Another ending, no chart, a place that cannot be written to, or the extra ``plots`` is missing.
    FarthingError
        The disk does not take it.
    """
    place = Path(path)
    check_plot(place)
    content = _WRITERS[place.suffix.lower()](vega_lite(list(charts), dark))
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(place)
    except OSError as error:
        raise FarthingError(f"cannot write {place}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def check_plot(path: str | os.PathLike[str]) -> None:
    """Refuse at once what could not be written in the end.

    Parameters
    ----------
    path
        As in `write_plot`.

    Raises
    ------
    InvalidInput
        Says what to name instead, or what to install.

    Examples
    --------
    >>> check_plot("chart.gif")
    Traceback (most recent call last):
    farthing.errors.InvalidInput: cannot draw 'chart.gif'; use a name that ends in .svg, .png, .html or .json
    """
    place = Path(path)
    ending = place.suffix.lower()
    if ending not in _WRITERS:
        *others, last = _WRITERS
        raise InvalidInput(
            f"cannot draw {place.name!r}; use a name that ends in {', '.join(others)} or {last}"
        )
    if place.is_dir():
        raise InvalidInput(f"cannot write {place}: it is a folder; name a file")
    if not place.parent.is_dir():
        raise InvalidInput(f"cannot write {place}: there is no folder {place.parent}; name one that exists")
    if not os.access(place.parent, os.W_OK):
        raise InvalidInput(f"cannot write {place}: {place.parent} may not be written to; name another folder")
    if ending != ".json":
        _converter(ending)


def _converter(ending: str) -> types.ModuleType:
    try:
        import vl_convert
    except ImportError:
        raise InvalidInput(
            f"drawing a {ending} needs the package vl-convert-python: pip install 'farthing[plots]', "
            "or name a .json file"
        ) from None
    return vl_convert


def _json(spec: dict[str, Any]) -> bytes:
    return (json.dumps(spec, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _svg(spec: dict[str, Any]) -> bytes:
    return _svg_text(spec).encode()


def _svg_text(spec: dict[str, Any]) -> str:
    """The picture, with the description that screen readers tell."""
    drawn = str(_converter(".svg").vegalite_to_svg(spec, vl_version=VEGA_LITE))
    told = html.escape(spec["description"])
    opened = re.sub(r"^<svg ", f'<svg role="img" aria-label="{told}" ', drawn)
    return opened.replace(">", f"><title>{told}</title>", 1)


def _png(spec: dict[str, Any]) -> bytes:
    drawn: bytes = _converter(".png").vegalite_to_png(spec, vl_version=VEGA_LITE, scale=_PNG_SCALE)
    return drawn


_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0; background: {ground}; font-family: {font}; }}
#chart {{ display: block; max-width: 100%; overflow-x: auto; padding: 8px; box-sizing: border-box; }}
</style>
<script>{library}</script>
</head>
<body>
<main id="chart">{picture}</main>
<script>
vegaEmbed("#chart", {spec}, {{
  renderer: "svg",
  actions: {{ export: true, source: false, compiled: false, editor: false }}
}});
</script>
</body>
</html>
"""


def _html(spec: dict[str, Any]) -> bytes:
    """A page with the library in it; the picture stands there where that cannot draw."""
    from farthing.report.vega import FONT

    library = _converter(".html").javascript_bundle(vl_version=VEGA_LITE).replace("</script", "<\\/script")
    title = " ".join(_first_title(spec))
    page = _PAGE.format(
        title=html.escape(title),
        ground=spec["background"],
        font=FONT,
        library=library,
        picture=_svg_text(spec),
        # No text of the data may end the script.
        spec=json.dumps(spec, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
    )
    return page.encode()


def _first_title(spec: dict[str, Any]) -> list[str]:
    views = spec.get("vconcat", [spec])
    words: list[str] = views[0]["title"]["text"]
    return words


_WRITERS: Final[dict[str, Callable[[dict[str, Any]], bytes]]] = {
    ".svg": _svg,
    ".png": _png,
    ".html": _html,
    ".json": _json,
}
