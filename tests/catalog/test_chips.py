"""Silicon and its prices: complete, sourced, dated and physically possible."""

from __future__ import annotations

import math
import re

import pytest

from farthing import catalog
from farthing.catalog.load import read_table
from farthing.errors import CatalogError, UnknownName
from farthing.records.chip import Chip, ChipBill, Process
from farthing.units import GIB

RETICLE_MM2 = 26 * 33
PRICED = (
    *catalog.processes().values(),
    *catalog.memory_prices().values(),
    *catalog.package_prices().values(),
    *catalog.chip_bills().values(),
)


def test_the_chips_that_matter_are_there() -> None:
    assert {"v100-sxm-32gb", "a100-sxm-80gb", "h100-sxm", "h100-pcie", "h200-sxm", "b200-sxm"} <= set(
        catalog.chips()
    )
    assert {"mi250x", "mi300x", "rx-7900-xtx", "rtx-3090", "rtx-4090", "rtx-5090", "t4", "a10"} <= set(
        catalog.chips()
    )


@pytest.mark.parametrize("chip", catalog.chips().values(), ids=lambda chip: chip.id)
def test_a_chip_is_that_of_an_accelerator(chip: Chip) -> None:
    card = catalog.accelerator(chip.id)
    assert chip.source
    # Makers fit more than they sell (192 of 180 GiB), never less.
    assert card.memory_bytes <= chip.memory_bytes <= 1.1 * card.memory_bytes
    if chip.units and card.compute_units:
        assert chip.enabled_units * chip.dies == card.compute_units
    # One exposure makes one die.
    assert max(chip.die_area_mm2, chip.side_die_area_mm2) <= RETICLE_MM2


@pytest.mark.parametrize("chip", catalog.chips().values(), ids=lambda chip: chip.id)
def test_what_a_chip_names_is_priced(chip: Chip) -> None:
    assert {chip.process, chip.side_process or chip.process} <= set(catalog.processes())
    assert chip.memory_kind in catalog.memory_prices()
    assert {name for name in (chip.package, chip.board) if name} <= set(catalog.package_prices())


def test_bills_are_of_known_chips() -> None:
    assert set(catalog.chip_bills()) <= set(catalog.chips())


@pytest.mark.parametrize("row", PRICED, ids=lambda row: row.id)
def test_prices_have_a_source_and_a_date(row: Process | ChipBill) -> None:
    assert row.source
    assert re.fullmatch(r"20\d\d(-\d\d(-\d\d)?)?", row.date)


def test_memory_is_priced_by_the_gib() -> None:
    assert catalog.memory_prices()["hbm3"].usd_per_byte * GIB == pytest.approx(15)


def test_finer_processes_cost_more() -> None:
    rows = catalog.processes()
    usd = [rows[id].wafer_usd for id in ("tsmc-12ffn", "tsmc-n7", "tsmc-n5")]
    assert usd == sorted(usd)
    assert all(row.wafer_mm == 300 for row in rows.values())
    assert all(math.isfinite(row.defects_per_cm2) and row.defects_per_cm2 < 0.5 for row in rows.values())


def test_an_unknown_chip_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean h100-sxm"):
        catalog.chip("h100-smx")


HEAD = "id,die_area_mm2,dies,process,units,enabled_units,side_dies,side_process,memory_kind,memory_gib"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("x,0,1,tsmc-n7,,,,,hbm2,16", "must be positive"),
        ("x,nan,1,tsmc-n7,,,,,hbm2,16", "not a finite number"),
        ("x,800,1,tsmc-n7,80,81,,,hbm2,16", "enabled_units"),
        ("x,800,1,tsmc-n7,80,,,,hbm2,16", "enabled_units"),
        ("x,800,1,tsmc-n7,,,4,tsmc-n6,hbm2,16", "side dies"),
        ("x,800,1,,,,,,hbm2,16", "is empty but required"),
    ],
)
def test_half_a_chip_is_refused(row: str, told: str) -> None:
    with pytest.raises(CatalogError, match=told):
        read_table("chips.csv", Chip, f"{HEAD}\n{row}\n")


@pytest.mark.parametrize("wafer", ["0", "-1", "20000"])
def test_a_price_outside_its_range_is_refused(wafer: str) -> None:
    text = (
        "id,name,wafer_mm,wafer_usd,low_wafer_usd,high_wafer_usd,defects_per_cm2,date,source\n"
        f"x,X,300,{wafer},9000,10000,0.1,2020,us\n"
    )
    with pytest.raises(CatalogError, match="between its low and its high"):
        read_table("processes.csv", Process, text)
