"""Countries, colocation, overhead of data centres and used prices: complete, sourced and plausible."""

from __future__ import annotations

import re

import pytest

from farthing import catalog
from farthing.catalog.load import read_table
from farthing.errors import CatalogError, UnknownName
from farthing.records.country import Country
from farthing.records.hosting import Facility, Hosting
from farthing.records.resale import Resale

EUROPEAN_UNION = "at be bg hr cy cz dk ee fi fr de gr hu ie it lv lt lu mt nl pl pt ro sk si es se"
OTHERS = (
    "us ca gb cn in jp kr tw au nz br mx ar cl za ng ke eg sa ae tr ru ua kz id vn th my sg ph pk bd il"
    " no is ch"
)
DATE = r"20\d\d(-(0[1-9]|1[0-2])(-[0-3]\d)?)?"
MAINS = {100, 110, 115, 120, 127, 220, 230, 240}


def test_countries_that_people_ask_for_are_there() -> None:
    assert len(EUROPEAN_UNION.split()) == 27
    assert {*EUROPEAN_UNION.split(), *OTHERS.split()} <= set(catalog.countries())


@pytest.mark.parametrize("row", catalog.countries().values(), ids=lambda row: row.id)
def test_a_country_is_plausible_and_sourced(row: Country) -> None:
    assert 0.01 <= row.usd_per_kwh_household <= 0.6
    assert row.usd_per_kwh_business == 0 or 0.01 <= row.usd_per_kwh_business <= 0.6
    assert row.volts in MAINS
    assert 10 <= row.circuit_amperes <= 20
    assert re.fullmatch(DATE, row.date)
    assert row.source
    assert f"{row.circuit_amperes:g} A" in row.mains_source


@pytest.mark.parametrize(
    ("name", "eur_per_100_kwh"),
    [("de", 38.35), ("be", 35.71), ("dk", 34.85), ("hu", 10.40), ("mt", 12.44), ("bg", 13.00)],
)
def test_eurostat_says_much_the_same(name: str, eur_per_100_kwh: float) -> None:
    """Its release of 2025-10-29 for the first half of 2025; a euro is worth 1.0 to 1.2 dollars since 2023."""
    ratio = catalog.country(name).usd_per_kwh_household / (eur_per_100_kwh / 100)
    assert 1.0 <= ratio <= 1.2


def test_prices_of_businesses_are_mostly_known() -> None:
    unknown = [row.id for row in catalog.countries().values() if not row.usd_per_kwh_business]
    assert len(unknown) <= 3


@pytest.mark.parametrize(
    ("name", "volts", "amperes"),
    [("us", 120, 15), ("gb", 230, 13), ("de", 230, 16), ("jp", 100, 15), ("au", 230, 10), ("br", 127, 10)],
)
def test_sockets_that_everyone_knows(name: str, volts: float, amperes: float) -> None:
    row = catalog.country(name)
    assert (row.volts, row.circuit_amperes) == (volts, amperes)


def test_no_two_countries_share_a_name() -> None:
    names = [name.lower() for row in catalog.countries().values() for name in row.names]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "id"),
    [(" De ", "de"), ("GERMANY", "de"), ("UK", "gb"), ("usa", "us"), ("Turkey", "tr"), ("türkiye", "tr")],
)
def test_countries_go_by_code_or_english_name(name: str, id: str) -> None:
    assert catalog.country(name).id == id


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("germny", "did you mean germany"),
        ("united", "united states"),
        ("", "ISO 3166-1"),
        ("xx", "ISO 3166-1"),
    ],
)
def test_unknown_countries_are_refused_with_advice(name: str, advice: str) -> None:
    with pytest.raises(UnknownName, match=advice):
        catalog.country(name)


@pytest.mark.parametrize("row", catalog.hostings().values(), ids=lambda row: row.id)
def test_colocation_is_plausible_and_sourced(row: Hosting) -> None:
    assert 50 <= row.usd_per_kw_month <= 600
    assert row.country == "" or row.country in catalog.countries()
    assert re.fullmatch(DATE, row.date)
    assert row.source


def test_colocation_of_the_united_states_grows_dearer() -> None:
    rents = [row.usd_per_kw_month for id, row in catalog.hostings().items() if id.startswith("us-primary")]
    assert rents == sorted(rents)
    assert len(rents) >= 3


@pytest.mark.parametrize("row", catalog.facilities().values(), ids=lambda row: row.id)
def test_overhead_is_plausible_and_sourced(row: Facility) -> None:
    assert 1 < row.pue < 2
    assert re.fullmatch(f"({DATE})?", row.date)
    assert row.source


def test_the_giants_have_less_overhead_than_the_average() -> None:
    rows = catalog.facilities()
    assert max(rows[id].pue for id in ("aws", "google", "meta", "microsoft")) < rows["average"].pue


@pytest.mark.parametrize("row", catalog.resales().values(), ids=lambda row: f"{row.item}-{row.share}")
def test_a_sale_is_plausible_and_sourced(row: Resale) -> None:
    assert row.item in catalog.accelerators()
    assert 0.5 <= row.age_years <= 15
    assert 0.01 <= row.share <= 4
    assert re.fullmatch(DATE, row.date)
    assert "at launch" in row.source


@pytest.mark.parametrize(
    ("record", "header", "row", "problem"),
    [
        (
            Country,
            "id,name,usd_per_kwh_household,volts,circuit_amperes,date,source,mains_source",
            "{},",
            "cells",
        ),
        (
            Country,
            "id,name,usd_per_kwh_household,volts,circuit_amperes,date,source,mains_source",
            "deu,Germany,0.4,230,16,2026,s,m",
            "two lower-case letters",
        ),
        (
            Country,
            "id,name,usd_per_kwh_household,volts,circuit_amperes,date,source,mains_source",
            "de,Germany,0,230,16,2026,s,m",
            "usd_per_kwh_household must be positive",
        ),
        (
            Country,
            "id,name,usd_per_kwh_household,usd_per_kwh_business,volts,circuit_amperes,date,source,mains_source",
            "de,Germany,0.4,-1,230,16,2026,s,m",
            "cannot be negative",
        ),
        (
            Country,
            "id,name,usd_per_kwh_household,volts,circuit_amperes,date,source,mains_source",
            "de,Germany,nan,230,16,2026,s,m",
            "finite",
        ),
        (
            Hosting,
            "id,name,usd_per_kw_month,includes_power,date,source",
            "x,X,0,no,2026,s",
            "usd_per_kw_month must be positive",
        ),
        (Hosting, "id,name,usd_per_kw_month,includes_power,date,source", "x,X,9,maybe,2026,s", "yes nor no"),
        (Facility, "id,name,pue,source", "x,X,0.9,s", "at least 1"),
        (Resale, "item,age_years,share,date,source", "t4,0,0.5,2026,s", "age_years must be positive"),
        (Resale, "item,age_years,share,date,source", "t4,1,-0.5,2026,s", "share must be positive"),
    ],
)
def test_wrong_rows_are_refused(record: type, header: str, row: str, problem: str) -> None:
    with pytest.raises(CatalogError, match=problem):
        read_table("places.csv", record, f"{header}\n{row}\n")


def test_electricity_in_the_rent_is_read() -> None:
    text = "id,name,usd_per_kw_month,includes_power,date,source\nx,X,250,yes,2026,s\n"
    assert read_table("hosting.csv", Hosting, text)["x"].includes_power
