"""The exceptions farthing raises.

::

    FarthingError
    ├─ InvalidInput (ValueError)   the caller's numbers make no sense           exit 2, HTTP 422
    │   └─ UnknownName             no such thing; offers the nearest names      exit 2, HTTP 404
    ├─ CatalogError                a data file is wrong: file, record, field    exit 1, HTTP 500
    └─ Infeasible                  a plan was demanded and none fits            exit 3, HTTP 409

A message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHORT_LIST = 80
"""So many names are listed where none is near."""


class FarthingError(Exception):
    """Anything that farthing raises on purpose."""

    exit_code = 1


class InvalidInput(FarthingError, ValueError):
    """The caller's numbers or words make no sense."""

    exit_code = 2


class UnknownName(InvalidInput):
    """A name that the catalogue does not hold.

    Parameters
    ----------
    kind
        What was looked for, e.g. ``"accelerator"``.
    name
        The name that was asked for.
    known
        All names that exist; the nearest are offered.
    hint
        What else the caller can do, as a full clause.

    Examples
    --------
    >>> str(UnknownName("accelerator", "rtx-4900", ["rtx-4090", "h100-sxm"]))
    "unknown accelerator 'rtx-4900'; did you mean rtx-4090?"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = list(known)
        begun = [other for other in names if len(name) > 1 and other.startswith(name.lower())]
        near = sorted(begun, key=len)[:3] or difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        listed = f"use one of {', '.join(names)}" if len(names) <= SHORT_LIST else "nothing is named like it"
        advice = f"did you mean {', '.join(near)}?" if near else (hint or listed)
        if near and hint:
            advice = f"{advice} ({hint})"
        super().__init__(f"unknown {kind} {name!r}; {advice}")
        self.kind = kind
        self.name = name
        self.nearest = tuple(near)

    def __reduce__(self) -> tuple[object, ...]:
        return (InvalidInput, (str(self),))


class CatalogError(FarthingError):
    """A data file is wrong.

    Parameters
    ----------
    file, record, field
        Where: file name, id of the row, name of the column.
    problem
        What is wrong and what would be right.
    """

    def __init__(self, file: str, record: str, field: str, problem: str) -> None:
        super().__init__(f"{file}: record {record!r}, field {field!r}: {problem}")
        self.file = file
        self.record = record
        self.field = field
        self.problem = problem

    def __reduce__(self) -> tuple[object, ...]:
        return (FarthingError, (str(self),))


class Infeasible(FarthingError):
    """A plan was demanded and none fits.

    Parameters
    ----------
    message
        What does not fit, by how much, and the nearest change that would fit.
    reasons
        How many candidates each rule removed.
    """

    exit_code = 3

    def __init__(self, message: str, reasons: dict[str, int] | None = None) -> None:
        super().__init__(message)
        self.reasons = dict(reasons or {})
