"""The papers that the formulas come from: ``references.bib`` by key.

Only the plain part of BibTeX that the file uses is read; anything else is refused, so that a slip
in the file shows up at once.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from farthing.errors import CatalogError, UnknownName

_FILE: Final = "references.bib"
_ENTRY: Final = re.compile(r"@(article|inproceedings|book|misc)\{([a-z0-9-]+),\s*\n(.*?)\n\}\s*", re.DOTALL)
_FIELD: Final = re.compile(r"\s*([a-z]+) = \{(.*)\}(,?)")
_REQUIRED: Final = ("author", "title", "year")
_WHERE: Final = ("doi", "eprint", "url")
_ACCENT: Final = re.compile(r"\{?\\(['\"`^~])\{?([A-Za-z])\}?\}?")
_COMBINING: Final = {"'": "\u0301", '"': "\u0308", "`": "\u0300", "^": "\u0302", "~": "\u0303"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A paper or manual.

    Attributes
    ----------
    authors
        Surnames, or the name of an organisation.
    title, year
        As printed.
    url
        Where to read it.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    year: int
    url: str

    @property
    def citation(self) -> str:
        """Authors, year and title on one line."""
        first = self.authors[0]
        if len(self.authors) == 2 and self.authors[1] != "others":
            first = f"{first} and {self.authors[1]}"
        elif len(self.authors) > 1:
            first = f"{first} et al."
        return f"{first} {self.year}, {self.title}"


def _plain(text: str) -> str:
    """Text without TeX accents and braces."""
    accented = _ACCENT.sub(lambda match: match.group(2) + _COMBINING[match.group(1)], text)
    accented = accented.replace("{\\L}", "Ł").replace("{\\l}", "ł").replace("{\\o}", "ø")
    return unicodedata.normalize("NFC", accented.replace("{", "").replace("}", ""))


def _surnames(text: str) -> tuple[str, ...]:
    if text.startswith("{"):
        return (_plain(text),)
    return tuple(_plain(author.split(",")[0].strip()) for author in text.split(" and "))


def _fields(key: str, body: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    lines = body.split("\n")
    for number, line in enumerate(lines, start=1):
        match = _FIELD.fullmatch(line)
        if match is None or bool(match.group(3)) != (number < len(lines)):
            raise CatalogError(
                _FILE, key, line.strip(), "write one `name = {value},` a line, the last without comma"
            )
        name, value = match.group(1), match.group(2)
        if name in fields:
            raise CatalogError(_FILE, key, name, "is given twice")
        if not value.strip() or value.count("{") != value.count("}"):
            raise CatalogError(_FILE, key, name, "is empty or its braces do not match")
        fields[name] = value.strip()
    return fields


def read_references(text: str) -> dict[str, Reference]:
    """All entries of a BibTeX text, by key.

    Raises
    ------
    CatalogError
        An entry that does not parse, a repeated key, a missing author, title, year or address.

    Examples
    --------
    >>> lines = ["author = {Li, Bo},", "title = {Why},", "year = {2023},", "url = {u}"]
    >>> read_references("\\n  ".join(["@misc{li-2023,", *lines]) + "\\n}")["li-2023"].citation
    'Li 2023, Why'
    """
    entries: dict[str, Reference] = {}
    position = len(text) - len(text.lstrip())
    while position < len(text):
        match = _ENTRY.match(text, position)
        if match is None:
            start = text[position : position + 60].split("\n")[0]
            raise CatalogError(_FILE, start, "(entry)", "is not an entry like @article{key-year, ... }")
        position = match.end()
        key, fields = match.group(2), _fields(match.group(2), match.group(3))
        if key in entries:
            raise CatalogError(_FILE, key, "(key)", "is used twice")
        for name in _REQUIRED:
            if name not in fields:
                raise CatalogError(_FILE, key, name, "is missing")
        if not fields["year"].isdigit():
            raise CatalogError(_FILE, key, "year", f"{fields['year']!r} is not a year")
        where = next((name for name in _WHERE if name in fields), "")
        if not where:
            raise CatalogError(_FILE, key, "url", f"say where to read it: one of {', '.join(_WHERE)}")
        prefix = {"doi": "https://doi.org/", "eprint": "https://arxiv.org/abs/", "url": ""}[where]
        entries[key] = Reference(
            key=key,
            authors=_surnames(fields["author"]),
            title=_plain(fields["title"]),
            year=int(fields["year"]),
            url=prefix + fields[where],
        )
    return entries


@functools.cache
def references() -> Mapping[str, Reference]:
    """All references by key.

    Examples
    --------
    >>> references()["korthikanti-2022"].url
    'https://arxiv.org/abs/2205.05198'
    """
    return read_references((resources.files("farthing.catalog") / _FILE).read_text("utf-8"))


def citation(key: str) -> str:
    """One line that names a paper; raises `UnknownName` for a key that is not in the file.

    Examples
    --------
    >>> citation("korthikanti-2022")
    'Korthikanti et al. 2022, Reducing Activation Recomputation in Large Transformer Models'
    >>> citation("shazeer-2019")
    'Shazeer 2019, Fast Transformer Decoding: One Write-Head is All You Need'
    """
    entry = references().get(key)
    if entry is None:
        raise UnknownName("reference", key, references())
    return entry.citation
