"""Clusters as people write them: ``2x4:rtx-4090@25gbe``, or a TOML file for everything else."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import sys
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_type_hints

from farthing import catalog
from farthing.catalog.load import si_field
from farthing.errors import InvalidInput, UnknownName
from farthing.records.hardware import Accelerator, Cluster, Host, HostGroup, Link, LinkKind
from farthing.units import HOUR

T = TypeVar("T")

_COUNTS_ALONE: Final = re.compile(r"\d+x\d+")

GRAMMAR: Final = (
    "write HOSTSxCARDS:ACCELERATOR@NETWORK, e.g. 1x8:rtx-4090 or 2x4:rtx-4090@25gbe, join unlike hosts"
    " with +, or name a .toml file"
)
MAX_HOSTS: Final = 1_000_000
MAX_CARDS: Final = 100_000
MAX_PORTS: Final = 1_024
_MAX_FILE_CHARACTERS: Final = 1_000_000
_DEFAULT_PCIE: Final = (4, 16)
_PART: Final = re.compile(
    r"(?:(?:([0-9]+)x)?([0-9]+):)?([a-z0-9][a-z0-9._-]*)(?:@(?:([0-9]+)x)?([a-z0-9._-]+))?"
)

_CLUSTER_KEYS: Final = ("name", "network", "oversubscription", "usd", "usd_per_hour", "group")
_GROUP_KEYS: Final = (
    "hosts",
    "accelerators_per_host",
    "accelerator",
    "accelerator_overrides",
    "host",
    "intra_link",
    "host_copy",
    "network",
    "nics_per_host",
)
_LINK_KEYS: Final = (
    "like",
    "name",
    "kind",
    "gb_per_s",
    "gbit_per_s",
    "latency_us",
    "latency_ms",
    "efficiency",
    "per_accelerator",
)


def _named(kind: str, rows: Mapping[str, T], name: str, hint: str = "") -> T:
    try:
        return rows[name.strip().lower()]
    except KeyError:
        raise UnknownName(kind, name, rows, hint) from None


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def intra_link(accelerator: Accelerator, host: Host | None, links: Mapping[str, Link]) -> Link:
    """The vendor's own link between cards of a host, or else PCIe as wide as both the card and the slot.

    Examples
    --------
    >>> card = catalog.accelerator("rtx-4090")
    >>> intra_link(card, catalog.host("desktop-2-cards"), catalog.links()).id
    'pcie4-x8'
    """
    if accelerator.link:
        return _named("link", links, accelerator.link)
    generation, lanes = accelerator.pcie_generation, accelerator.pcie_lanes
    if host is not None and host.pcie_lanes_per_slot:
        generation = min(generation or host.pcie_generation, host.pcie_generation)
        lanes = min(lanes or host.pcie_lanes_per_slot, host.pcie_lanes_per_slot)
    generation, lanes = generation or _DEFAULT_PCIE[0], lanes or _DEFAULT_PCIE[1]
    return _named("link", links, f"pcie{generation}-x{lanes}")


def _ports(network: Link | None, cards: int) -> int:
    return cards if network is not None and network.per_accelerator else 1


def _slowest(networks: Collection[Link]) -> Link | None:
    """What connects hosts with unlike ports: the lowest rate, and then the longest latency."""
    return min(networks, key=lambda link: (link.bytes_per_s * link.efficiency, -link.latency_s), default=None)


def _count(text: str | None, most: int, what: str, whole: str) -> int | None:
    if text is None:
        return None
    value = int(text[:12])
    if len(text) > 12 or not 1 <= value <= most:
        raise InvalidInput(f"cluster {_short(whole)}: {what} must be 1 to {most:,}, not {text[:20]}")
    return value


def parse_cluster(
    text: str,
    accelerators: Mapping[str, Accelerator] | None = None,
    links: Mapping[str, Link] | None = None,
) -> Cluster:
    """The cluster of a text; reads no files.

    ``HOSTSxCARDS:ACCELERATOR@NETWORK``, of which ``HOSTSx``, then ``HOSTSxCARDS:``, and with one host
    ``@NETWORK`` may be left out. Unlike hosts are joined with ``+``; the last network connects those that
    name none, and where hosts name several the slowest connects them all. ``@4x200g-roce`` gives each
    host four ports; otherwise it has one, or one for each card where the network is built so (InfiniBand).
    Cards of one host talk over their own link (NVLink), or else over PCIe, through the host's memory
    where they have no peer-to-peer access.

    Parameters
    ----------
    text
        E.g. ``2x4:rtx-4090@25gbe`` or ``1x2:rtx-4090+1x1:m2-ultra@1gbe``.
    accelerators, links
        Records by id; the catalogue's unless given.

    Raises
    ------
    InvalidInput
        The text does not parse, or its numbers make no sense.
    UnknownName
        No such accelerator or network.

    Examples
    --------
    >>> cluster = parse_cluster("256x8:a100-sxm-80gb@ib-hdr")
    >>> cluster.count, cluster.network.name, cluster.groups[0].nics_per_host
    (2048, 'InfiniBand HDR 4x', 8)
    >>> group = parse_cluster("2x4:rtx-4090@25gbe").groups[0]
    >>> group.intra_link.id, group.host_copy, group.nics_per_host
    ('pcie4-x16', True, 1)
    """
    accelerators = catalog.accelerators() if accelerators is None else accelerators
    links = catalog.links() if links is None else links
    whole = text.strip()
    groups: list[HostGroup] = []
    explicit: list[int | None] = []
    for part in whole.lower().split("+"):
        match = _PART.fullmatch(part.strip())
        if match is None or _COUNTS_ALONE.fullmatch(part.strip()):
            raise InvalidInput(f"{_short(whole)} is not a cluster: {GRAMMAR}")
        hosts = _count(match.group(1), MAX_HOSTS, "hosts", whole) or 1
        cards = _count(match.group(2), MAX_CARDS, "cards of a host", whole) or 1
        explicit.append(_count(match.group(4), MAX_PORTS, "network ports of a host", whole))
        accelerator = _named("accelerator", accelerators, match.group(3), "see: farthing gpu list")
        network = None
        if match.group(5):
            network = _named("network", links, match.group(5), "see: farthing catalog list links")
        groups.append(
            HostGroup(
                hosts=hosts,
                accelerators_per_host=cards,
                accelerator=accelerator,
                intra_link=intra_link(accelerator, None, links),
                host_copy=not accelerator.peer_to_peer and not accelerator.link,
                network=network,
            )
        )
    last = next((group.network for group in reversed(groups) if group.network is not None), None)
    return _joined(groups, explicit, last, name=whole)


def _joined(
    groups: list[HostGroup], explicit: list[int | None], default: Link | None, **fields: Any
) -> Cluster:
    """A cluster whose groups all have a port, if any has."""
    ported = []
    for group, ports in zip(groups, explicit, strict=True):
        network = group.network or default
        nics = ports or _ports(network, group.accelerators_per_host)
        ported.append(dataclasses.replace(group, network=network, nics_per_host=nics))
    if sum(group.hosts for group in ported) > MAX_HOSTS:
        raise InvalidInput(f"cluster {_short(fields['name'])} has more than {MAX_HOSTS:,} hosts; name fewer")
    network = _slowest([group.network for group in ported if group.network is not None])
    return Cluster(groups=tuple(ported), network=network, **fields)


class _Table:
    """A TOML table that refuses unknown keys, wrong types and senseless numbers."""

    def __init__(self, where: str, values: Any, known: Collection[str]) -> None:
        if not isinstance(values, dict):
            raise InvalidInput(f"{where} must be a table with keys {', '.join(known)}")
        for key in values:
            if key not in known:
                raise UnknownName(f"key in {where}:", key, known, f"known keys: {', '.join(known)}")
        self.where = where
        self.values = values

    def _get(self, key: str, kind: type | tuple[type, ...], what: str, default: Any) -> Any:
        if key not in self.values:
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise InvalidInput(f"{self.where}: {key} must be {what}, not {_short(str(value))}")
        return value

    def text(self, key: str, default: str = "") -> str:
        return str(self._get(key, str, 'a text in quotes, e.g. "rtx-4090"', default))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._get(key, bool, "true or false", default))

    def count(self, key: str, most: int, default: int | None = 1) -> int | None:
        value: int | None = self._get(key, int, "a whole number", default)
        if value is not None and not 1 <= value <= most:
            raise InvalidInput(f"{self.where}: {key} must be 1 to {most:,}, not {value}")
        return value

    def number(self, key: str, default: float, least: float = 0.0, most: float = math.inf) -> float:
        value = float(self._get(key, (int, float), "a number", default))
        if not math.isfinite(value) or not least <= value <= most:
            limit = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
            raise InvalidInput(f"{self.where}: {key} must be {limit}, not {value:g}")
        return value


def _link(where: str, value: Any, links: Mapping[str, Link], kind: str) -> Link:
    """A link by id, or described by a table."""
    if isinstance(value, str):
        return _named("link", links, value)
    table = _Table(where, value, _LINK_KEYS)
    like = _named("link", links, table.text("like")) if "like" in table.values else None
    if {"gb_per_s", "gbit_per_s"} <= set(table.values) or {"latency_us", "latency_ms"} <= set(table.values):
        raise InvalidInput(f"{where}: give the rate once and the latency once")
    changes: dict[str, Any] = {"source": "given by the user"}
    for key in ("gb_per_s", "gbit_per_s", "latency_us", "latency_ms"):
        if key in table.values:
            name, factor = si_field(key)
            changes[name] = table.number(key, 0.0) * factor
    if like is None and not {"bytes_per_s", "latency_s"} <= set(changes):
        raise InvalidInput(f"{where}: give gb_per_s or gbit_per_s and latency_us or latency_ms, or like")
    if not changes.get("bytes_per_s", 1.0) > 0:
        raise InvalidInput(f"{where}: the rate must be positive")
    if "efficiency" in table.values:
        changes["efficiency"] = table.number("efficiency", 1.0, least=1e-3, most=1.0)
    if "per_accelerator" in table.values:
        changes["per_accelerator"] = table.flag("per_accelerator", False)
    if "name" in table.values:
        changes["name"] = table.text("name")
    if "kind" in table.values:
        changes["kind"] = table.text("kind")
        if changes["kind"] not in get_args(LinkKind):
            raise UnknownName(
                "kind of link", changes["kind"], get_args(LinkKind), ", ".join(get_args(LinkKind))
            )
    if like is not None:
        return dataclasses.replace(like, **changes)
    return Link(**{"id": "custom", "name": "custom link", "kind": kind, **changes})


def _overridden(where: str, accelerator: Accelerator, values: Any) -> Accelerator:
    """A card with figures of the user's own, in the units of the data files (``memory_gib``)."""
    types = get_type_hints(Accelerator)
    fields = {
        field.name for field in dataclasses.fields(Accelerator) if types[field.name] in (int, float, bool)
    }
    if not isinstance(values, dict):
        raise InvalidInput(f"{where} must be a table, e.g. tdp_w = 300")
    changes: dict[str, Any] = {}
    for key in values:
        name, factor = si_field(key)
        if name not in fields:
            raise UnknownName(
                f"key in {where}:", key, fields, "it takes the columns of the accelerators' data file"
            )
        table = _Table(where, {key: values[key]}, (key,))
        if types[name] is bool:
            changes[name] = table.flag(key, False)
        elif types[name] is int:
            changes[name] = table.count(key, 1_000_000)
        else:
            changes[name] = table.number(key, 0.0) * factor
    return dataclasses.replace(accelerator, **changes)


def read_cluster(
    toml: str,
    name: str = "cluster.toml",
    accelerators: Mapping[str, Accelerator] | None = None,
    links: Mapping[str, Link] | None = None,
    hosts: Mapping[str, Host] | None = None,
) -> Cluster:
    """The cluster of a TOML text.

    Top-level keys: ``name``, ``network``, ``oversubscription``, ``usd`` (price of it all) and
    ``usd_per_hour``. Each ``[[group]]`` of like hosts has ``accelerator`` and may have ``hosts``,
    ``accelerators_per_host``, ``host`` (an id), ``network``, ``nics_per_host``, ``intra_link``,
    ``host_copy`` and a table ``accelerator_overrides`` (``tdp_w = 300``, ``peer_to_peer = true``,
    ``memory_gib = 48``). A network or ``intra_link`` is an id or a table of ``gb_per_s`` or ``gbit_per_s``
    (one way), ``latency_us`` or ``latency_ms`` (one way), ``efficiency``, ``per_accelerator``, ``kind``,
    ``name``; with ``like`` the rest comes from that id.

    Parameters
    ----------
    toml
        The text.
    name
        What to call it in messages, and the cluster if it does not name itself.
    accelerators, links, hosts
        Records by id; the catalogue's unless given.

    Raises
    ------
    InvalidInput
        Not TOML, an unknown or missing key, a wrong type, a number out of range.

    Examples
    --------
    >>> cluster = read_cluster('''
    ... network = { like = "10gbe", latency_us = 50 }
    ... [[group]]
    ... hosts = 2
    ... accelerators_per_host = 4
    ... accelerator = "rtx-4090"
    ... ''')
    >>> cluster.count, round(cluster.network.latency_s * 1e6)
    (8, 50)
    """
    accelerators = catalog.accelerators() if accelerators is None else accelerators
    links = catalog.links() if links is None else links
    try:
        values = tomllib.loads(toml)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidInput(f"{name} is not valid TOML, correct it: {error}") from None
    table = _Table(name, values, _CLUSTER_KEYS)
    rows = values.get("group")
    if not isinstance(rows, list) or not rows:
        raise InvalidInput(f'{name}: add at least one [[group]] with accelerator = "rtx-4090"')
    network = _link(f"{name}, network", values["network"], links, "ethernet") if "network" in values else None
    groups: list[HostGroup] = []
    explicit: list[int | None] = []
    for number, row in enumerate(rows, start=1):
        where = f"{name}, group {number}"
        group = _Table(where, row, _GROUP_KEYS)
        if "accelerator" not in group.values:
            raise InvalidInput(f'{where}: accelerator is missing; add e.g. accelerator = "rtx-4090"')
        accelerator = _named("accelerator", accelerators, group.text("accelerator"), "see: farthing gpu list")
        if "accelerator_overrides" in row:
            accelerator = _overridden(
                f"{where}, accelerator_overrides", accelerator, row["accelerator_overrides"]
            )
        cards = group.count("accelerators_per_host", MAX_CARDS) or 1
        host = None
        if "host" in row:
            host = _named("host", catalog.hosts() if hosts is None else hosts, group.text("host"))
            if cards > host.slots:
                raise InvalidInput(
                    f"{where}: host {host.id!r} takes {host.slots} cards, not {cards};"
                    " name another host or lower accelerators_per_host"
                )
        inner = (
            _link(f"{where}, intra_link", row["intra_link"], links, "pcie")
            if "intra_link" in row
            else intra_link(accelerator, host, links)
        )
        through_host = not accelerator.peer_to_peer and inner.kind in ("pcie", "memory")
        groups.append(
            HostGroup(
                hosts=group.count("hosts", MAX_HOSTS) or 1,
                accelerators_per_host=cards,
                accelerator=accelerator,
                intra_link=inner,
                host_copy=group.flag("host_copy", through_host),
                network=(
                    _link(f"{where}, network", row["network"], links, "ethernet")
                    if "network" in row
                    else None
                ),
                host=host,
            )
        )
        explicit.append(group.count("nics_per_host", MAX_PORTS, None))
    return _joined(
        groups,
        explicit,
        network,
        name=table.text("name", Path(name).stem),
        oversubscription=table.number("oversubscription", 1.0, least=1.0),
        usd=table.number("usd", 0.0),
        usd_per_s=table.number("usd_per_hour", 0.0) / HOUR,
    )


def find_cluster(text: str) -> Cluster:
    """The cluster of a text, of a TOML file, or (``-``) of TOML on standard input.

    Raises
    ------
    InvalidInput
        No such file, or not a cluster.

    Examples
    --------
    >>> find_cluster("8:rtx-4090").count
    8
    """
    where = text.strip()
    if where != "-" and not where.lower().endswith(".toml"):
        return parsed_cluster(where)
    name = "standard input" if where == "-" else where
    try:
        content = sys.stdin.read(_MAX_FILE_CHARACTERS + 1) if where == "-" else _read(Path(where))
    except OSError as error:
        raise InvalidInput(f"cannot read {name}: {error.strerror}; name an existing .toml file") from None
    except ValueError:
        raise InvalidInput(f"{_short(name)} is not a text file in UTF-8; give a cluster in TOML") from None
    if len(content) > _MAX_FILE_CHARACTERS:
        raise InvalidInput(f"{name} is longer than {_MAX_FILE_CHARACTERS:,} characters: not a cluster")
    return read_cluster(content, name)


# Questions of one cluster come in rows.
@functools.lru_cache(maxsize=1024)
def parsed_cluster(text: str) -> Cluster:
    """The cluster of a text, which is remembered; reads no files.

    Examples
    --------
    >>> parsed_cluster("2x8:h100-sxm@ib-ndr").count
    16
    """
    return parse_cluster(text)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_MAX_FILE_CHARACTERS + 1)
