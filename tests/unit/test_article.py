"""The reader of the article's data: references, fields, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from farthing import api
from farthing.article import Reading, check, rows
from farthing.cli.article import article
from farthing.cli.main import main
from farthing.errors import CatalogError, UnknownName
from farthing.predict.trace import tracing
from farthing.records.article import SECTIONS, ArticleRow
from farthing.report.article import shown

PRODUCT = "farthing.predict.arithmetic.product"


def row(key: str, factors: list[Any], **more: Any) -> dict[str, Any]:
    start = {"id": key, "section": "train", "what": key, "unit": "s", "function": PRODUCT}
    return start | {"inputs": {"factors": factors}} | more


def data(*given: dict[str, Any], article: Any = None, catalogue: Any = None) -> dict[str, Any]:
    return {"article": article or {}, "catalogue": catalogue or {}, "row": list(given)}


def value(table: dict[str, Any], key: str, realistic: bool = False) -> float:
    return float(Reading(table, realistic=realistic).value(key))


def test_references_to_rows_assumptions_and_calls() -> None:
    table = data(
        row("a", [2, "$card.rate"]),
        row("b", ["@a", {"function": PRODUCT, "inputs": {"factors": [3, 5]}}]),
        article={"card": {"rate": 7}},
        catalogue={"card": {"rate": "$card.other", "other": 11}},
    )
    assert value(table, "b") == 2 * 7 * 15
    assert value(table, "b", realistic=True) == 2 * 11 * 15


def test_printed_figures_count_only_in_the_articles_reading() -> None:
    table = data(row("a", [2, 3], printed=5), row("b", ["@a.printed", 10]))
    assert value(table, "b") == 50
    assert value(table, "b", realistic=True) == 60


def test_realistic_call_and_none() -> None:
    other = {"function": PRODUCT, "inputs": {"factors": [9]}}
    table = data(
        row("a", [2], realistic=other), row("b", [2], realistic=False), row("c", [2], realistic="@a")
    )
    assert value(table, "a") == 2
    assert value(table, "a", realistic=True) == 9
    assert value(table, "c", realistic=True) == 9
    assert Reading(table, realistic=True).value("b") is None


def test_field_of_a_record() -> None:
    card = {"function": "farthing.catalog.accelerator", "inputs": {"name": "h100-sxm"}}
    table = data(
        row("a", ["$cluster.groups.0.accelerator.tdp_w"]),
        row("b", [card | {"field": "tdp_w"}]),
        article={
            "cluster": {
                "function": "farthing.catalog.cluster.parse_cluster",
                "inputs": {"text": "1x8:h100-sxm"},
            }
        },
    )
    assert value(table, "a") == value(table, "b") == 700


def test_explanation_shows_symbols_and_numbers() -> None:
    with tracing():
        found = Reading(
            data(row("a", [2, "$card.rate_flop_per_s"]), article={"card": {"rate_flop_per_s": 7}})
        )
        term = found.value("a").term
    assert (term.name, term.value, term.unit, term.numbers) == ("a", 14, "s", "2 × 7")
    assert "card rate" in term.formula


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (data(row("a", [1], colour="red")), "colour"),
        (data(row("a", [1], section="elsewhere")), "section"),
        (data(row("a", [1]), row("a", [2])), "used twice"),
        (data({"id": "a"}), "missing"),
        (data(row("a", [1])) | {"rows": []}, "no such table"),
    ],
)
def test_check_refuses(table: dict[str, Any], part: str) -> None:
    with pytest.raises(CatalogError, match=part):
        check(table)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (row("a", ["@b"]), "no such row"),
        (row("a", ["@a"]), "needs itself"),
        (row("a", ["@a.realistic"]), "printed figure"),
        (row("a", ["$nothing"]), "nothing"),
        (row("a", [{"function": PRODUCT, "input": {}}]), "no such key of a call"),
        (row("a", [1]) | {"function": "os.getcwd"}, "not a function of farthing"),
        (row("a", [1]) | {"function": "farthing.predict.arithmetic.sum"}, "there is no"),
    ],
)
def test_reading_refuses(given: dict[str, Any], part: str) -> None:
    with pytest.raises(CatalogError, match=part):
        Reading(data(given)).value("a")


def test_a_row_without_realistic_value_cannot_be_built_on() -> None:
    table = data(row("a", [2], realistic=False), row("b", ["@a"]))
    assert value(table, "b") == 2
    with pytest.raises(CatalogError, match="no result"):
        Reading(table, realistic=True).value("b")


def test_rows_are_records_with_derivations() -> None:
    found = rows()
    assert all(isinstance(entry, ArticleRow) for entry in found)
    assert all(entry.explanation.value == entry.recomputed for entry in found)
    assert sum(bool(entry.explanation.numbers) for entry in found) >= 100


def test_json_has_exactly_the_promised_keys() -> None:
    result = CliRunner().invoke(article, ["--json"])
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert len(printed) == len(rows())
    assert {tuple(entry) for entry in printed} == {
        ("id", "what", "unit", "printed", "recomputed", "realistic", "note")
    }


def test_sections_are_the_articles_parts() -> None:
    assert {entry.section for entry in rows()} == set(SECTIONS)
    assert sum((api.article_rows(section) for section in SECTIONS), ()) == tuple(
        sorted(rows(), key=lambda entry: list(SECTIONS).index(entry.section))
    )
    with pytest.raises(UnknownName, match="section of the article"):
        api.article_rows("trian")


def test_section_chooses_rows() -> None:
    result = CliRunner().invoke(article, ["--section", "chip", "--json"])
    assert [entry["id"] for entry in json.loads(result.stdout)] == [
        "bom-h100",
        "bom-4090",
        "die-h100",
        "msft",
        "payback",
    ]


def test_table_marks_what_differs() -> None:
    result = CliRunner().invoke(article, ["--section", "infer"], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    slip = next(line for line in result.stdout.splitlines() if "eth1-330-tok-s" in line)
    right = next(line for line in result.stdout.splitlines() if "pp-token-s" in line)
    assert "0.69 !" in slip
    assert "!" not in right
    assert "2.06 token/s" in slip
    assert "Inference" in lines
    assert "Training" not in lines


@pytest.mark.parametrize("columns", ["80", "120"])
def test_no_width_cuts_a_value(columns: str) -> None:
    result = CliRunner().invoke(article, env={"COLUMNS": columns})
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= int(columns)
    for entry in rows():
        assert entry.id in result.stdout
        assert shown(entry.recomputed, entry.unit) in result.stdout


def test_unknown_section_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["article", "--section", "poetry"]) == 2
    assert "train, infer, cost, design, chip" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (8.4e23, "FLOP", "8.4e+23 FLOP"),
        (0.43992, "1", "0.4399"),
        (4.398e13, "parameter", "44.0 T parameter"),
        (1.52207, "USD/h", "$1.52/h"),
        (8192, "FLOP/byte", "8,192 FLOP/byte"),
    ],
)
def test_shown(number: float, unit: str, text: str) -> None:
    assert shown(number, unit) == text
