"""Models and clusters as TOML that farthing reads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from farthing.records.hardware import Accelerator, Cluster, Link
from farthing.records.model import Model
from farthing.units import HOUR

_OWN_LINK = "given by the user"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return repr(value)


def model_toml(model: Model) -> str:
    """A shape as a flat table; fields at their default are left out.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> model_toml(model("llama-2-7b")).splitlines()[0]
    'id = "llama-2-7b"'
    """
    lines = []
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if value != field.default:
            lines.append(f"{field.name} = {_literal(value)}")
    return "\n".join(lines) + "\n"


def _link(link: Link) -> str:
    if link.source != _OWN_LINK:
        return _literal(link.id)
    values = {
        "name": link.name,
        "kind": link.kind,
        "gb_per_s": link.bytes_per_s / 1e9,
        "latency_us": link.latency_s / 1e-6,
        "efficiency": link.efficiency,
        "per_accelerator": link.per_accelerator,
    }
    return "{ " + ", ".join(f"{key} = {_literal(value)}" for key, value in values.items()) + " }"


def _overrides(card: Accelerator, listed: Accelerator | None) -> Iterator[str]:
    for field in dataclasses.fields(card):
        value = getattr(card, field.name)
        if listed is not None and value != getattr(listed, field.name):
            yield f"{field.name} = {_literal(value)}"


def cluster_toml(cluster: Cluster, catalogue: Mapping[str, Accelerator]) -> str:
    """A cluster as TOML to edit: every link is named, every price can be set.

    Parameters
    ----------
    cluster
        The hardware.
    catalogue
        The listed accelerators: where a card differs, its own figures are written.

    Examples
    --------
    >>> from farthing.catalog import accelerators
    >>> from farthing.catalog.cluster import parse_cluster, read_cluster
    >>> cluster = parse_cluster("2x4:rtx-4090@25gbe")
    >>> read_cluster(cluster_toml(cluster, accelerators())) == cluster
    True
    """
    lines = [f"name = {_literal(cluster.name)}", f"oversubscription = {cluster.oversubscription!r}"]
    lines.append(f"usd = {cluster.usd!r}  # price of it all; 0 takes the catalogue's")
    lines.append(f"usd_per_hour = {cluster.usd_per_s * HOUR!r}  # rent of it all; 0 takes the catalogue's")
    for group in cluster.groups:
        lines += [
            "",
            "[[group]]",
            f"hosts = {group.hosts}",
            f"accelerators_per_host = {group.accelerators_per_host}",
            f"accelerator = {_literal(group.accelerator.id)}",
            f"intra_link = {_link(group.intra_link)}",
            f"host_copy = {_literal(group.host_copy)}",
        ]
        if group.network is not None:
            lines += [f"network = {_link(group.network)}", f"nics_per_host = {group.nics_per_host}"]
        if group.host is not None:
            lines.append(f"host = {_literal(group.host.id)}")
        changed = list(_overrides(group.accelerator, catalogue.get(group.accelerator.id)))
        if changed:
            lines += ["[group.accelerator_overrides]", *changed]
    return "\n".join(lines) + "\n"
