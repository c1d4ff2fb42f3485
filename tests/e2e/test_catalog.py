"""``farthing catalog``: every table is listed, every row is shown."""

import json

import pytest
from click.testing import CliRunner

from farthing import api, catalog
from farthing.catalog import tables
from farthing.catalog.prices import part_price
from farthing.cli.catalog import LISTS, TABLES
from farthing.cli.main import cli, main
from farthing.units import format_usd


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_listed_and_its_rows_shown(table: str) -> None:
    rows = api.table(table)
    listed = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["catalog", "list", table])
    assert listed.exit_code == 0
    assert all(row in listed.stdout for row in rows)
    encoded = CliRunner().invoke(cli, ["catalog", "list", table, "--json"])
    assert [row["id"] for row in json.loads(encoded.stdout)] == list(rows)
    for row in rows.values():
        shown = CliRunner(env={"COLUMNS": "400"}).invoke(cli, ["catalog", "show", table, row.id])
        assert shown.exit_code == 0
        assert row.name in shown.stdout
        assert row.source.split()[0] in shown.stdout


@pytest.mark.parametrize(
    ("table", "word"), [("host-parts", "host"), ("resale", "item"), ("api-prices", "model")]
)
def test_rows_without_ids_are_listed_and_found(table: str, word: str) -> None:
    rows = list(api.table(table).values())
    sought = getattr(rows[-1], word)
    found = [row for row in rows if sought in str(row)]
    listed = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["catalog", "list", table, "--search", sought])
    assert listed.exit_code == 0
    assert sum(sought in line for line in listed.stdout.splitlines()) >= 1
    encoded = CliRunner().invoke(cli, ["catalog", "list", table, "--search", sought.upper(), "--json"])
    shown = json.loads(encoded.stdout)
    assert sought in {row[word] for row in shown}
    assert len(shown) <= len(found)


def test_every_table_is_listed() -> None:
    assert set(LISTS) == set(tables.TABLES)
    assert "api-prices" in CliRunner().invoke(cli, ["catalog", "list", "--help"]).stdout


@pytest.mark.parametrize("table", ["hosts", "nics", "switches", "parts"])
def test_lists_show_the_price_that_a_bill_would(table: str) -> None:
    listed = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["catalog", "list", table]).stdout
    prices = api.table_prices(table)
    assert prices
    for line in listed.splitlines()[1:-2]:
        id = line.split()[0]
        price = prices.get(id)
        assert (format_usd(price.usd) in line) if price else line.split()[-1] == "-", id


def test_a_host_that_is_built_costs_what_its_parts_do() -> None:
    price = api.table_prices("hosts")["romed8-2t-frame"]
    parts = catalog.host_parts()["romed8-2t-frame"]
    known = [part_price(part) for part, _ in parts]
    assert price.usd == sum(one.usd * count for one, (_, count) in zip(known, parts, strict=True) if one)
    assert price.date == min(one.date for one in known if one)
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["catalog", "show", "hosts", "romed8-2t-frame"])
    assert format_usd(price.usd) in shown.stdout
    assert price.source in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "links", "ib-hrd"), "unknown link 'ib-hrd'; did you mean ib-hdr"),
        (("show", "formats", "q9_z"), "unknown number format 'q9_z'"),
        (("list", "bogus"), "unknown table 'bogus'; one of links"),
        (("show", "resale", "line 2"), "unknown table 'resale'"),
        (("show", "countries", "atlantis"), "unknown country 'atlantis'"),
    ],
)
def test_names_that_do_not_exist(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", *arguments]) == 2
    assert message in capsys.readouterr().err
