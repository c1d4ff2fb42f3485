"""The article of 2023-09-27 on the H100 and the RTX 4090, its numbers recomputed.

``catalog/data/article.toml`` names a function and its inputs for each number that the article prints; nothing
is computed here but what it names. Each row is read twice: under the article's own assumptions (peak rates,
all efficiencies 1, every head with its own keys and values), and under the catalogue's (dense peaks,
grouped-query attention, fitted efficiencies, whole estimates for latencies and throughputs).

In the data an input is a number, a text, a list, a call of its own (``function``, ``inputs``, and ``field``
for a part of a record), or a reference: ``"@id"`` to another row's result, ``"@id.printed"`` to what the
article prints and goes on with, ``"$name"`` to an assumption. The catalogue's reading follows results and
never printed figures.
"""

from __future__ import annotations

import functools
import importlib
import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

from farthing.catalog import prices
from farthing.catalog.own_prices import stamps
from farthing.errors import CatalogError, UnknownName
from farthing.predict.trace import Traced, named, term_of, traced, tracing, untraced, words
from farthing.records.article import SECTIONS, ArticleRow
from farthing.records.hardware import Price

FILE: Final = "article.toml"
ARITHMETIC: Final = "farthing.predict.arithmetic"

_CALL_KEYS: Final = {"function", "inputs", "field"}
_ROW_KEYS: Final = {"id", "section", "what", "unit", "printed", "note", "realistic", *_CALL_KEYS}


def _refuse(record: str, field: str, problem: str) -> CatalogError:
    return CatalogError(FILE, record, field, problem)


@functools.cache
def article_data() -> Mapping[str, Any]:
    """The shipped data file as it stands."""
    text = (resources.files("farthing.catalog") / "data" / FILE).read_text("utf-8")
    return tomllib.loads(text)


def check(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rows by id.

    Raises
    ------
    CatalogError
        An unknown or missing key, a repeated id, an unknown section.
    """
    if unknown := set(data) - {"article", "catalogue", "row"}:
        raise _refuse("(file)", min(unknown), "no such table; known: article, catalogue, row")
    found: dict[str, Mapping[str, Any]] = {}
    for row in data["row"]:
        key = str(row.get("id", "(no id)"))
        if unknown := set(row) - _ROW_KEYS:
            raise _refuse(key, min(unknown), f"no such key; known: {', '.join(sorted(_ROW_KEYS))}")
        if missing := {"id", "section", "what", "unit", "function"} - set(row):
            raise _refuse(key, min(missing), "is missing")
        if row["section"] not in SECTIONS:
            raise _refuse(key, "section", f"must be one of {', '.join(SECTIONS)}")
        if key in found:
            raise _refuse(key, "id", "is used twice")
        found[key] = row
    return found


class Reading:
    """The rows under one set of assumptions.

    Parameters
    ----------
    data
        Tables ``article`` and ``catalogue`` of assumptions, and the rows.
    realistic
        Take the catalogue's assumptions, and each row's ``realistic`` input where it has one.

    Examples
    --------
    >>> float(Reading(article_data()).value("mem-params"))
    140000000000.0
    """

    def __init__(self, data: Mapping[str, Any], *, realistic: bool = False) -> None:
        self._rows = check(data)
        self._realistic = realistic
        self._assumptions: Mapping[str, Any] = data["catalogue" if realistic else "article"]
        self._known: dict[str, Any] = {}
        self._pending: set[str] = set()

    def value(self, row: str) -> Any:
        """Result of a row, traced while `tracing`; None where the reading has none."""
        if row not in self._rows:
            raise _refuse(row, "id", "no such row")
        return self._once(row, "@" + row, lambda: self._row(self._rows[row]))

    def _row(self, row: Mapping[str, Any]) -> Any:
        where = str(row["id"])
        call = row
        if self._realistic and "realistic" in row:
            if row["realistic"] is False:
                return None
            call = row["realistic"]
        unit = "" if row["unit"] == "1" else str(row["unit"])
        return named(str(row["what"]), self._input(where, call), unit=unit)

    def _once(self, where: str, key: str, compute: Callable[[], Any]) -> Any:
        if key not in self._known:
            if key in self._pending:
                raise _refuse(where, key, "needs itself")
            self._pending.add(key)
            self._known[key] = compute()
        return self._known[key]

    def _call(self, where: str, call: Mapping[str, Any]) -> Any:
        if unknown := set(call) - (_ROW_KEYS if "id" in call else _CALL_KEYS):
            raise _refuse(
                where, min(unknown), f"no such key of a call; known: {', '.join(sorted(_CALL_KEYS))}"
            )
        module, _, name = str(call["function"]).rpartition(".")
        if not module.startswith("farthing."):
            raise _refuse(where, "function", f"{call['function']!r} is not a function of farthing")
        try:
            function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            raise _refuse(where, "function", f"there is no {call['function']!r}") from None
        result = function
        if callable(function):
            # What arithmetic joins stands for itself; elsewhere a number is what the parameter calls it.
            inputs = {
                key: self._input(where, item, "" if module == ARITHMETIC else words(key))
                for key, item in call.get("inputs", {}).items()
            }
            result = function(**inputs)
        return self._walk(where, result, call["field"].split(".")) if "field" in call else result

    def _input(self, where: str, item: Any, name: str = "") -> Any:
        if isinstance(item, str) and item.startswith("@"):
            key, _, printed = item[1:].partition(".")
            if printed not in ("", "printed"):
                raise _refuse(where, item, "a row has a result and a printed figure, nothing else")
            if printed and not self._realistic:
                return self._mark(self._rows[key]["printed"], f"{self._rows[key]['what']}, as printed")
            value = self.value(key)
            if value is None:
                raise _refuse(where, item, "that row has no result")
            return value
        if isinstance(item, str) and item.startswith("$"):
            return self._once(where, item, lambda: self._walk(where, self._assumptions, item[1:].split(".")))
        if isinstance(item, list):
            return [self._input(where, part, name) for part in item]
        if isinstance(item, dict):
            return self._call(where, item)
        return self._mark(item, name)

    def _mark(self, value: Any, name: str = "") -> Any:
        """A number of the article's reading as a leaf of its derivation."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return traced(value, name) if is_number and not self._realistic else value

    def _walk(self, where: str, start: Any, path: list[str]) -> Any:
        """Follow names through tables, records and named parts; numbers through tuples."""
        value = start
        for step in path:
            try:
                if isinstance(value, Mapping):
                    value = value[step]
                    value = self._input(where, value) if not _is_table(value) else value
                elif isinstance(value, tuple):
                    is_index = step.isdigit()
                    value = value[int(step)] if is_index else next(p for p in value if p.name == step)
                else:
                    value = getattr(value, step)
            except (KeyError, AttributeError, IndexError, StopIteration):
                raise _refuse(where, ".".join(path), f"there is no {step!r}") from None
        if isinstance(start, Mapping) and not (isinstance(value, Traced) and value.term is not None):
            return self._mark(untraced(value), words(" ".join(path)))
        return value


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and "function" not in value


def _plain(reading: Reading, row: str) -> float | None:
    value = reading.value(row)
    return None if value is None else float(untraced(value))


def rows(section: str = "") -> tuple[ArticleRow, ...]:
    """Every number of the article: printed, recomputed, and realistic.

    Parameters
    ----------
    section
        Only of this part: ``train infer cost design chip``.

    Raises
    ------
    UnknownName
        No such part.

    Examples
    --------
    >>> found = {row.id: row for row in rows()}
    >>> row = found["mem-params"]
    >>> row.printed, row.recomputed, row.explanation.numbers
    (140000000000.0, 140000000000.0, '70e9 × 2 / 1')
    """
    if section and section not in SECTIONS:
        raise UnknownName("section of the article", section, SECTIONS)
    return tuple(row for row in _rows(stamps()) if section in ("", row.section))


def known_prices() -> tuple[Price, ...]:
    """Prices of the catalogue that realistic numbers go by.

    Examples
    --------
    >>> sorted({price.item for price in known_prices()})
    ['h100-sxm', 'rtx-4090']
    """
    calls = [
        call
        for table in article_data()["catalogue"].values()
        for call in table.values()
        if isinstance(call, Mapping) and str(call.get("function", "")).startswith("farthing.catalog.prices.")
    ]
    found = (getattr(prices, call["function"].rpartition(".")[2])(**call["inputs"]) for call in calls)
    return tuple(dict.fromkeys(price for price in found if price is not None))


@functools.lru_cache(maxsize=2)
def _rows(known: object) -> tuple[ArticleRow, ...]:
    """The rows; ``known`` changes with the user's own prices."""
    data = article_data()
    own, catalogue = Reading(data), Reading(data, realistic=True)
    found = []
    with tracing():
        derived = {key: own.value(key) for key in check(data)}
    for key, row in check(data).items():
        result = derived[key]
        explanation = term_of(result)
        if explanation is None:
            raise _refuse(key, "function", "gives no number under the article's assumptions")
        found.append(
            ArticleRow(
                id=key,
                section=row["section"],
                what=row["what"],
                unit=row["unit"],
                printed=None if "printed" not in row else float(row["printed"]),
                recomputed=float(untraced(result)),
                realistic=_plain(catalogue, key),
                note=row.get("note", ""),
                explanation=explanation,
            )
        )
    return tuple(found)
