"""Rental offers that gpuhunt publishes: named as here, the cheapest kept, the old ones safe."""

from __future__ import annotations

import math
import shutil
import socket
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from farthing import catalog
from farthing.catalog import gpuhunt as module
from farthing.catalog import own_prices
from farthing.catalog.gpuhunt import SAME_MEMORY, Rented, cheapest, rented, update_prices
from farthing.catalog.load import table
from farthing.catalog.prices import prices, rental_price
from farthing.errors import CatalogError, FarthingError, InvalidInput
from farthing.units import GIB

ROWS = tuple(table("gpuhunt.csv", Rented).values())

LACKING = {
    "P100": "PCIe or SXM2, and no provider says which",
    "RTXPRO4500": "server or workstation edition",
    "MI308X": "not in the catalogue",
    "Gaudi": "not in the catalogue",
    **dict.fromkeys(("v2", "v3", "v4", "v5p", "v5litepod", "v6e"), "offers name slices of these"),
    **dict.fromkeys(("n150", "n300", "tt-galaxy-wh", "p100a", "p150", "p300", "tt-galaxy-bh"), "not offered"),
}
"""Names of gpuhunt without a row, and why."""

H100 = {"instance_name": "NVIDIA H100 80GB HBM3", "gpu_name": "H100"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.gpu}-{row.memory_bytes / GIB:g}-{row.offer}")
def test_rows_name_cards_of_that_memory(row: Rented) -> None:
    card = catalog.accelerator(row.accelerator)
    memory = row.memory_bytes
    if row.accelerators > 1 and row.gpu != "v5p-8":
        memory /= row.accelerators
    if not (row.gpu == "MI325X" and memory == 288 * GIB):
        assert math.isclose(card.memory_bytes, memory, rel_tol=SAME_MEMORY)
    assert row.source
    assert row.offer == row.offer.lower()
    assert 1 <= row.accelerators <= 8


def test_every_row_is_reached() -> None:
    for number, row in enumerate(ROWS):
        hidden = [
            other
            for other in ROWS[:number]
            if other.gpu == row.gpu
            and other.offer in ("*", row.offer)
            and math.isclose(other.memory_bytes, row.memory_bytes, rel_tol=SAME_MEMORY)
            and other.accelerator != row.accelerator
        ]
        assert not hidden, row


def test_every_name_of_gpuhunt_is_known_or_lacks_for_a_reason() -> None:
    gpuhunt = pytest.importorskip("gpuhunt")
    known = {row.gpu.lower() for row in ROWS}
    for card in gpuhunt.KNOWN_ACCELERATORS:
        assert (card.name.lower() in known) != (card.name in LACKING), card


def test_every_cloud_of_gpuhunt_has_a_name() -> None:
    pytest.importorskip("gpuhunt")
    from gpuhunt._internal.catalog import OFFLINE_PROVIDERS

    assert set(OFFLINE_PROVIDERS) == set(module.PROVIDERS)


@pytest.mark.parametrize(
    ("gpu", "memory", "offer", "accelerator"),
    [
        ("H100", 80, "runpod NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("H100", 80, "runpod NVIDIA H100 PCIe", "h100-pcie"),
        ("H100", 80, "lambdalabs gpu_1x_h100_pcie", "h100-pcie"),
        ("H100", 80, "nebius gpu-h100-sxm 8gpu-128vcpu-1600gb", "h100-sxm"),
        ("H100", 79.6, "aws p5.48xlarge", "h100-sxm"),
        ("H100", 80, "verda 1H100.80S.30V", "h100-sxm"),
        ("H100", 80, "lambdalabs gpu_8x_h100", None),
        ("H100NVL", 94, "azure Standard_NC40ads_H100_v5", "h100-nvl"),
        ("A100", 40, "aws p4d.24xlarge", "a100-sxm-40gb"),
        ("A100", 80, "aws p4de.24xlarge", "a100-sxm-80gb"),
        ("A100", 80, "azure Standard_NC24ads_A100_v4", "a100-pcie-80gb"),
        ("A100", 80, "gcp a2-ultragpu-1g", "a100"),
        ("A100", 40, "gcp a2-highgpu-1g", None),
        ("B200", 183, "aws p6-b200.48xlarge", "b200-sxm"),
        ("L4", 24, "gcp g2-standard-4", "l4"),
        ("L4", 3, "aws g6f.large", None),
        ("RTX4060Ti", 16, "", "rtx-4060-ti-16gb"),
        ("rtx4060ti", 8, "", "rtx-4060-ti"),
        ("RTXPRO6000", 96, "runpod NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", None),
        ("RTXPRO6000", 96, "runpod NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtx-pro-6000"),
        ("H100", 0, "aws p5.48xlarge", None),
        ("H100", math.nan, "aws p5.48xlarge", None),
        ("", 80, "", None),
    ],
)
def test_names(gpu: str, memory: float, offer: str, accelerator: str | None) -> None:
    found = rented(gpu, memory, offer)
    assert (found and found.accelerator) == accelerator


def offer(**fields: Any) -> types.SimpleNamespace:
    usual = {
        "provider": "runpod",
        "location": "here",
        "price": 2.0,
        "gpu_count": 1,
        "gpu_memory": 80.0,
        "spot": False,
        "flags": [],
    }
    return types.SimpleNamespace(**{**usual, **H100, **fields})


def test_the_cheapest_offer_of_each_provider_is_kept() -> None:
    offers = [
        offer(price=3.0),
        offer(price=16.0, gpu_count=8, location="there"),
        offer(price=2.5, location="elsewhere"),
        offer(price=1.0, spot=True),
        offer(price=9.0, provider="nebius"),
        offer(price=0.1, flags=[module.RESERVED]),
        offer(price=0.0),
        offer(price=math.nan),
        offer(price=0.2, gpu_count=0, gpu_name=None),
        offer(price=8.0, provider="nebius", gpu_name="v5litepod-8", gpu_memory=128.0, instance_name="v5"),
        offer(gpu_name="H100", instance_name="H100"),
        offer(gpu_name="MI308X", gpu_memory=None),
        offer(gpu_name="MI308X", gpu_memory=None),
    ]
    found, unknown = cheapest(offers, {"runpod": "2026-11-20", "nebius": "2026-11-19"}, "0.1.34")
    assert [(p.item, p.provider, p.spot, p.usd, p.date) for p in found] == [
        ("h100-sxm", "Nebius", False, 9.0, "2026-11-19"),
        ("h100-sxm", "RunPod", False, 2.0, "2026-11-20"),
        ("h100-sxm", "RunPod", True, 1.0, "2026-11-20"),
        ("tpu-v5e", "Nebius", False, 1.0, "2026-11-19"),
    ]
    assert found[1].region == "there"
    assert found[1].source == "gpuhunt 0.1.34, RunPod; NVIDIA H100 80GB HBM3, price of 8 accelerators divided"
    assert unknown == {"H100 80 GiB": 1, "MI308X 0 GiB": 2}


def test_a_refresh(publish: Any, folder: Path) -> None:
    publish(
        "runpod",
        {**H100, "price": 2.4},
        {**H100, "price": 1.2, "spot": True},
        {"instance_name": "H100", "gpu_name": "H100", "price": 0.5},
    )
    publish("aws", {"instance_name": "p5.48xlarge", "gpu_name": "H100", "gpu_count": 8, "price": 55.04})
    found = update_prices()
    assert (found.offers, found.priced_accelerators, found.providers) == (3, 1, ("AWS", "RunPod"))
    assert "Nebius" in found.missing_providers
    assert (found.unknown_offers, found.unknown_names) == (1, ("H100 80 GiB",))
    assert found.file == str(folder / "rentals.csv")
    price = rental_price("h100-sxm")
    assert price is not None
    assert (price.usd, price.date, price.provider) == (2.4, "2026-11-20", "RunPod")
    assert price.source.startswith("gpuhunt ")
    spot = rental_price("h100-sxm", spot=True)
    assert spot is not None
    assert spot.usd == 1.2


def test_a_provider_that_is_missing_keeps_its_offers(publish: Any) -> None:
    publish("runpod", {**H100, "price": 2.4})
    root = publish(
        "aws", {"instance_name": "p5.48xlarge", "gpu_name": "H100", "gpu_count": 8, "price": 55.04}
    )
    update_prices()
    shutil.rmtree(root / "aws")
    publish("runpod", {**H100, "price": 2.2}, version="20261125-1")
    found = update_prices()
    assert (found.offers, found.providers) == (1, ("RunPod",))
    kept = [price for price in prices() if price.source.startswith("gpuhunt ")]
    assert {(p.provider, p.usd, p.date) for p in kept} == {
        ("RunPod", 2.2, "2026-11-25"),
        ("AWS", 6.88, "2026-11-20"),
    }


def test_a_failed_refresh_keeps_what_there_was(publish: Any, folder: Path) -> None:
    root = publish("runpod", {**H100, "price": 2.4})
    update_prices()
    before = (folder / "rentals.csv").read_bytes()
    (root / "runpod" / "20261120-7" / "catalog.zip").write_bytes(b"half a zip")
    with pytest.raises(FarthingError, match="the prices of 2026-11-20 stay in use") as caught:
        update_prices()
    assert caught.value.exit_code == 1
    shutil.rmtree(root)
    with pytest.raises(FarthingError, match="cannot refresh rental prices"):
        update_prices()
    publish("runpod", {"instance_name": "H100", "gpu_name": "H100", "price": 2.4})
    with pytest.raises(FarthingError, match="no"):
        update_prices()
    assert (folder / "rentals.csv").read_bytes() == before


def test_a_broken_file_of_earlier_offers_is_told_and_not_replaced(publish: Any, folder: Path) -> None:
    publish("runpod", {**H100, "price": 2.4})
    folder.mkdir()
    (folder / "rentals.csv").write_text("item,kind\n")
    with pytest.raises(CatalogError, match="farthing prices forget"):
        update_prices()
    assert (folder / "rentals.csv").read_text() == "item,kind\n"


def test_waiting_has_an_end_and_leaves_no_trace(publish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gpuhunt = pytest.importorskip("gpuhunt")
    publish("runpod", {**H100, "price": 2.4})
    seen = []
    load = gpuhunt.Catalog.load

    def watched(self: Any) -> None:
        seen.append(socket.getdefaulttimeout())
        load(self)

    monkeypatch.setattr(gpuhunt.Catalog, "load", watched)
    update_prices()
    assert seen == [module.TIMEOUT_S]
    assert socket.getdefaulttimeout() is None


def test_without_gpuhunt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpuhunt", None)
    with pytest.raises(InvalidInput, match=r"pip install 'farthing\[prices\]'"):
        update_prices()


def test_with_an_old_gpuhunt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpuhunt", types.ModuleType("gpuhunt"))
    old = types.ModuleType("gpuhunt.version")
    old.__version__ = "0.1.9"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpuhunt.version", old)
    with pytest.raises(InvalidInput, match=r"gpuhunt 0\.1\.34 or later, not 0\.1\.9"):
        update_prices()


@pytest.mark.parametrize(
    ("version", "date"), [("20260818-42", "2026-08-18"), ("20260899-1", None), ("latest", None), ("", None)]
)
def test_a_version_tells_the_day(version: str, date: str | None) -> None:
    import datetime

    assert module._date(version) == (date or datetime.date.today().isoformat())


def test_updates_are_where_own_prices_are(folder: Path) -> None:
    assert own_prices.updated_file().parent == own_prices.file().parent == folder
