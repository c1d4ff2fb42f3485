"""docs/terms.md has every field of every record, none that is gone, and the units that names state."""

import dataclasses
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

from farthing import api, records
from farthing.catalog.references import references
from farthing.errors import UnknownName
from farthing.units import unit_of

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "terms.md").read_text("utf-8")
CODE = re.compile(r"`([^`]+)`")


def tables(text: str) -> dict[str, list[list[str]]]:
    """Rows of the tables by section, the header row first, the ruler left out."""
    found: dict[str, list[list[str]]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("|") and set(line) - set("|- "):
            found.setdefault(section, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return found


TABLES = tables(DOCUMENT)
WORDS = TABLES["Words"]
FIELD_ROWS = [row for section, rows in TABLES.items() if section != "Words" for row in rows[1:]]


def terms(rows: list[list[str]]) -> list[str]:
    """Code terms of the first column; a heading inside a table is no term."""
    return [term for row in rows if not row[0].startswith("**") for term in CODE.findall(row[0])]


def record_modules() -> list[ModuleType]:
    return [
        importlib.import_module(f"{records.__name__}.{module.name}")
        for module in pkgutil.iter_modules(records.__path__)
    ]


RECORDS = [
    thing
    for module in record_modules()
    for thing in vars(module).values()
    if isinstance(thing, type) and dataclasses.is_dataclass(thing) and thing.__module__ == module.__name__
]
PROPERTIES = {
    name for record in RECORDS for name, thing in vars(record).items() if isinstance(thing, property)
}


def test_records_are_found() -> None:
    assert {"Model", "Accelerator", "TrainingPlan", "InferenceEstimate"} <= {r.__name__ for r in RECORDS}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_has_a_row(record: type) -> None:
    missing = {field.name for field in dataclasses.fields(record)} - set(terms(FIELD_ROWS))
    assert not missing, f"docs/terms.md lacks {sorted(missing)} of {record.__name__}"


def test_no_row_is_stale() -> None:
    known = {field.name for record in RECORDS for field in dataclasses.fields(record)} | PROPERTIES
    stale = set(terms(FIELD_ROWS)) - known
    assert not stale, (
        f"docs/terms.md has {sorted(stale)}, which no record has; words belong in its Words section"
    )


def test_words_in_code_are_used_in_the_source() -> None:
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    unused = {word for word in terms(WORDS) if not re.search(rf"\b{word}\b", source)}
    assert not unused, f"docs/terms.md explains {sorted(unused)}, which the code does not use"


def test_no_term_has_two_rows() -> None:
    listed = terms(FIELD_ROWS) + terms(WORDS)
    assert not {term for term in listed if listed.count(term) > 1}


@pytest.mark.parametrize("section", TABLES)
def test_rows_are_as_wide_as_their_header(section: str) -> None:
    rows = TABLES[section]
    assert {len(row) for row in rows} == {len(rows[0])}


def test_units_are_those_that_names_state() -> None:
    stated = {term: row[2] for row in FIELD_ROWS + WORDS for term in terms([row])}
    # An operation is no FLOP, and unit_of knows only the latter.
    expected = {term: unit_of(term) for term in stated}
    wrong = {term: stated[term] for term, unit in expected.items() if unit and stated[term] != unit}
    assert not wrong, f"docs/terms.md gives other units than the names: {wrong}"


def test_references_exist() -> None:
    keys = set(re.findall(r"\[([a-z0-9]+(?:-[a-z0-9]+)*-\d{4}[a-z0-9-]*)\]", DOCUMENT))
    assert keys
    assert keys <= set(references())


def test_the_glossary_of_the_package_is_current() -> None:
    spec = importlib.util.spec_from_file_location("generate_terms", ROOT / "docs" / "generate_terms.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert page.FILE.read_text("utf-8") == page.table(DOCUMENT), "run make docs"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_code_can_ask_for_every_field(record: type) -> None:
    for field in dataclasses.fields(record):
        found = api.term(record.__name__, field.name)
        assert found.name == field.name
        assert found.meaning
        assert set(found.references) <= set(references())


def test_words_are_explained_too() -> None:
    assert api.term("", "tensor parallelism") == dataclasses.replace(
        api.term("", "TP"), name="tensor parallelism"
    )
    assert "shoeybi-2019" in api.term("", "TP").references
    # A word that is a field as well.
    assert api.term("", "goodput") != api.term("FaultsResult", "goodput")
    assert api.term("TrainingPlan", "tp").megatron == "`--tensor-model-parallel-size`"


@pytest.mark.parametrize(
    ("record", "field", "message"),
    [
        ("Acelerator", "tdp_w", "unknown record 'Acelerator'; did you mean Accelerator"),
        ("Accelerator", "tdp", "unknown field of Accelerator 'tdp'; did you mean tdp_w"),
        ("Accelerator", "training_flop_per_s", "unknown term"),
        ("", "nothing like it", "unknown term"),
    ],
)
def test_unknown_terms(record: str, field: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        api.term(record, field)


def test_every_fact_of_the_catalogue_is_explained() -> None:
    rows = {(table.name, api.catalog_rows(table.name).rows[0]["id"]) for table in api.catalog_tables()}
    names = {fact.name for name, id in rows for fact in api.catalog_row(name, str(id)).facts}
    assert names <= {entry.name for entry in api.glossary()}
