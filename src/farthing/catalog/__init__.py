"""Facts with their sources, by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from farthing.catalog.load import table
from farthing.errors import UnknownName
from farthing.records.efficiency import Efficiency
from farthing.records.engine import Engine
from farthing.records.hardware import Accelerator, Host, Link, Nic, NumberFormat, Switch
from farthing.records.model import Model

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


def nics() -> Mapping[str, Nic]:
    """All network cards by id."""
    return table("nics.csv", Nic)


def switches() -> Mapping[str, Switch]:
    """All switches by id."""
    return table("switches.csv", Switch)


def hosts() -> Mapping[str, Host]:
    """All hosts by id."""
    return table("hosts.csv", Host)


def engines() -> Mapping[str, Engine]:
    """All engines by id."""
    return table("engines.csv", Engine)


def formats() -> Mapping[str, NumberFormat]:
    """All number formats by id."""
    return table("formats.csv", NumberFormat)


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


def engine(name: str) -> Engine:
    """The engine of that id; raises `UnknownName` with the nearest ids."""
    return _named("engine", engines(), name)


def number_format(name: str) -> NumberFormat:
    """The number format of that id; raises `UnknownName` with the nearest ids."""
    return _named("number format", formats(), name)


def efficiencies() -> Mapping[str, Efficiency]:
    """Efficiency constants by architecture; ``gpu soc cpu tpu npu`` stand for the rest of their kind."""
    return table("efficiency/architectures.csv", Efficiency)


def efficiency(card: Accelerator) -> Efficiency:
    """The constants of a card's architecture, or of its kind where the architecture has none.

    Consumer cards run their tensor cores at half rate and have constants of their own.
    """
    rows = efficiencies()
    consumer = "" if card.datacenter_licence else f"{card.architecture}-geforce"
    for name in (consumer, card.architecture, card.kind):
        if name in rows:
            return rows[name]
    return rows["gpu"]
