"""Published runs, and clusters of which only the size is known, as runs to simulate."""

from __future__ import annotations

from typing import Final

from farthing.catalog.fault_presets import fault_preset
from farthing.predict.memory import optimizer_bytes_per_parameter
from farthing.predict.parameters import total_parameters
from farthing.predict.reliability import checkpoint_bytes
from farthing.records.fault_preset import FaultPreset, PublishedCause
from farthing.records.fault_rates import FaultRates
from farthing.records.fault_run import FaultCause, Strikes
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.units import YEAR, format_seconds

COUNTED: Final = "llama-3-405b"
"""The preset whose counts stand in for parts of which nothing else is known."""

GROUPS: Final[dict[Strikes, str]] = {
    "card": "card",
    "host": "host without its cards",
    "rack": "rack: switch, power, cooling",
    "link": "NIC, cable or switch port",
    "job": "software",
}
"""What a cause is called that stands for all that strike the same."""

RATED: Final[dict[Strikes, str]] = {kind: f"{kind}_mtbf_s" for kind in GROUPS}
"""Field of `FaultRates` that says how often each fails."""


def parts_of(cluster: Cluster, strikes: Strikes, hosts_per_rack: int) -> int:
    """How many of what a failure strikes there are: a link for each card, and software on each host.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> cluster = parse_cluster("256x8:h100-sxm@ib-ndr")
    >>> [parts_of(cluster, kind, 2) for kind in ("card", "host", "rack", "link", "job")]
    [2048, 256, 128, 2048, 256]
    """
    counts = {"card": cluster.count, "link": cluster.count, "rack": -(-cluster.hosts // hosts_per_rack)}
    return counts.get(strikes, cluster.hosts)


def hosts_struck(cluster: Cluster, strikes: Strikes, hosts_per_rack: int) -> int:
    """Hosts that a failure usually takes away until they are repaired."""
    return {"card": 1, "host": 1, "rack": min(hosts_per_rack, cluster.hosts)}.get(strikes, 0)


def stored_bytes_of(model: Model) -> float:
    """Size of a checkpoint of all parameters with Adam's states [byte]."""
    return float(checkpoint_bytes(total_parameters(model), 2.0 + optimizer_bytes_per_parameter("adam")))


def published_causes(preset: FaultPreset, counted_on: Cluster, run_on: Cluster) -> tuple[FaultCause, ...]:
    """A preset's causes on a cluster: every part fails as often as it did where they were counted."""
    found = []
    for one in preset.causes:
        out = (
            one.hosts_out if one.hosts_out >= 0 else hosts_struck(run_on, one.strikes, preset.hosts_per_rack)
        )
        found.append(
            FaultCause(
                name=one.name,
                strikes=one.strikes,
                fault_parts=parts_of(run_on, one.strikes, preset.hosts_per_rack),
                part_mtbf_s=_part_mtbf_s(preset, one, counted_on),
                hosts_out=out,
                repair_s=(one.repair_s or preset.repair_s) if out else 0.0,
                memory_survives=one.strikes != "rack",
                basis=preset.source,
            )
        )
    return tuple(found)


def _part_mtbf_s(preset: FaultPreset, cause: PublishedCause, cluster: Cluster) -> float:
    if cause.part_mtbf_s:
        return cause.part_mtbf_s
    return parts_of(cluster, cause.strikes, preset.hosts_per_rack) * preset.duration_s / cause.events


def usual_causes(counted_on: Cluster, cluster: Cluster, rates: FaultRates) -> tuple[FaultCause, ...]:
    """Cards, hosts, links and software that fail as often as those of LLaMA 3's run, one cause each."""
    preset = fault_preset(COUNTED)
    found = []
    for kind in ("card", "host", "link", "job"):
        failures = sum(
            1 / _part_mtbf_s(preset, one, counted_on) for one in preset.causes if one.strikes == kind
        )
        found.append(stated_cause(cluster, kind, 1 / failures, rates, basis=preset.source))
    return tuple(found)


def stated_cause(
    cluster: Cluster, strikes: Strikes, mtbf_s: float, rates: FaultRates, *, basis: str
) -> FaultCause:
    """All parts of a kind, each with a mean life [s]."""
    out = hosts_struck(cluster, strikes, rates.hosts_per_rack)
    return FaultCause(
        name=GROUPS[strikes],
        strikes=strikes,
        fault_parts=parts_of(cluster, strikes, rates.hosts_per_rack),
        part_mtbf_s=mtbf_s,
        hosts_out=out,
        repair_s=rates.repair_s if out else 0.0,
        memory_survives=strikes != "rack",
        basis=basis,
    )


def mean_life(seconds: float) -> str:
    """A mean life as people say it.

    Examples
    --------
    >>> mean_life(9 * 365 * 86400.0), mean_life(30 * 86400.0)
    ('9.0 years', '30.0 days')
    """
    return f"{seconds / YEAR:,.1f} years" if seconds >= 2 * YEAR else format_seconds(seconds)
