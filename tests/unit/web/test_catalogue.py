"""The catalogue's view: what it lists, one row in full, and the words that ask for the same elsewhere."""

import csv
import io
import json
import shlex
from typing import Any

import pytest

from farthing import api
from farthing.cli.main import main
from farthing.report.encoding import json_text
from farthing.web.answers import Form, Job, Reply, reply_to
from farthing.web.views.catalogue import MOST, VIEW


def reply(form: Form, number: str = "", **values: str) -> Reply:
    return reply_to(Job(view="catalogue", form=form, values=tuple(values.items()), number=number))


def page(**values: str) -> str:
    found = reply("page", **values)
    assert found.status == 200
    return found.body.decode()


def given(**values: Any) -> dict[str, Any]:
    return {"table": "accelerators"} | values


@pytest.mark.parametrize("table", [table.name for table in api.catalog_tables()])
def test_every_table_is_shown_and_is_the_json_and_a_csv(table: str) -> None:
    found = api.catalog_rows(table)
    shown = page(table=table)
    told = json.loads(reply("json", table=table).body)
    assert told["found"] == json.loads(json_text(found))
    assert len(told["tables"]) == len(api.catalog_tables())
    assert told["entry"] is None
    rows = list(csv.DictReader(io.StringIO(reply("csv", table=table).body.decode())))
    assert len(rows) == len(found.rows)
    assert shown.count('<th scope="row">') == min(len(rows), MOST)
    for column in found.table.columns:
        assert column.title in shown
    more = len(rows) - MOST
    assert (f"And {more:,} more" in shown) == (more > 0)


def test_cells_have_the_values_of_the_json() -> None:
    shown = page(search="h100-sxm")
    row = next(row for row in api.catalog_rows("accelerators", search="h100-sxm").rows)
    for name in ("memory_gib", "memory_gb_per_s", "tdp_w"):
        assert f'<data value="{row[name]}">' in shown


def test_a_row_is_told_with_all_its_sources() -> None:
    shown, entry = page(id="h100-sxm"), api.catalog_row("accelerators", "h100-sxm")
    assert "<title>Catalogue: H100 SXM5 80 GB" in shown
    for fact in entry.facts:
        assert f'<th scope="row">{fact.label}' in shown
        assert fact.source.split(";")[0] in shown
    for price in entry.prices:
        assert f'<th scope="row">{price.label}' in shown
    assert 'href="https://data-gate.ch/gpu-market-analysis-2026/"' in shown
    told = json.loads(reply("json", id="h100-sxm").body)
    assert told["entry"] == json.loads(json_text(entry))
    facts = list(csv.DictReader(io.StringIO(reply("csv", id="h100-sxm").body.decode())))
    assert len(facts) == len(entry.facts) + len(entry.prices)


def test_rows_without_an_id_of_their_own_are_reached_too() -> None:
    for table in ("api-prices", "resale", "host-parts", "prices"):
        key = str(api.catalog_rows(table).rows[0]["id"])
        assert reply("page", table=table, id=key).status == 200


def test_titles_sort_and_say_how_it_is_sorted() -> None:
    plain = page()
    assert 'aria-sort="' not in plain
    assert 'href="/catalogue?table=accelerators&amp;sort=memory_gib"' in plain
    down = page(sort="memory_gib", search="rtx")
    assert 'aria-sort="descending"' in down
    assert 'href="/catalogue?search=rtx&amp;sort=-memory_gib"' in down
    assert 'aria-sort="ascending"' in page(sort="-memory_gib")
    assert 'aria-sort="ascending"' in page(sort="name")
    assert 'aria-sort="descending"' in page(sort="purchase_date")
    first = api.catalog_rows("accelerators", search="rtx", sort="memory_gib").rows[0]["id"]
    assert down.index(f">{first}</a>") < down.index(">rtx-4090</a>")


def test_a_fact_is_explained_by_its_meaning_and_its_source() -> None:
    body = reply("explain", number="tdp_w", id="h100-sxm").body.decode()
    assert "power limit" in body
    assert "700 W" in body
    assert "Power limit" in body
    assert "NVIDIA H100 datasheet" in body
    assert reply("explain", number="<b>").body.decode().count("&lt;b&gt;") == 1


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        ({"table": "accelerator"}, 404, "did you mean accelerators"),
        ({"id": "h100-sxn"}, 404, "did you mean h100-sxm"),
        ({"table": "nics", "id": "h100-sxm"}, 404, "unknown network card"),
        ({"sort": "colour"}, 404, "unknown column"),
        ({"sort": "a b"}, 422, "not a column"),
        ({"search": "\x00"}, 422, "ordinary characters"),
        ({"colour": "red"}, 422, "unknown field"),
    ],
)
def test_bad_names_are_told(values: dict[str, str], status: int, words: str) -> None:
    found = reply("json", **values)
    assert found.status == status
    assert words in json.loads(found.body)["error"]["message"]
    assert reply("page", **values).status == status
    assert "No answer" in reply("page", **values).body.decode()


def test_what_is_searched_is_data() -> None:
    shown = page(search="<script>")
    assert "<script>'" not in shown
    assert "No row has that text" in shown


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"search": "rtx 40", "sort": "memory_gib"},
        {"id": "h100-sxm"},
        {"table": "models", "search": "qwen3"},
        {"table": "models", "id": "llama-2-70b"},
        {"table": "links", "search": "ib-"},
        {"table": "links", "id": "ib-hdr"},
        {"table": "api-prices", "search": "llama-3.3"},
    ],
)
def test_the_command_and_the_call_ask_the_same(values: dict[str, str], capsys: Any) -> None:
    words = VIEW.command_line(given(**values))
    assert main(shlex.split(words)[1:]) == 0
    assert values.get("id", "") in capsys.readouterr().out
    scope: dict[str, Any] = {}
    *before, last = VIEW.python_call(given(**values)).splitlines()
    exec("\n".join([*before, f"found = {last}"]), scope)
    told = json.loads(reply("json", **values).body)
    assert json.loads(json_text(scope["found"])) == told["entry" if "id" in values else "found"]


def test_tables_that_no_command_knows_have_none() -> None:
    assert VIEW.command_line(given(table="chips")) == ""
    assert VIEW.command_line(given(table="resale", id="line 2")) == ""
    assert "catalog_row(" in VIEW.python_call(given(table="resale", id="line 2"))
