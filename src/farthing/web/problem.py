"""What is told of a question that cannot be answered."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from farthing.errors import FarthingError, Infeasible, InvalidInput, UnknownName
from farthing.report.encoding import json_text

STATUS: Final = {
    "unknown-name": 404,
    "no-such-page": 404,
    "no-such-method": 405,
    "infeasible": 409,
    "too-large": 413,
    "too-long": 414,
    "too-slow": 408,
    "invalid-input": 422,
    "too-many": 429,
    "internal": 500,
    "busy": 503,
    "took-too-long": 504,
    "wrong-host": 400,
}
"""HTTP status by kind."""


class Problem(Exception):
    """Why there is no answer.

    Parameters
    ----------
    kind
        One of `STATUS`.
    message
        What is wrong, where, and what to do.
    retry_s
        Seconds after which it is worth asking again; 0 says nothing.

    Examples
    --------
    >>> Problem("invalid-input", "tp: 0 is out of range: give 1 to 8").status
    422
    """

    def __init__(self, kind: str, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_s = retry_s

    def __reduce__(self) -> tuple[object, ...]:
        return (Problem, (self.kind, self.message, self.retry_s))

    @property
    def status(self) -> int:
        """Of HTTP."""
        return STATUS[self.kind]

    @property
    def headers(self) -> dict[str, str]:
        """That go with it."""
        return {"retry-after": str(max(1, round(self.retry_s)))} if self.retry_s else {}

    def response(self) -> Response:
        """As JSON."""
        text = json_text({"error": {"kind": self.kind, "message": self.message}})
        return Response(text, self.status, self.headers, "application/json")


def problem_of(error: FarthingError) -> Problem:
    """What is told of an error.

    Examples
    --------
    >>> problem_of(InvalidInput("tp must be at least 1")).kind
    'invalid-input'
    """
    if isinstance(error, UnknownName):
        kind = "unknown-name"
    elif isinstance(error, InvalidInput):
        kind = "invalid-input"
    elif isinstance(error, Infeasible):
        kind = "infeasible"
    else:
        kind = "internal"
    return Problem(kind, " ".join(str(error).split()))
