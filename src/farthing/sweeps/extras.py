"""Packages that only some sweeps need, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from farthing.errors import InvalidInput


def extra(package: str, name: str, what: str, instead: str = "") -> Any:
    """A package of an extra, untyped so that no checker reads the whole of it.

    Parameters
    ----------
    package, name
        The package, and the extra of farthing that installs it; no name where no extra does.
    what
        What needs it, as the beginning of a sentence.
    instead
        What does without.

    Raises
    ------
    InvalidInput
        It is not installed; says the command that installs it.

    Examples
    --------
    >>> extra("json", "frames", "reading").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        wanted = f"'farthing[{name}]'" if name else package
        way_out = f", or {instead}" if instead else ""
        raise InvalidInput(f"{what} needs the package {package}: pip install {wanted}{way_out}") from None
