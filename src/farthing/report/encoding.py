"""Records as JSON, in SI units under the names of their fields."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec


def _plain(value: Any) -> Any:
    # NumPy scalars know their Python equal.
    if hasattr(value, "item"):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def json_text(value: Any) -> str:
    """Records, mappings and sequences of them as indented JSON; infinity becomes null.

    Examples
    --------
    >>> from farthing.records.estimate import Part
    >>> print(json_text([Part(name="weights", value=2.0, share=1.0)]))
    [
      {
        "name": "weights",
        "value": 2.0,
        "share": 1.0
      }
    ]
    """
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()


def fields_of(record: Any) -> dict[str, Any]:
    """A record's fields by name, to put others beside them.

    Examples
    --------
    >>> from farthing.records.estimate import Part
    >>> fields_of(Part(name="weights", value=2.0, share=1.0))["value"]
    2.0
    """
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
