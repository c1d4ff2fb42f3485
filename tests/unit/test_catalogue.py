"""The catalogue to look at: every table is listed, sorted and searched, every row has facts with sources."""

from __future__ import annotations

from typing import Any

import pytest

from farthing import api, catalog
from farthing.catalog.listings import LISTINGS
from farthing.catalog.tables import TABLES
from farthing.errors import UnknownName
from farthing.records import api_price, chip, country, engine, hardware, hosting, model, parts, resale

MODULES = (api_price, chip, country, engine, hardware, hosting, model, parts, resale)
each = pytest.mark.parametrize("name", LISTINGS)


def test_every_table_of_the_catalogue_is_shown() -> None:
    assert set(TABLES) <= set(LISTINGS)
    assert [table.name for table in api.catalog_tables()] == list(LISTINGS)


@each
def test_tables_are_described(name: str) -> None:
    table = api.catalog_rows(name).table
    assert table.count == len(api.catalog_rows(name).rows) > 0
    assert table.description.endswith(".")
    record: Any = next(getattr(module, table.record) for module in MODULES if hasattr(module, table.record))
    assert all(isinstance(one, record) for one in api.catalog_records(name))
    fields = {column.field for column in table.columns if column.field}
    assert all(
        hasattr(one, field)
        for field in fields - {"price_usd", "price_date"}
        for one in api.catalog_records(name)
    )


@each
def test_rows_hold_plain_values_of_every_column(name: str) -> None:
    found = api.catalog_rows(name)
    columns = {column.name: column for column in found.table.columns}
    for row in found.rows:
        assert set(row) == {"id", *columns}
        for key, value in row.items():
            assert value is None or isinstance(value, (str, int, float))
            if key != "id" and value is not None and columns[key].numeric:
                assert isinstance(value, (int, float))
    assert len({row["id"] for row in found.rows}) == len(found.rows)
    # None is empty, and no column is.
    assert all(any(row[key] is not None for row in found.rows) for key in columns)


@each
def test_every_row_is_shown_with_sources(name: str) -> None:
    for row in api.catalog_rows(name).rows:
        entry = api.catalog_row(name, str(row["id"]))
        assert entry.id == row["id"]
        assert entry.facts
        assert all(fact.label and fact.words for fact in entry.facts)
        if name != "host-parts":
            assert entry.source
            assert all(fact.source for fact in entry.facts), entry.id


def test_numbers_sort_down_words_up_and_the_unknown_last() -> None:
    memory = [row["memory_gib"] for row in api.catalog_rows("accelerators", sort="memory_gib").rows]
    assert memory == sorted(memory, reverse=True)
    assert memory[::-1] == [
        row["memory_gib"] for row in api.catalog_rows("accelerators", sort="-memory_gib").rows
    ]
    vendors = [str(row["vendor"]).lower() for row in api.catalog_rows("accelerators", sort="vendor").rows]
    assert vendors == sorted(vendors)
    dates = [row["date"] for row in api.catalog_rows("prices", sort="date").rows]
    assert dates == sorted(dates, reverse=True)
    for sort in ("rental_usd_per_hour", "-rental_usd_per_hour"):
        rents = [row["rental_usd_per_hour"] for row in api.catalog_rows("accelerators", sort=sort).rows]
        known = rents.index(None)
        assert all(rents[:known])
        assert not any(rents[known:])


def test_values_are_those_of_records() -> None:
    rows = {row["id"]: row for row in api.catalog_rows("accelerators").rows}
    for id, card in api.accelerators().items():
        assert rows[id]["memory_gib"] == pytest.approx(card.memory_bytes / 2**30)
        rental = api.rental_price(id)
        assert rows[id]["rental_usd_per_hour"] == (rental.usd if rental else None)
    hosts = {row["id"]: row["price_usd"] for row in api.catalog_rows("hosts").rows}
    assert {id: usd for id, usd in hosts.items() if usd} == {
        id: price.usd for id, price in api.table_prices("hosts").items()
    }


def test_rows_belong_to_the_caller() -> None:
    row: Any = api.catalog_rows("links").rows[0]
    row["id"] = "changed"
    assert api.catalog_rows("links").rows[0]["id"] != "changed"


def test_facts_know_their_own_source() -> None:
    link = {fact.name: fact for fact in api.catalog_row("links", "IB-HDR ").facts}
    assert link["latency_s"].source.startswith("one network hop")
    assert link["bytes_per_s"].url.startswith("https://github.com/stas00/ml-engineering/")
    country = {fact.name: fact for fact in api.catalog_row("countries", "de").facts}
    assert country["volts"].source == catalog.country("de").mains_source != country["date"].source
    built = {fact.name: fact for fact in api.catalog_row("hosts", "romed8-2t-frame").facts}
    assert "host-parts" in built["price_usd"].source
    assert built["price_usd"].date == built["price_date"].value
    card = {fact.name: fact for fact in api.catalog_row("accelerators", "rtx-4090").facts}
    assert card["peer_to_peer"].words == "no"


def test_prices_of_cards_and_of_tokens() -> None:
    card = api.catalog_row("accelerators", "h100-sxm")
    assert [price.value for price in card.prices] == [price.usd for price in api.prices("h100-sxm")]
    assert {price.unit for price in card.prices} == {"USD", "USD/h"}
    assert all(price.date and price.source for price in card.prices)
    shape = api.catalog_row("models", "llama-2-70b")
    assert shape.prices[-1].unit == "USD/Mtoken"
    assert {fact.name for fact in shape.facts} >= {"parameters", "kv_bytes_per_token", "layers"}


def test_own_prices_show_at_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path))
    file = tmp_path / "mine.csv"
    file.write_text("item,kind,usd,per,date\nrtx-4090,purchase,1234,unit,2026-11-02\n")
    api.use_prices(file)
    try:
        row = api.catalog_rows("accelerators", search="rtx-4090").rows[0]
        assert (row["purchase_usd"], row["purchase_date"]) == (1234.0, "2026-11-02")
    finally:
        api.forget_prices()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: api.catalog_rows("gadgets"), "unknown table 'gadgets'"),
        (lambda: api.catalog_row("gadgets", "x"), "unknown table 'gadgets'"),
        (lambda: api.catalog_rows("links", sort="colour"), "unknown column 'colour'"),
        (lambda: api.catalog_row("accelerators", "rtx-4900"), "did you mean .*rtx-4090"),
        (lambda: api.catalog_row("models", "llama-2-71b"), "did you mean .*llama-2-70b"),
        (lambda: api.catalog_row("links", "ib-hrd"), "unknown link 'ib-hrd'; did you mean ib-hdr"),
        (lambda: api.catalog_row("chips", "h200-smx"), "unknown chip 'h200-smx'"),
        (lambda: api.catalog_row("processes", "tsmc-1"), "unknown process 'tsmc-1'"),
        (lambda: api.catalog_row("prices", "0"), "unknown price '0'"),
        (lambda: api.catalog_row("resale", "line 1"), "unknown"),
    ],
)
def test_unknown_names(ask: Any, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        ask()
