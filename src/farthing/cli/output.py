"""How results reach the terminal: text as wide as it is, or JSON alone."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from farthing.errors import FarthingError

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_WIDTH: Final = 120
"""Wider lines are hard to read."""

CLOSED_PIPE: Final = 141
"""Exit code where the reader went away, as a shell gives it."""

_ASCII: Final = {"×": "x", "µ": "u", "–": "-", "—": "-", "…": "...", "≤": "<=", "≥": ">=", "²": "2"}


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_ASCII.get(character, "?") for character in characters), error.end


codecs.register_error("farthing", _plainer)


def write(text: str) -> None:
    """Write to standard output; a reader that went away is no error."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="farthing")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer must not fail a second time at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise click.exceptions.Exit(CLOSED_PIPE) from None
        raise FarthingError(f"cannot write to standard output: {error.strerror}") from None


class _Page(io.StringIO):
    """What is to be written, in the encoding that it will be written in."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(sys.stdout, "encoding", None) or "utf-8"


def show(content: RenderableType) -> None:
    """Write a report."""
    from rich.console import Console

    page = _Page()
    console = Console(
        file=page,
        force_terminal=sys.stdout.isatty(),
        # NO_COLOR asks for plain text: bold and dim go too.
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        emoji=False,
        markup=False,
    )
    if console.width > MAX_WIDTH:
        console.width = MAX_WIDTH
    console.print(content)
    write("\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n")


def show_json(value: Any) -> None:
    """Write JSON and nothing else."""
    from farthing.report.encoding import json_text

    write(json_text(value) + "\n")
