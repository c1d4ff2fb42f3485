"""What a row on several machines ran: machines, network, engine, format and split, from free text."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Final

import numpy as np

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import FarthingError
from farthing.evidence.names import accelerators_of, engine_of, model_of
from farthing.predict.parameters import total_parameters
from farthing.records.comparison import Case
from farthing.records.hardware import Cluster, Link
from farthing.records.model import Model
from farthing.units import GIB

_LINKS: Final = (
    (r"thunderbolt ?5.*rdma|tb5.*rdma|rdma.*tb5|exo rdma", "thunderbolt5-rdma"),
    (r"thunderbolt ?5|\btb5", "thunderbolt5"),
    (r"thunderbolt|\btb[34]", "thunderbolt4"),
    (r"localhost|loopback|local rpc", "host-memory"),
    (r"eu\+na|volunteer|swarm|internet|\bwan\b|untrusted cloud", "wan"),
    (r"\bvm\b|cloud|\bgcp|\baws", "25gbe"),
    (r"10 ?gbe|10 ?gbit", "10gbe"),
    (r"2\.5 ?gbe", "2.5gbe"),
    (r"\broce|connectx", "200g-roce"),
    (r"infiniband", "ib-hdr"),
    (r"usb4", "usb4"),
    (r"100 ?mb", "100mbe"),
)
"""Networks by what a row says of them; nothing said is taken for gigabit Ethernet."""

_BY_RATE: Final = {
    "ethernet": {0.1: "100mbe", 1.0: "1gbe", 2.5: "2.5gbe", 5.0: "5gbe", 10.0: "10gbe", 25.0: "25gbe"}
    | {rate: f"{rate:g}gbe" for rate in (40.0, 50.0, 100.0, 200.0, 400.0)},
    "roce": {rate: f"{rate:g}g-roce" for rate in (25.0, 50.0, 100.0, 200.0, 400.0)},
}
"""Links of a kind by their rate [Gbit/s]."""

_FORMATS: Final = (
    (r"\bq40\b", "q4_0"),
    (r"\bq80\b", "q8_0"),
    (r"\bq8\b", "q8_0"),
    (r"\bq4\b", "q4_k_m"),
    (r"\b(nf4)\b", "bnb-nf4"),
    (r"\bawq\b", "awq-int4"),
    (r"\bgptq\b", "gptq-int4"),
    (r"\bint4\b|\bw4a16\b", "w4a16"),
    (r"\bint8\b|8-bit", "int8"),
    (r"\bfp8\b", "fp8"),
    (r"\b([3468])[- ]?bit\b", r"mlx-\1bit"),
    (r"\bbf16\b", "bf16"),
    (r"\bfp?16\b", "fp16"),
)

BUILDS: Final = ((6829, 2694), (8832, 3500), (11474, 4569), (12943, 5133), (16276, 6605), (17116, 6987))
"""Threads of llama.cpp on GitHub, whose numbers grow with time as builds do, and the build of their day."""

FLASH_ATTENTION: Final = 3070
"""Build of June 2024; `llama.cpp-2024` is what came before."""

PETALS_FORMATS: Final = {"bloom": "bnb-int8", "": "bnb-nf4"}
"""What Petals stores a family in by default: 8 bits at first, NF4 since it serves LLaMA."""


def model_named(case: Case) -> Model:
    """The model of a row.

    Raises
    ------
    FarthingError
        None is named, or none that the catalogue has.
    """
    size = case.cells.get("params_b", "")
    id = case.cells.get("model_id", "") or model_of(
        case.cells.get("model", ""), float(size) if re.fullmatch(r"\d+(\.\d+)?", size) else 0.0
    )
    if not id or id not in catalog.models():
        raise FarthingError("the model is not in the catalogue")
    return catalog.models()[id]


def engine_named(case: Case) -> tuple[str, str]:
    """Id of the engine and its version; both may be empty."""
    cells = case.cells
    text = " ".join(cells.get(name, "") for name in ("source", "parallelism", "hardware", "url_or_repo_path"))
    text = text.replace("huggingface.co", "")
    engine = engine_of(text) or ("exo" if "exo" in text.lower() else "") or engine_of(cells.get("notes", ""))
    if engine == "llama.cpp":
        build = _build(cells.get("notes", ""), cells.get("source", ""))
        early = build and int(build) < FLASH_ATTENTION
        return "llama.cpp-2024" if early else engine, build
    version = re.search(r"\bv(\d+\.\d+)", cells.get("notes", ""))
    return engine or "", version[1] if version else _told_version(engine or "", cells.get("notes", ""))


def _build(notes: str, source: str) -> str:
    """The build of llama.cpp that a row ran: as it says, or that of the day when its thread was opened.

    Examples
    --------
    >>> _build("tg128, b7315", ""), _build("", "llama.cpp PR #6829"), _build("", "a blog")
    ('7315', '2694', '')
    """
    stated = re.search(r"\bb(\d{4,5})\b|\bbuild (\d{4,5})\b", notes)
    if stated:
        return stated[1] or stated[2]
    thread = re.search(r"llama\.cpp (?:pr|issue|discussion) #(\d+)", source.lower())
    if not thread:
        return ""
    return (
        f"{np.interp(float(thread[1]), [number for number, _ in BUILDS], [build for _, build in BUILDS]):.0f}"
    )


def _told_version(engine: str, notes: str) -> str:
    # The change that halved the traffic of the feed-forward came with 0.8.
    halved = re.search(r"halved mlp sync|'this pr'", notes.lower())
    return "0.8" if engine == "distributed-llama" and halved else ""


def weight_format(case: Case, model: Model, engine: str) -> str:
    """Id of the format that the weights were stored in.

    Raises
    ------
    FarthingError
        The row does not tell, and the engine has no usual one.
    """
    text = case.cells.get("quant", "").lower()
    if "not stated" in text or not text:
        if engine == "petals":
            family = next((name for name in PETALS_FORMATS if name and name in model.id), "")
            return PETALS_FORMATS[family]
        if engine in ("exo", "mlx"):
            return "mlx-4bit"
        if total_parameters(model) > 20e9:
            raise FarthingError("the quantisation is not stated")
        return "fp16"
    named = re.search(r"\b(iq\d_\w+|q\d_k_[sml]|q\d_k(?=_xl)|q\d_k|q\d_[01])(?:_xl)?\b", text)
    if named:
        known = [id for id in (f"{named[1]}-file", f"{named[1]}_m", named[1]) if id in catalog.formats()]
        if known:
            return known[0]
    for pattern, id in _FORMATS:
        found = re.search(pattern, text)
        if found:
            id = found.expand(id)
            if engine in ("exo", "mlx") and id in ("q4_k_m", "q8_0", "int8"):
                return "mlx-4bit" if id == "q4_k_m" else "mlx-8bit"
            return "bnb-int8" if (engine, id) == ("petals", "int8") else id
    raise FarthingError("the quantisation is not in the catalogue")


def repacked(model: Model, weights: str, engine: str) -> tuple[str, str]:
    """Formats of the routed experts and of the rest, where MLX keeps what the publisher quantised already.

    Examples
    --------
    >>> [repacked(catalog.model(id), "mlx-4bit", "exo") for id in ("kimi-k2.5", "kimi-k2")]
    [('mlx-4bit-g32', 'bf16'), ('mlx-4bit', '')]
    """
    if engine in ("exo", "mlx") and (weights, model.native_format) == ("mlx-4bit", "w4a16-g32"):
        return "mlx-4bit-g32", "bf16"
    return weights, ""


def network_of(case: Case) -> Link:
    """The network between the machines; gigabit Ethernet where nothing is said.

    Raises
    ------
    FarthingError
        A rate or a round trip that is no number.
    """
    cells = case.cells
    text = " ".join(cells.get(name, "") for name in ("hardware", "parallelism", "notes")).lower()
    rate, trip = _middle(cells.get("link_gbps", "")), _middle(cells.get("link_rtt_ms", ""))
    id = next((id for pattern, id in _LINKS if re.search(pattern, text)), "1gbe")
    if not math.isnan(rate) and id != "wan":
        known = _BY_RATE.get(catalog.link(id).kind, _BY_RATE["ethernet"])
        id = known[min(known, key=lambda one: abs(math.log(one / rate)))]
    link = catalog.link(id)
    if not math.isnan(rate):
        link = dataclasses.replace(link, id=f"{rate:g}gbit", bytes_per_s=rate * 0.125e9)
    if not math.isnan(trip):
        link = dataclasses.replace(link, id=f"{link.id}-{trip:g}ms", latency_s=trip / 2e3)
    return link


def _middle(text: str) -> float:
    """A number; the middle of ``100-1000`` (geometric), half of ``<5``; NaN of nothing.

    Examples
    --------
    >>> _middle("0.1-10"), _middle("<5"), _middle("~80")
    (1.0, 2.5, 80.0)
    """
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]
    if not numbers:
        return math.nan
    if min(numbers) <= 0:
        raise FarthingError("the network is not in the catalogue")
    middle = math.prod(numbers) ** (1 / len(numbers))
    return middle / 2 if text.strip().startswith("<") else middle


def machines_of(case: Case, model: Model) -> Cluster:
    """The machines of a row, each with its cards, on their network.

    Raises
    ------
    FarthingError
        The row does not name the hardware.
    """
    text, nodes = case.cells.get("hardware", ""), _nodes(case)
    named = accelerators_of(text)
    known = case.cells.get("accelerator_id", "")
    single = nodes == 1 or "loopback" in case.cells.get("parallelism", "").lower()
    if not named and not known:
        known = _mac(text, model, nodes)
    if len({id for _, id in named}) > 1 and not single:
        groups = [(count, 1, id) for count, id in named]
    else:
        cards = re.search(r"(?:hosts?|nodes?|servers?) x (\d+)", text)
        id = named[0][1] if named else known
        if re.search(r"no (part|gpu)\b", text.lower()):
            nodes -= 1
        groups = [(1 if single else nodes, int(cards[1]) if cards else 1, id)]
    parts = "+".join(f"{hosts}x{cards}:{id}" for hosts, cards, id in groups)
    cluster = parse_cluster(f"{parts}@1gbe")
    if nodes == 1 and not re.search(r"no (part|gpu)\b", text.lower()):
        return cluster if cluster.hosts > 1 else parse_cluster(parts)
    link = network_of(case)
    return dataclasses.replace(
        cluster,
        name=f"{parts}@{link.id}",
        network=link,
        groups=tuple(dataclasses.replace(group, network=None) for group in cluster.groups),
    )


def _nodes(case: Case) -> int:
    text = case.cells.get("n_nodes", "")
    if text.isdigit() and int(text) > 0:
        return int(text)
    counted = re.match(r"(\d+)x? ", case.cells.get("hardware", ""))
    if counted:
        return int(counted[1])
    servers = re.search(r"\((\d+) servers", case.cells.get("hardware", ""))
    if servers:
        return int(servers[1])
    raise FarthingError("the number of machines is not stated")


def _mac(text: str, model: Model, nodes: int) -> str:
    """Only the M3 Ultra was sold with 256 GB and more, and only with it do the largest models fit."""
    mac = re.search(r"\bmacs?\b|mac studio", text.lower())
    memory = max((int(found) for found in re.findall(r"\b(\d{2,3})(?= ?(?:gb|\+))", text.lower())), default=0)
    share = total_parameters(model) * 0.5625 / nodes / GIB
    if mac and (memory >= 256 or share > 110):
        return "m3-ultra"
    raise FarthingError("the hardware is not stated")
