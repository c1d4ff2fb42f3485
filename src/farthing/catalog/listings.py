"""What a list of each table of the catalogue shows: its title, its columns, and where words are sought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from farthing.catalog.load import si_field
from farthing.records.catalogue import CatalogColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How a table is shown.

    Attributes
    ----------
    title, description
        A heading, and a sentence.
    record
        Name of the record that its rows are.
    columns
        Name, title and unit of each; a name is a field's in the unit that is shown, as data files write it,
        or that of a value which is looked up.
    searched
        Fields in which a text is sought.
    """

    title: str
    description: str
    record: str
    columns: tuple[tuple[str, str, str], ...]
    searched: tuple[str, ...] = ("id", "name")


_ID: Final = ("id", "id", "")
_NAME: Final = ("name", "name", "")
_KIND: Final = ("kind", "kind", "")
_DATE: Final = ("date", "date", "")
_POWER: Final = ("power_w", "power", "W")
_PRICE: Final = (("price_usd", "price", "USD"), ("price_date", "seen", ""))

LISTINGS: Final[Mapping[str, Listing]] = {
    "accelerators": Listing(
        title="Accelerators",
        description="Cards, chips and whole processors that compute; rates are dense peaks.",
        record="Accelerator",
        columns=(
            _ID,
            _NAME,
            ("vendor", "vendor", ""),
            ("architecture", "architecture", ""),
            _KIND,
            ("year", "year", ""),
            ("memory_gib", "memory", "GiB"),
            ("memory_gb_per_s", "memory bandwidth", "GB/s"),
            ("training_tflop_per_s", "16-bit products", "TFLOP/s"),
            ("fp8_tflop_per_s", "fp8 products", "TFLOP/s"),
            ("fp4_tflop_per_s", "fp4 products", "TFLOP/s"),
            ("int8_top_per_s", "int8 products", "Top/s"),
            ("tdp_w", "power limit", "W"),
            ("launch_price_usd", "launch price", "USD"),
            ("purchase_usd", "to buy", "USD"),
            ("purchase_date", "seen", ""),
            ("rental_usd_per_hour", "to rent", "USD/h"),
            ("rental_date", "seen", ""),
        ),
        searched=("id", "name", "notes"),
    ),
    "models": Listing(
        title="Models",
        description="Shapes of language models; parameters are computed from them.",
        record="Model",
        columns=(
            _ID,
            _NAME,
            ("family", "family", ""),
            ("attention", "attention", ""),
            ("parameters_billion", "parameters", "billion"),
            ("active_parameters_billion", "active a token", "billion"),
            ("layers", "layers", ""),
            ("hidden", "hidden width", ""),
            ("max_context", "longest context", "token"),
            ("kv_kib_per_token", "KV cache in 16 bits", "KiB/token"),
            ("native_format", "published format", ""),
        ),
        searched=("id", "name", "family"),
    ),
    "links": Listing(
        title="Links",
        description="Ways for data between cards and between hosts; rates are one-way, of one port.",
        record="Link",
        columns=(
            _ID,
            _NAME,
            _KIND,
            ("gb_per_s", "rate", "GB/s"),
            ("latency_us", "latency", "us"),
            ("efficiency", "share reached", ""),
        ),
    ),
    "nics": Listing(
        title="Network cards",
        description="Cards that join a host to a network.",
        record="Nic",
        columns=(_ID, _NAME, ("link", "link", ""), ("ports", "ports", ""), _POWER, *_PRICE),
    ),
    "switches": Listing(
        title="Switches",
        description="Network switches; the rate is one-way, of one of the main ports.",
        record="Switch",
        columns=(
            _ID,
            _NAME,
            _KIND,
            ("ports", "ports", ""),
            ("gbit_per_s", "rate of a port", "Gbit/s"),
            _POWER,
            *_PRICE,
        ),
    ),
    "hosts": Listing(
        title="Hosts",
        description="Machines without their accelerators.",
        record="Host",
        columns=(
            _ID,
            _NAME,
            _KIND,
            ("slots", "slots", ""),
            ("pcie_generation", "PCIe", ""),
            ("pcie_lanes_per_slot", "lanes a slot", ""),
            ("memory_gib", "memory", "GiB"),
            ("psu_w", "supplies", "W"),
            *_PRICE,
        ),
    ),
    "parts": Listing(
        title="Parts",
        description="Boards, processors, memory, power supplies and cables that a build buys.",
        record="Part",
        columns=(_ID, _NAME, _KIND, *_PRICE),
    ),
    "host-parts": Listing(
        title="Parts of hosts",
        description="What a host is made of that somebody builds.",
        record="HostPart",
        columns=(("host", "host", ""), ("part", "part", ""), ("quantity", "count", "")),
        searched=("host", "part"),
    ),
    "prices": Listing(
        title="Prices",
        description="What accelerators, hosts, network cards, switches and parts cost, newest first.",
        record="Price",
        columns=(
            ("item", "item", ""),
            _KIND,
            ("spot", "spot", ""),
            ("usd", "price", "USD"),
            ("per", "for", ""),
            _DATE,
            ("provider", "provider", ""),
            ("region", "region", ""),
        ),
        searched=("item", "provider", "kind"),
    ),
    "api-prices": Listing(
        title="Prices of tokens",
        description="What providers ask for a million tokens of a model.",
        record="ApiPrice",
        columns=(
            ("model", "model", ""),
            ("provider", "provider", ""),
            ("weight_format", "weights", ""),
            ("usd_per_million_input", "read", "USD/Mtoken"),
            ("usd_per_million_output", "written", "USD/Mtoken"),
            _DATE,
        ),
        searched=("model", "provider"),
    ),
    "resale": Listing(
        title="Resale",
        description="What used accelerators kept of their launch price.",
        record="Resale",
        columns=(
            ("item", "accelerator", ""),
            ("age_years", "age", "year"),
            ("share", "share of its launch price", ""),
            _DATE,
        ),
        searched=("item",),
    ),
    "engines": Listing(
        title="Engines",
        description="Software that serves or trains models, and how it can split them.",
        record="Engine",
        columns=(
            _ID,
            _NAME,
            ("version", "version", ""),
            _KIND,
            ("vendors", "runs on", ""),
            ("tensor_parallel", "tp", ""),
            ("pipeline_parallel", "pp", ""),
            ("expert_parallel", "ep", ""),
            ("data_parallel", "dp", ""),
        ),
    ),
    "formats": Listing(
        title="Number formats",
        description="How numbers are stored; scales and zero points are counted in the bits.",
        record="NumberFormat",
        columns=(
            _ID,
            _NAME,
            ("family", "family", ""),
            ("bits", "bits", ""),
            ("compute", "computes in", ""),
            ("weights", "weights", ""),
            ("activations", "activations", ""),
            ("kv_cache", "KV cache", ""),
        ),
    ),
    "countries": Listing(
        title="Countries",
        description="Price of electricity, and what a socket carries.",
        record="Country",
        columns=(
            _ID,
            _NAME,
            ("usd_per_kwh_household", "at home", "USD/kWh"),
            ("usd_per_kwh_business", "in business", "USD/kWh"),
            ("volts", "mains", "V"),
            ("circuit_amperes", "socket", "A"),
            _DATE,
        ),
        searched=("id", "name", "other_names"),
    ),
    "hosting": Listing(
        title="Hosting",
        description="Rent of space in data centres, for each kilowatt that is contracted.",
        record="Hosting",
        columns=(
            _ID,
            _NAME,
            ("usd_per_kw_month", "rent", "USD/kW/month"),
            ("includes_power", "with power", ""),
            ("country", "country", ""),
            _DATE,
        ),
    ),
    "facilities": Listing(
        title="Data centres",
        description="Data centres by their overhead of power.",
        record="Facility",
        columns=(_ID, _NAME, ("pue", "PUE", ""), _DATE),
    ),
    "chips": Listing(
        title="Chips",
        description="Silicon and memory of accelerators, from which their cost of production follows.",
        record="Chip",
        columns=(
            _ID,
            ("die_area_mm2", "area of a die", "mm2"),
            ("dies", "dies", ""),
            ("process", "process", ""),
            ("units", "units on a die", ""),
            ("enabled_units", "units sold", ""),
            ("memory_kind", "memory", ""),
            ("memory_gib", "memory fitted", "GiB"),
        ),
        searched=("id", "process", "memory_kind"),
    ),
    "processes": Listing(
        title="Processes",
        description="Ways to make dies: price of a wafer, and defects.",
        record="Process",
        columns=(
            _ID,
            _NAME,
            ("wafer_usd", "wafer", "USD"),
            ("defects_per_cm2", "defects", "1/cm2"),
            _DATE,
        ),
    ),
    "memory-prices": Listing(
        title="Prices of memory",
        description="What device memory costs by kind.",
        record="MemoryPrice",
        columns=(_ID, ("usd_per_gib", "price", "USD/GiB"), _DATE),
        searched=("id",),
    ),
    "packages": Listing(
        title="Packages and boards",
        description="What the package of a chip and its board cost.",
        record="PackagePrice",
        columns=(_ID, ("usd", "price", "USD"), _DATE),
        searched=("id",),
    ),
}
"""Tables in the order in which they are shown."""

LOOKED_UP: Final = frozenset(
    {
        "training_tflop_per_s",
        "purchase_usd",
        "purchase_date",
        "rental_usd_per_hour",
        "rental_date",
        "attention",
        "parameters_billion",
        "active_parameters_billion",
        "kv_kib_per_token",
    }
)
"""Columns that are no field of their record."""


def columns_of(name: str, numeric: frozenset[str]) -> tuple[CatalogColumn, ...]:
    """The columns of a table.

    Parameters
    ----------
    name
        Of the table.
    numeric
        Columns that hold numbers.

    Examples
    --------
    >>> columns_of("links", frozenset({"gb_per_s"}))[3]
    CatalogColumn(name='gb_per_s', title='rate', unit='GB/s', field='bytes_per_s', numeric=True)
    """
    return tuple(
        CatalogColumn(
            name=column,
            title=title,
            unit=unit,
            field="" if column in LOOKED_UP else si_field(column)[0],
            numeric=column in numeric,
        )
        for column, title, unit in LISTINGS[name].columns
    )
