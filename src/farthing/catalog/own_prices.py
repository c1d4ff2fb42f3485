"""A user's own prices and updated rental offers: two files of theirs beside the prices that ship."""

from __future__ import annotations

import csv
import datetime
import functools
import io
import os
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

from farthing import catalog
from farthing.catalog import own
from farthing.catalog.load import read_table
from farthing.errors import CatalogError, InvalidInput, UnknownName
from farthing.records.hardware import Price

OWN: Final = "prices.csv"
UPDATED: Final = "rentals.csv"
FORGET: Final = "farthing prices forget"

COLUMNS: Final = tuple(field.name for field in fields(Price))
REQUIRED: Final = ("item", "kind", "usd", "per", "date")
MOST_USD: Final = 1e9
MOST_BYTES: Final = 16_000_000
"""Larger files hold something else than prices."""

_DATE: Final = re.compile(r"\d{4}(-\d\d){0,2}\Z", re.ASCII)

Stamp = tuple[str, tuple[int, int, int] | None]
"""A file, and what changes when it changes; None where there is none."""


def file() -> Path:
    """The file of the user's own prices."""
    return own.folder() / OWN


def updated_file() -> Path:
    """The file of updated rental offers."""
    return own.folder() / UPDATED


def stamps() -> tuple[Stamp, Stamp]:
    """Of both files, to tell whether what was read of them still holds."""
    folder = str(own.folder())
    return _stamp(os.path.join(folder, OWN)), _stamp(os.path.join(folder, UPDATED))


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        # What is there and cannot be read is told when it is read.
        return path, None
    return path, (found.st_mtime_ns, found.st_size, found.st_ino)


@functools.lru_cache(maxsize=8)
def kept(stamp: Stamp) -> tuple[Price, ...]:
    """Prices of a file in the user's folder; none where there is no file.

    Raises
    ------
    CatalogError
        The file is broken or cut short.
    InvalidInput
        It cannot be read.
    """
    path = Path(stamp[0])
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None
    text = _text(path)
    advice = f"; put it right, or remove it with: {FORGET}"
    if not text.endswith("\n"):
        last = f"line {len(text.splitlines())}"
        raise CatalogError(str(path), last, "(row)", f"the file is cut short{advice}")
    return _parsed(path, text, advice)


def all_kept() -> tuple[Price, ...]:
    """The prices that `use_prices` and `farthing.catalog.gpuhunt.update_prices` keep."""
    return tuple(price for stamp in stamps() for price in kept(stamp))


def read_prices(path: str | Path) -> tuple[Price, ...]:
    """Prices of a file with the columns of ``catalog/data/prices.csv``.

    Parameters
    ----------
    path
        CSV with a header: ``item, kind, usd, per, date`` and, where wanted, ``provider, spot, region,
        source``. Rentals are per ``accelerator-hour``, all else per ``unit``.

    Raises
    ------
    InvalidInput
        The file cannot be read.
    CatalogError
        A row or column makes no sense; names file, row and field.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "quote.csv"
    ...     _ = path.write_text("item,kind,usd,per,date\\nh100-sxm,purchase,25000,unit,2026-11-02\\n")
    ...     found = read_prices(path)
    >>> found[0].usd, found[0].source
    (25000.0, 'quote.csv')
    """
    path = Path(path).expanduser()
    return _parsed(path, _text(path), "")


def use_prices(path: str | Path) -> tuple[Price, ...]:
    """Check a file of prices and go by them from now on, in place of earlier ones of the user's own.

    Raises
    ------
    InvalidInput
        The file cannot be read, or nothing be written.
    CatalogError
        A row or column makes no sense; the earlier prices stay.
    """
    found = read_prices(path)
    write(file(), found)
    return found


def forget_prices() -> tuple[str, ...]:
    """Remove the user's own prices and the updated ones; the files that there were."""
    return tuple(str(path) for path in (file(), updated_file()) if own.removed(path))


def write(path: Path, found: Sequence[Price]) -> None:
    """Write prices as a whole file; half a file is never left."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for price in found:
        cells = {name: getattr(price, name) for name in COLUMNS}
        cells["spot"] = "yes" if price.spot else "no"
        cells["usd"] = f"{price.usd:.10g}"
        writer.writerow(cells.values())
    own.write_whole(path, text.getvalue())


def priced_items() -> set[str]:
    """Ids of all that may have a price."""
    tables = (catalog.accelerators, catalog.hosts, catalog.nics, catalog.switches, catalog.parts)
    return {id for table in tables for id in table()}


def check_item(name: str) -> str:
    """The id of something that may have a price.

    Raises
    ------
    UnknownName
        Nothing is called so; offers the nearest ids.
    """
    id = name.strip().lower()
    if id not in priced_items():
        hint = "see: farthing gpu list, farthing catalog list hosts"
        raise UnknownName("item", name, sorted(priced_items()), hint)
    return id


def check_date(text: str) -> str:
    """A date such as 2026-11-02, or a month or year of which no more is known.

    Raises
    ------
    InvalidInput
        It is none, or lies in the future.
    """
    word = text.strip()
    problem = f"{word!r} is no date; write it like 2026-11-02, 2026-11 or 2026"
    if not _DATE.match(word):
        raise InvalidInput(problem)
    year, month, day = (*map(int, word.split("-")), 1, 1)[:3]
    try:
        found = datetime.date(year, month, day)
    except ValueError:
        raise InvalidInput(problem) from None
    # Somewhere it is tomorrow already.
    if found > datetime.date.today() + datetime.timedelta(days=1):
        raise InvalidInput(f"{word} lies in the future; give the day on which the price was seen")
    return word


def _text(path: Path) -> str:
    try:
        with path.open("rb") as source:
            content = source.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"cannot read {path}: {reason}") from None
    if len(content) > MOST_BYTES:
        raise InvalidInput(f"{path} is larger than {MOST_BYTES // 1_000_000} MB, no file of prices")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not text in UTF-8; save it as CSV in UTF-8") from None


def _parsed(path: Path, text: str, advice: str) -> tuple[Price, ...]:
    where = str(path)
    header = ",".join((*REQUIRED, *(name for name in COLUMNS if name not in REQUIRED)))
    if not text.strip():
        raise CatalogError(
            where, "(header)", "(row)", f"the file is empty; its first line is {header}{advice}"
        )
    try:
        names = next(csv.reader(text.lstrip().splitlines()[:1]), [])
        for name in REQUIRED:
            if name not in names and set(names) <= set(COLUMNS):
                problem = f"the column is missing; the header is {header}{advice}"
                raise CatalogError(where, "(header)", name, problem)
        rows = read_table(where, Price, text.lstrip())
    except csv.Error as error:
        raise CatalogError(where, "(row)", "(row)", f"is no CSV: {error}{advice}") from None
    except CatalogError as error:
        if not advice or advice in str(error):
            raise
        raise CatalogError(error.file, error.record, error.field, error.problem + advice) from None
    if not rows:
        raise CatalogError(where, "line 2", "(row)", f"there are no prices under the header{advice}")
    return tuple(_checked(where, line, price, path.name, advice) for line, price in rows.items())


def _checked(where: str, line: str, price: Price, name: str, advice: str) -> Price:
    """The price with its names as the catalogue writes them, if it makes sense."""

    def wrong(field: str, problem: str) -> CatalogError:
        return CatalogError(where, line, field, problem + advice)

    try:
        item = check_item(price.item)
    except InvalidInput as error:
        raise wrong("item", str(error)) from None
    if not 0 < price.usd < MOST_USD:
        raise wrong("usd", f"must be more than 0 and less than {MOST_USD:,.0f}, not {price.usd:g}")
    rental = price.kind == "rental"
    per = "accelerator-hour" if rental else "unit"
    if price.per != per:
        raise wrong("per", f"a {price.kind} price is per {per}, not per {price.per}")
    if rental and item not in catalog.accelerators():
        raise wrong("kind", f"{item} is no accelerator; only those are rented")
    if price.spot and not rental:
        raise wrong("spot", f"a {price.kind} price is never spot; write no")
    try:
        date = check_date(price.date)
    except InvalidInput as error:
        raise wrong("date", str(error)) from None
    return replace(price, item=item, date=date, source=price.source or name)
