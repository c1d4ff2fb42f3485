"""Facts with their sources, by id."""

from __future__ import annotations

import csv
import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from importlib import resources
from typing import TypeVar

from farthing.catalog import own
from farthing.catalog.load import table
from farthing.errors import CatalogError, InvalidInput, UnknownName
from farthing.records.api_price import ApiPrice
from farthing.records.checkpoint import Checkpoint
from farthing.records.chip import Chip, ChipBill, MemoryPrice, PackagePrice, Process
from farthing.records.country import Country
from farthing.records.efficiency import (
    AttentionEfficiency,
    CollectiveEfficiency,
    Efficiency,
    ProductEfficiency,
)
from farthing.records.engine import Engine
from farthing.records.engine_efficiency import NO_OVERHEAD, EngineEfficiency
from farthing.records.hardware import Accelerator, Host, Link, Nic, NumberFormat, Switch
from farthing.records.hosting import Facility, Hosting
from farthing.records.model import Model
from farthing.records.parts import HostPart, Part
from farthing.records.resale import Resale
from farthing.records.serving import Scheduler
from farthing.records.wiring import PEERS, Wiring

T = TypeVar("T")


def accelerators() -> Mapping[str, Accelerator]:
    """All accelerators by id."""
    return table("accelerators.csv", Accelerator)


def models() -> Mapping[str, Model]:
    """All models by id."""
    return table("models.csv", Model)


def links() -> Mapping[str, Link]:
    """All links, inside a host and between hosts, by id."""
    return table("links.csv", Link)


def networks() -> Mapping[str, Link]:
    """All links between hosts by id."""
    inside = ("nvlink", "xgmi", "pcie", "ici", "memory")
    return {id: link for id, link in links().items() if link.kind not in inside}


def nics() -> Mapping[str, Nic]:
    """All network cards by id."""
    return table("nics.csv", Nic)


def switches() -> Mapping[str, Switch]:
    """All switches by id."""
    return table("switches.csv", Switch)


def hosts() -> Mapping[str, Host]:
    """All hosts by id."""
    return table("hosts.csv", Host)


def parts() -> Mapping[str, Part]:
    """All parts of which hosts and networks are built, by id."""
    return table("parts.csv", Part)


@functools.cache
def host_parts() -> Mapping[str, tuple[tuple[str, int], ...]]:
    """Parts and how many of each, by the host that somebody builds of them.

    Power supplies are left out: how many watts a host needs depends on its cards. A host that is bought
    complete has no entry, but a price.

    Examples
    --------
    >>> host_parts()["wrx90d8-4u"][0], "dgx-h100" in host_parts()
    (('wrx90d8-2l-2t', 1), False)
    """
    found: dict[str, tuple[tuple[str, int], ...]] = {}
    for row in table("host_parts.csv", HostPart).values():
        found[row.host] = (*found.get(row.host, ()), (row.part, row.quantity))
    return found


def engines() -> Mapping[str, Engine]:
    """All engines by id."""
    return table("engines.csv", Engine)


def formats() -> Mapping[str, NumberFormat]:
    """All number formats by id."""
    return table("formats.csv", NumberFormat)


@functools.cache
def api_prices() -> Mapping[str, ApiPrice]:
    """What providers ask for the tokens of models, by line.

    Raises
    ------
    CatalogError
        A row names a model or a number format that the catalogue does not have.
    """
    rows = table("api_prices.csv", ApiPrice)
    refuse_unknown("api_prices.csv", rows)
    return rows


def refuse_unknown(file: str, rows: Mapping[str, ApiPrice]) -> None:
    """Raise `CatalogError` where a row's model or number format is not in the catalogue."""
    for line, row in rows.items():
        if row.model not in models():
            raise CatalogError(file, line, "model", f"no model {row.model!r}; see: farthing model list")
        if row.weight_format and row.weight_format not in formats():
            raise CatalogError(file, line, "weight_format", f"no number format {row.weight_format!r}")


def countries() -> Mapping[str, Country]:
    """All countries by id."""
    return table("countries.csv", Country)


def hostings() -> Mapping[str, Hosting]:
    """Prices of colocation by id."""
    return table("hosting.csv", Hosting)


def facilities() -> Mapping[str, Facility]:
    """Data centres with their overhead by id."""
    return table("facilities.csv", Facility)


def resales() -> Mapping[str, Resale]:
    """Used prices over launch prices, by line."""
    return table("resale.csv", Resale)


def _named(kind: str, rows: Mapping[str, T], name: str, hint: str = "") -> T:
    try:
        return rows[name.strip().lower()]
    except KeyError:
        raise UnknownName(kind, name, rows, hint) from None


def accelerator(name: str) -> Accelerator:
    """The accelerator of that id; raises `UnknownName` with the nearest ids."""
    return _named("accelerator", accelerators(), name, "see: farthing gpu list")


def model(name: str) -> Model:
    """The model of that id; raises `UnknownName` with the nearest ids."""
    return _named("model", models(), name, "see: farthing model list")


def link(name: str) -> Link:
    """The link of that id; raises `UnknownName` with the nearest ids."""
    return _named("link", links(), name)


def host(name: str) -> Host:
    """The host of that id; raises `UnknownName` with the nearest ids."""
    return _named("host", hosts(), name)


def country(name: str) -> Country:
    """The country of that ISO code or English name; raises `UnknownName` with the nearest names.

    Examples
    --------
    >>> country("DE").name, country("south korea").id, country("UK").id
    ('Germany', 'kr', 'gb')
    """
    asked, rows = name.strip().lower(), countries()
    by_name = {other.lower(): row for row in rows.values() for other in row.names}
    found = rows.get(asked) or by_name.get(asked)
    if found is None:
        raise UnknownName("country", name, by_name, "or write its two letters in ISO 3166-1, such as de")
    return found


def engine(name: str) -> Engine:
    """The engine of that id; raises `UnknownName` with the nearest ids."""
    return _named("engine", engines(), name)


def chips() -> Mapping[str, Chip]:
    """Silicon and memory of accelerators, by the accelerator's id."""
    return table("chips.csv", Chip)


def processes() -> Mapping[str, Process]:
    """All ways to make dies by id."""
    return table("processes.csv", Process)


def memory_prices() -> Mapping[str, MemoryPrice]:
    """What device memory costs by kind."""
    return table("memory_prices.csv", MemoryPrice)


def package_prices() -> Mapping[str, PackagePrice]:
    """What packages and boards cost by id."""
    return table("packages.csv", PackagePrice)


def chip_bills() -> Mapping[str, ChipBill]:
    """The article's bills of materials, by the accelerator's id."""
    return table("chip_bills.csv", ChipBill)


def chip(name: str) -> Chip:
    """The chip of that accelerator; raises `UnknownName` with the nearest ids."""
    return _named("chip", chips(), name, "see: farthing chip")


def checkpoints() -> Mapping[str, Checkpoint]:
    """Checkpoints of mixtures that store more than the routed experts in their format."""
    return table("checkpoints.csv", Checkpoint)


def narrow_products(model: str, weight_format: str) -> frozenset[str]:
    """Products of a layer that a mixture's checkpoint stores like its routed experts.

    Examples
    --------
    >>> sorted(narrow_products("deepseek-r1", "nvfp4")), narrow_products("kimi-k2", "nvfp4")
    (['attention output', 'down', 'up'], frozenset())
    """
    found = checkpoints().get(f"{model}@{weight_format}")
    return found.products if found else frozenset()


def wirings() -> Mapping[str, Wiring]:
    """How engines join machines, by engine (and ``@`` the last version)."""
    return table("wirings.csv", Wiring)


def schedulers() -> Mapping[str, Scheduler]:
    """How engines put passes together by default, by id."""
    return table("schedulers.csv", Scheduler)


def scheduler(name: str) -> Scheduler:
    """The scheduler of that id; raises `UnknownName` with the nearest ids."""
    return _named("scheduler", schedulers(), name, f"one of {', '.join(schedulers())}")


def usual_scheduler(engine: str, card: Accelerator) -> Scheduler | None:
    """An engine's default on a card: of its rows the one that says most; None where it has none.

    Examples
    --------
    >>> [usual_scheduler("vllm", accelerator(card)).token_budget for card in ("h100-sxm", "rtx-4090")]
    [8192, 2048]
    """
    able = [
        row
        for row in schedulers().values()
        if engine in row.engines.split()
        and card.memory_bytes >= row.least_memory_bytes
        and (not row.architectures or card.architecture in row.architectures.split())
    ]
    return max(able, key=lambda row: (row.least_memory_bytes, bool(row.architectures)), default=None)


@functools.lru_cache(maxsize=1024)
def wiring(engine: str, version: str = "") -> Wiring:
    """How an engine joins machines, today or in a version such as ``0.3.1``.

    Examples
    --------
    >>> wiring("distributed-llama").exchange, wiring("distributed-llama", "0.8").exchange
    ('mesh', 'root')
    """
    rows = wirings()
    if engine not in rows:
        engine = engine_family(engine)
    if version:
        asked = tuple(int(part) for part in version.split(".")[:2])
        last = {
            tuple(int(part) for part in id.partition("@")[2].split(".")): row
            for id, row in rows.items()
            if id.partition("@")[::2][0] == engine and "@" in id
        }
        for number in sorted(last):
            if asked <= number:
                return last[number]
    return rows.get(engine, PEERS)


@functools.lru_cache(maxsize=4096)
def number_format(name: str) -> NumberFormat:
    """The number format of that id; raises `UnknownName` with the nearest ids.

    ``q4_k_m@4.72`` is ``q4_k_m`` in a file that takes 4.72 bits a weight.
    """
    id, _, bits = name.partition("@")
    found = _named("number format", formats(), id)
    if not bits:
        return found
    try:
        size = float(bits)
    except ValueError:
        size = math.nan
    if not 0 < size <= 64:
        raise InvalidInput(f"{name!r}: write the bits of a weight after the @, such as {id}@4.7")
    return replace(found, id=name, bits=size)


def _consumer(card: Accelerator) -> str:
    return card.architecture if card.datacenter_licence else f"{card.architecture}-geforce"


def efficiency_names(card: Accelerator) -> tuple[str, str, str]:
    """Names that a card's constants may stand under, the most telling first."""
    return _consumer(card), card.architecture, card.kind


def efficiencies() -> Mapping[str, Efficiency]:
    """Efficiency constants by architecture; ``gpu soc cpu tpu npu`` stand for the rest of their kind."""
    return table("efficiency/architectures.csv", Efficiency)


def efficiency(card: Accelerator) -> Efficiency:
    """The constants of a card's architecture, or of its kind where the architecture has none.

    Consumer cards run their tensor cores at half rate and have constants of their own.
    """
    rows = efficiencies()
    for name in efficiency_names(card):
        if name in rows:
            return rows[name]
    return rows["gpu"]


def product_efficiencies() -> Mapping[str, ProductEfficiency]:
    """Rows of the table of engines' quantised products, by line."""
    return table("efficiency/products.csv", ProductEfficiency)


def product_efficiency(engine: str, number_format: str, architecture: str) -> ProductEfficiency | None:
    """The constants of an engine's products in a format on an architecture; None where nobody makes them.

    Without a row of its own an architecture or an engine takes what stands for all.
    """
    asked = ((engine, "*"), (number_format,), (architecture, "*"))
    fitting = [
        row
        for row in product_efficiencies().values()
        if row.engine in asked[0] and row.format in asked[1] and row.architecture in asked[2]
    ]
    return min(fitting, key=lambda row: (row.architecture == "*", row.engine == "*"), default=None)


def attention_efficiencies() -> Mapping[str, AttentionEfficiency]:
    """Rows of the table of engines' attention, by line."""
    return table("efficiency/attention.csv", AttentionEfficiency)


def attention_efficiency(
    engine: str, number_format: str, architecture: str, phase: str
) -> AttentionEfficiency | None:
    """The constants of an engine's attention on an architecture; None where nobody makes it so."""
    fitting = [
        row
        for row in attention_efficiencies().values()
        if row.engine in (engine, "*")
        and row.architecture in (architecture, "*")
        and (row.format, row.phase) == (number_format, phase)
    ]
    return min(fitting, key=lambda row: (row.architecture == "*", row.engine == "*"), default=None)


def collective_efficiency(library: str, architecture: str) -> CollectiveEfficiency | None:
    """The constants of an engine's all-reduce on an architecture; None where nobody measured it."""
    rows = table("efficiency/collectives.csv", CollectiveEfficiency).values()
    return next((row for row in rows if (row.library, row.architecture) == (library, architecture)), None)


def engine_efficiencies() -> Mapping[str, EngineEfficiency]:
    """Rows of the table of engines' constants, by line."""
    return table("efficiency/engines.csv", EngineEfficiency)


@functools.cache
def _families() -> Mapping[str, str]:
    text = (resources.files("farthing.catalog") / "data" / "engine_families.csv").read_text("utf-8")
    return {row["engine"]: row["family"] for row in csv.DictReader(text.splitlines())}


def engine_family(name: str) -> str:
    """The engine that an engine is built on, or itself.

    Examples
    --------
    >>> engine_family("ollama"), engine_family("vllm")
    ('llama.cpp', 'vllm')
    """
    return _families().get(name, name)


@functools.lru_cache(maxsize=1024)
def engine_efficiency(engine: str, card: Accelerator, weights: NumberFormat) -> EngineEfficiency:
    """The constants of an engine on a card with weights of a format, from the table."""
    return laid_over(engine_efficiencies().values(), engine, card, weights)


def laid_over(
    table: Iterable[EngineEfficiency], engine: str, card: Accelerator, weights: NumberFormat
) -> EngineEfficiency:
    """The constants that rows give an engine on a card with weights of a format.

    Rows that fit are laid over each other, the most specific on top: the engine counts first, then the
    architecture, then the format; last come the user's own factors.
    """
    names = (
        ("*", *_base(engine), engine),
        ("*", *_card_names(card)),
        ("*", *_format_names(weights)),
    )
    rows = [
        (ranks, row)
        for row in table
        if (ranks := _ranks(names, (row.engine, row.architecture, row.format))) is not None
    ]
    merged = NO_OVERHEAD
    for _, row in sorted(rows, key=lambda item: item[0]):
        given = {
            field.name: value
            for field in fields(row)
            if (value := getattr(row, field.name)) != ""
            and not (isinstance(value, float) and math.isnan(value))
        }
        merged = replace(merged, **given)
    return own.overlaid(merged, engine_family(engine), efficiency_names(card), efficiency(card))


def _card_names(card: Accelerator) -> tuple[str, ...]:
    """What rows may call a card, the widest first.

    Makers stand for their graphics processors, ``geforce`` for NVIDIA's consumer cards, ``apple-m3-on`` for
    Apple's since their third generation.
    """
    vendor = () if card.kind == "cpu" else (card.vendor.lower(),)
    geforce = ("geforce",) if card.vendor == "NVIDIA" and not card.datacenter_licence else ()
    later = ("apple-m3-on",) if re.fullmatch(r"apple-m([3-9]|\d\d)", card.architecture) else ()
    return card.kind, *vendor, *geforce, *later, card.architecture, _consumer(card)


def _format_names(weights: NumberFormat) -> tuple[str, ...]:
    """What rows may call a format, the widest first: for GGUF also how its blocks are unpacked."""
    id = weights.id.partition("@")[0]
    if not (weights.family.startswith("gguf") or id == "mxfp4"):
        return weights.family, id
    # The 4-bit ones of the IQ family look up 16 values, the narrower ones whole groups of weights.
    if id.startswith(("iq1", "iq2", "iq3")):
        blocks = "gguf-codebook"
    else:
        blocks = "gguf-k" if "_k" in id or id.startswith("iq") else "gguf-plain"
    return "gguf", blocks, weights.family, id


def _base(engine: str) -> tuple[str, ...]:
    """The engine whose kernels a serving engine shares: its constants count where this one has none."""
    family = engine_family(engine)
    known = engines().get(engine)
    return (family,) if known and known.kind == "serving" and family != engine else ()


def _ranks(names: tuple[tuple[str, ...], ...], row: tuple[str, ...]) -> tuple[int, ...] | None:
    if any(value not in known for known, value in zip(names, row, strict=True)):
        return None
    return tuple(
        max(i for i, name in enumerate(known) if name == value)
        for known, value in zip(names, row, strict=True)
    )
