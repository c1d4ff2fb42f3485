"""references.bib parses, and every entry can be found and read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import farthing
from farthing.catalog.references import citation, read_references, references
from farthing.errors import CatalogError, UnknownName

GOOD = """@article{doe-2020,
  author = {Doe, Jo and Roe, Al},
  title = {On {B}its},
  year = {2020},
  eprint = {2001.00001}
}
"""


def test_every_entry_says_who_what_when_and_where() -> None:
    assert len(references()) >= 50
    for key, entry in references().items():
        assert entry.key == key
        assert entry.authors
        assert all(entry.authors)
        assert entry.title
        assert 1950 < entry.year <= 2030
        assert entry.url.startswith("https://")


def test_keys_name_the_author_and_mostly_the_year() -> None:
    for key, entry in references().items():
        years = re.findall(r"-(\d{4})", key)
        assert not years or int(years[0]) in (entry.year, entry.year - 1), key


def test_no_paper_is_listed_twice() -> None:
    urls = [entry.url for entry in references().values()]
    assert len(set(urls)) == len(urls)


def test_every_key_that_the_prediction_code_cites_exists() -> None:
    source = Path(farthing.__file__).parent / "predict"
    cited = {
        key
        for path in source.rglob("*.py")
        for key in re.findall(
            r"(?<![\w-])([a-z]+-(?:19|20)\d{2}(?:-[a-z0-9]+)*)(?![\w-])", path.read_text("utf-8")
        )
    }
    assert cited <= set(references()), sorted(cited - set(references()))


def test_citation_shortens_authors() -> None:
    entries = read_references(GOOD)
    assert entries["doe-2020"].citation == "Doe and Roe 2020, On Bits"
    assert citation("fedus-2022").startswith("Fedus et al. 2022, Switch Transformers")
    assert references()["sanders-2009"].authors[-1] == "Träff"


def test_unknown_key_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="korthikanti-2022"):
        citation("korthikanti-2023")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD + GOOD, "used twice"),
        (GOOD.replace("  title = {On {B}its},\n", ""), "missing"),
        (GOOD.replace(",\n  eprint = {2001.00001}", ""), "where to read"),
        (GOOD.replace("2020}", "soon}"), "not a year"),
        (GOOD.replace("{Doe, Jo and Roe, Al}", "{}"), "empty"),
        (GOOD.replace("{On {B}its}", "{On {Bits}"), "braces"),
        (GOOD.replace("title = ", "author = "), "twice"),
        (GOOD.replace("@article", "@thesis"), "not an entry"),
        (GOOD.replace("  year", "  year year"), "one `name = {value},` a line"),
        ("stray text\n" + GOOD, "not an entry"),
    ],
)
def test_slips_are_refused(text: str, problem: str) -> None:
    with pytest.raises(CatalogError, match=problem):
        read_references(text)
