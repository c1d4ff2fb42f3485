"""A user's own prices: read with care, kept whole, and in place of those that ship."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from farthing import api
from farthing.catalog import own_prices
from farthing.catalog.own_prices import forget_prices, read_prices, use_prices, write
from farthing.catalog.prices import part_price, prices, purchase_price, rental_price, shipped_prices
from farthing.errors import CatalogError, InvalidInput
from farthing.records.hardware import Price

HEADER = "item,kind,usd,per,provider,spot,region,date,source\n"
ROW = "h100-sxm,purchase,25000,unit,Shop,no,,2026-11-02,quote 17\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of settings of the test's own."""
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def quote(tmp_path: Path) -> Path:
    file = tmp_path / "quote.csv"
    file.write_text(HEADER + ROW, "utf-8")
    return file


def rental(usd: float, date: str, *, item: str = "h100-sxm", spot: bool = False) -> Price:
    return Price(
        item=item,
        kind="rental",
        usd=usd,
        per="accelerator-hour",
        provider="Cloud",
        spot=spot,
        date=date,
        source="a test",
    )


def test_a_file_is_read(quote: Path) -> None:
    assert read_prices(quote) == (
        Price(
            item="h100-sxm",
            kind="purchase",
            usd=25000,
            per="unit",
            provider="Shop",
            date="2026-11-02",
            source="quote 17",
        ),
    )


@pytest.mark.parametrize(
    "content",
    [
        (HEADER + ROW).replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + (HEADER + ROW).encode(),
        (HEADER + ROW).rstrip("\n").encode(),
        ("\n" + HEADER + "\n" + ROW + "\n\n").encode(),
        (HEADER + ROW.replace("h100-sxm", " H100-SXM ")).encode(),
    ],
    ids=["CRLF", "BOM", "no last line end", "empty lines", "capitals and spaces"],
)
def test_what_editors_and_spreadsheets_do_is_no_error(quote: Path, content: bytes) -> None:
    expected = read_prices(quote)
    quote.write_bytes(content)
    assert read_prices(quote) == expected


def test_few_columns_will_do(quote: Path) -> None:
    quote.write_text("date,usd,per,kind,item\n2026-11,1.5,accelerator-hour,rental,rtx-4090\n", "utf-8")
    (price,) = read_prices(quote)
    assert (price.usd, price.date, price.spot, price.source) == (1.5, "2026-11", False, "quote.csv")


BAD = {
    "0 bytes": ("", "(header)", "(row)", "empty"),
    "blank": ("\n\n", "(header)", "(row)", "empty"),
    "header alone": (HEADER, "line 2", "(row)", "no prices"),
    "missing column": (HEADER.replace("usd,", ""), "(header)", "usd", "missing"),
    "missing date": ("item,kind,usd,per\nt4,used,1,unit\n", "(header)", "date", "missing"),
    "unknown column": (HEADER.replace("usd", "eur"), "(header)", "eur", "no such field"),
    "column twice": (HEADER.replace("region", "usd"), "(header)", "usd", "another column"),
    "half a row": (HEADER + ROW + ROW[:25], "line 3", "(row)", "fewer cells"),
    "too many cells": (HEADER + "a," + ROW, "line 2", "(row)", "more or fewer"),
    "negative": (HEADER + ROW.replace("25000", "-5"), "line 2", "usd", "more than 0"),
    "zero": (HEADER + ROW.replace("25000", "0"), "line 2", "usd", "more than 0"),
    "NaN": (HEADER + ROW.replace("25000", "nan"), "line 2", "usd", "finite"),
    "infinite": (HEADER + ROW.replace("25000", "inf"), "line 2", "usd", "finite"),
    "huge": (HEADER + ROW.replace("25000", "1e300"), "line 2", "usd", "less than"),
    "a currency": (HEADER + ROW.replace("25000", "$25k"), "line 2", "usd", "$25k"),
    "no amount": (HEADER + ROW.replace("25000", ""), "line 2", "usd", "empty but required"),
    "unknown item": (HEADER + ROW.replace("h100-sxm", "h100-smx"), "line 2", "item", "h100-sxm"),
    "unknown kind": (HEADER + ROW.replace("purchase", "bought"), "line 2", "kind", "rental, purchase, used"),
    "unknown per": (HEADER + ROW.replace(",unit,", ",month,"), "line 2", "per", "accelerator-hour, unit"),
    "wrong per": (HEADER + ROW.replace(",unit,", ",accelerator-hour,"), "line 2", "per", "is per unit"),
    "rented per unit": (HEADER + ROW.replace("purchase", "rental"), "line 2", "per", "per accelerator-hour"),
    "rented switch": (
        HEADER + "netgear-gs108,rental,1,accelerator-hour,,no,,2026-11-02,\n",
        "line 2",
        "kind",
        "no accelerator",
    ),
    "spot to buy": (HEADER + ROW.replace(",no,", ",yes,"), "line 2", "spot", "never spot"),
    "odd spot": (HEADER + ROW.replace(",no,", ",maybe,"), "line 2", "spot", "neither yes nor no"),
    "no date": (HEADER + ROW.replace("2026-11-02", ""), "line 2", "date", "write it like"),
    "no day": (HEADER + ROW.replace("2026-11-02", "2026-02-30"), "line 2", "date", "no date"),
    "cut date": (HEADER + ROW.replace("2026-11-02", "2026-1"), "line 2", "date", "no date"),
    "other order": (HEADER + ROW.replace("2026-11-02", "02.11.2026"), "line 2", "date", "no date"),
    "other digits": (HEADER + ROW.replace("2026-11-02", "٢٠٢٦"), "line 2", "date", "no date"),
    "future": (HEADER + ROW.replace("2026-11-02", "2926-11-02"), "line 2", "date", "future"),
    "second row": (HEADER + ROW + ROW.replace("25000", "0"), "line 3", "usd", "more than 0"),
    "huge field": (HEADER + ROW.replace("quote 17", "x" * 200_000), "(row)", "(row)", "no CSV"),
}


@pytest.mark.parametrize(("text", "record", "field", "words"), BAD.values(), ids=BAD)
def test_bad_files_name_file_row_and_field(
    quote: Path, text: str, record: str, field: str, words: str
) -> None:
    use_prices(quote)
    before = own_prices.file().read_bytes()
    quote.write_text(text, "utf-8")
    with pytest.raises(CatalogError) as caught:
        use_prices(quote)
    error = caught.value
    assert (error.file, error.record, error.field) == (str(quote), record, field)
    assert words in error.problem
    assert "\n" not in str(error)
    assert own_prices.file().read_bytes() == before, "the earlier prices stay"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"\xff\xfea\x00", "UTF-8"), (b"a" * 16_000_001, "larger than 16 MB")],
)
def test_files_that_cannot_be_read(quote: Path, content: bytes | None, words: str) -> None:
    quote.unlink()
    if content is not None:
        quote.write_bytes(content)
    with pytest.raises(InvalidInput, match=words):
        use_prices(quote)
    assert not own_prices.file().exists()


def test_odd_paths() -> None:
    for path in (".", "a\0b"):
        with pytest.raises(InvalidInput, match="cannot read"):
            read_prices(path)


def test_own_prices_stand_in_for_all_of_the_kind(quote: Path) -> None:
    assert purchase_price("h100-sxm") is not None
    before = api.prices("rtx-4090")
    use_prices(quote)
    bought = [price for price in prices() if price.item == "h100-sxm" and price.kind != "rental"]
    assert {price.kind for price in bought} == {"launch", "purchase"}
    assert [price.usd for price in bought if price.kind == "purchase"] == [25000]
    price = purchase_price("h100-sxm")
    assert price is not None
    assert (price.usd, price.source) == (25000, "quote 17")
    assert rental_price("h100-sxm") == rental_price("h100-sxm", among=prices())
    assert api.prices("rtx-4090") == before
    own = api.infer("llama-3.1-8b", "h100-sxm").costs[0]
    assert "at $25,000.00 (2026-11-02)" in own.basis


def test_an_own_price_counts_though_a_shipped_used_one_is_newer(quote: Path) -> None:
    shipped = purchase_price("rtx-3090")
    assert shipped is not None
    assert shipped.kind == "used"
    assert shipped.date > "2025-12-01"
    quote.write_text("item,kind,usd,per,date\nrtx-3090,purchase,1200,unit,2025-12-01\n", "utf-8")
    use_prices(quote)
    price = purchase_price("rtx-3090")
    assert price is not None
    assert price.usd == 1200


def test_own_prices_of_other_parts(quote: Path) -> None:
    quote.write_text("item,kind,usd,per,date\nnetgear-gs108,used,700,unit,2026-11-02\n", "utf-8")
    use_prices(quote)
    price = part_price("netgear-gs108")
    assert price is not None
    assert price.usd == 700


def test_prices_for_one_question(quote: Path) -> None:
    among = prices(read_prices(quote))
    price = purchase_price("h100-sxm", among=among)
    assert price is not None
    assert price.usd == 25000
    assert purchase_price("h100-sxm") != price
    assert purchase_price("rtx-4090", among=among) == purchase_price("rtx-4090")
    assert rental_price("h100-sxm", among=among) == rental_price("h100-sxm")
    assert part_price("psu-2000", among=among) == part_price("psu-2000")
    launch = purchase_price("rtx-4060", among=())
    assert launch is not None
    assert launch.kind == "launch", "the row of the card itself"
    assert rental_price("h100-sxm", among=()) is None


def test_changes_of_the_file_are_noticed(quote: Path, folder: Path) -> None:
    def usd() -> float:
        price = purchase_price("h100-sxm")
        assert price is not None
        return price.usd

    shipped = usd()
    use_prices(quote)
    assert usd() == 25000
    kept = folder / "prices.csv"
    kept.write_text(kept.read_text().replace("25000", "26000"))
    os.utime(kept, ns=(1, 1))
    assert usd() == 26000
    kept.unlink()
    assert usd() == shipped


def test_what_is_written_is_read_again(quote: Path) -> None:
    found = (
        rental(1.23456789, "2026-11-02", spot=True),
        dataclasses.replace(read_prices(quote)[0], provider='An "odd", shop', region="ü"),
    )
    write(own_prices.file(), found)
    assert own_prices.kept(own_prices.stamps()[0]) == found


def test_updated_rentals_stand_in_for_older_ones() -> None:
    shipped = [price for price in prices() if price.item == "h100-sxm"]
    newest = max(price.date for price in shipped if price.kind == "rental" and not price.spot)
    fresh = rental(1.11, "2026-11-20")
    write(own_prices.updated_file(), [fresh, rental(9.0, "2024-01-01", item="a10")])
    found = [price for price in prices() if price.item == "h100-sxm"]
    assert newest < fresh.date
    assert [price for price in found if price.kind == "rental" and not price.spot] == [fresh]
    assert rental_price("h100-sxm") == fresh
    assert rental_price("h100-sxm", spot=True) in shipped, "spot was not refreshed"
    assert [p for p in found if p.kind != "rental"] == [p for p in shipped if p.kind != "rental"]
    a10 = [price for price in shipped_prices() if price.item == "a10" and price.kind == "rental"]
    assert all(price.date > "2024-01-01" for price in a10)
    assert set(a10) < set(prices()), "the update is older"


def test_what_ships_does_not_rest_on_own_prices(quote: Path) -> None:
    before = shipped_prices()
    use_prices(quote)
    assert shipped_prices() == before
    assert prices() != before


def test_own_rentals_stand_in_for_updated_ones(quote: Path) -> None:
    write(own_prices.updated_file(), [rental(1.11, "2026-11-20")])
    quote.write_text("item,kind,usd,per,date\nh100-sxm,rental,1.9,accelerator-hour,2026-10-01\n", "utf-8")
    use_prices(quote)
    price = rental_price("h100-sxm")
    assert price is not None
    assert price.usd == 1.9


@pytest.mark.parametrize("name", ["prices.csv", "rentals.csv"])
@pytest.mark.parametrize(
    ("text", "record", "field"),
    [
        ("", "(header)", "(row)"),
        (HEADER + ROW[:-1], "line 2", "(row)"),
        (HEADER + ROW + ROW[:20], "line 3", "(row)"),
        (HEADER + ROW[:20] + "\n", "line 2", "(row)"),
        (HEADER + ROW.replace("25000", "x"), "line 2", "usd"),
        (HEADER + ROW.replace("unit", "hour"), "line 2", "per"),
        (HEADER.replace("usd", "usb") + ROW, "(header)", "usb"),
    ],
    ids=["empty", "no line end", "cut in a row", "half a row", "no number", "wrong per", "unknown column"],
)
def test_broken_files_of_the_folder_say_what_to_do(
    folder: Path, name: str, text: str, record: str, field: str
) -> None:
    folder.mkdir()
    (folder / name).write_text(text, "utf-8")
    for _ in range(2):
        with pytest.raises(CatalogError, match="farthing prices forget") as caught:
            purchase_price("t4")
        assert caught.value.file == str(folder / name)
    if text:
        assert (caught.value.record, caught.value.field) == (record, field)
    assert forget_prices() == (str(folder / name),)
    assert purchase_price("h100-sxm") is not None


def test_a_file_of_the_folder_that_cannot_be_read(folder: Path) -> None:
    folder.mkdir()
    (folder / "prices.csv").symlink_to("prices.csv")
    with pytest.raises(InvalidInput, match="cannot read"):
        prices()


def test_all_that_costs_rest_on(quote: Path) -> None:
    assert api.own_prices() == ()
    use_prices(quote)
    write(own_prices.updated_file(), [rental(1.0, "2026-11-20")])
    assert [price.usd for price in api.own_prices()] == [25000, 1.0]


def test_an_interrupt_leaves_the_old_file(quote: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_prices(quote)
    before = (folder / "prices.csv").read_bytes()
    quote.write_text(HEADER + ROW.replace("25000", "1"), "utf-8")

    def interrupted(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        use_prices(quote)
    assert (folder / "prices.csv").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["prices.csv"]


def test_a_folder_that_cannot_be_written(quote: Path, folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.raises(InvalidInput, match="cannot write"):
        use_prices(quote)


def test_forgetting(quote: Path, folder: Path) -> None:
    use_prices(quote)
    write(own_prices.updated_file(), [rental(1.0, "2026-11-20")])
    assert forget_prices() == (str(folder / "prices.csv"), str(folder / "rentals.csv"))
    assert forget_prices() == ()
