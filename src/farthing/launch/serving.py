"""What commands of all serving engines need: servers, their cards, layers of the stages, the model's path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from farthing import catalog
from farthing.launch.commands import Flag, command_line
from farthing.launch.hosts import Share, shares, visible, where
from farthing.predict.placement import weighted_layers
from farthing.predict.stages import even_layers
from farthing.records.hardware import Cluster
from farthing.records.launch import LaunchCommand
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

PORT = 8000
LISTED = 8
"""So many servers are written out; more are told as a rule."""

SIXTEEN_BITS = {"bf16", "fp16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One instance of an engine.

    Attributes
    ----------
    number
        Of the instance, from 0.
    cards
        Its shares of hosts, the first holds the front.
    """

    number: int
    cards: tuple[Share, ...]

    @property
    def alike(self) -> bool:
        """Whether each host gives it as many cards."""
        return len({share.cards for share in self.cards}) == 1


def joined_replicas(model: Model, plan: InferencePlan) -> int:
    """Replicas that share experts, and so belong to one server.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> mixtral = model("mixtral-8x7b")
    >>> joined_replicas(mixtral, InferencePlan(tp=1, dp=8, ep=8))
    8
    >>> joined_replicas(mixtral, InferencePlan(tp=8, dp=4, ep=8))
    1
    """
    return plan.dp if model.is_moe and plan.ep > plan.tp else 1


def servers(cluster: Cluster, plan: InferencePlan, joined: int) -> tuple[Server, ...]:
    """Instances of ``joined`` replicas each, on the cluster's cards in order.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> found = servers(parse_cluster("2x8:h100-sxm@ib-ndr"), InferencePlan(tp=4, dp=4), 1)
    >>> [(s.number, s.cards[0].host, s.cards[0].first) for s in found]
    [(0, 1, 0), (1, 1, 4), (2, 2, 0), (3, 2, 4)]
    """
    each = plan.tp * plan.pp * joined
    return tuple(
        Server(number=number, cards=shares(cluster, each, skip=number * each))
        for number in range(plan.dp // joined)
    )


def straddling(found: tuple[Server, ...]) -> list[str]:
    """Servers that share hosts though none of them fits into one."""
    over = [server for server in found if len(server.cards) > 1 and not all(s.whole for s in server.cards)]
    if len(found) == 1 or not over:
        return []
    each = sum(share.cards for share in over[0].cards)
    return [
        f"Replicas of {each} cards begin in the middle of a host and end in the next: choose tp x pp so that "
        "it divides the cards of a host or is a multiple of them, or use llama.cpp"
    ]


def stage_layers(model: Model, cluster: Cluster, plan: InferencePlan) -> tuple[int, ...]:
    """Layers of each stage; over unlike cards that the plan leaves open, by memory bandwidth.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> stage_layers(model("llama-2-70b"), parse_cluster("1x2:rtx-4090+1x1:m2-ultra@10gbe"),
    ...              InferencePlan(pp=3))
    (29, 28, 23)
    """
    if plan.stage_layers:
        return plan.stage_layers
    if len(cluster.groups) == 1:
        return even_layers(model.layers, plan.pp)
    cards = [share for share in shares(cluster, plan.tp * plan.pp) for _ in range(share.cards // plan.tp)]
    speeds = [share.accelerator.memory_bytes_per_s for share in cards]
    if len(speeds) != plan.pp:
        return even_layers(model.layers, plan.pp)
    return weighted_layers(model.layers, speeds, [model.layers] * plan.pp)


def split_note(model: Model, cluster: Cluster, plan: InferencePlan) -> list[str]:
    """Says where the layers of unlike cards come from."""
    if plan.stage_layers or len(cluster.groups) == 1 or plan.pp == 1:
        return []
    return [
        "The plan leaves the layers of each stage open: they are given in proportion to memory bandwidth, "
        "whatever fits; --stage-layers sets them."
    ]


def model_path(model: Model, placeholder: str = "MODEL") -> str:
    """The id on the hub, where the shape was read from it; else a placeholder.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> model_path(model("llama-2-70b"))
    'meta-llama/Llama-2-70b-hf'
    """
    hub = f"huggingface.co/{model.name}"
    if model.name.count("/") == 1 and model.source.startswith((hub + "/", hub + " ", hub + ";")):
        return model.name
    if model.source == hub:
        return model.name
    return placeholder


def path_note(model: Model, placeholder: str = "MODEL") -> list[str]:
    """What to put for the placeholder of the model, where there is one."""
    if model_path(model, placeholder) != placeholder:
        return []
    return [f"{placeholder} stands for the folder or the hub id of {model.id}."]


def published_in(model: Model, weights: str) -> bool:
    """Whether the published checkpoint holds its weights so, and says so to an engine.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> published_in(model("deepseek-v3"), "fp8-block"), published_in(model("llama-2-70b"), "fp8")
    (True, False)
    """
    # The catalogue's fp8 of a checkpoint stands for scales of any granularity.
    return bool(model.native_format) and weights.removesuffix("-block") == model.native_format


def sequences(workload: InferenceWorkload, plan: InferencePlan, replicas: int) -> int:
    """Sequences at a time on so many of the plan's replicas.

    Examples
    --------
    >>> sequences(InferenceWorkload(batch_size=100), InferencePlan(dp=3), 1)
    34
    """
    return int(-(-workload.batch_size * replicas // plan.dp))


def vendor_misfit(engine: str, cluster: Cluster, instead: str) -> list[str]:
    """Cards that the engine does not run on."""
    known = catalog.engine(engine)
    unknown = sorted(
        {g.accelerator.vendor for g in cluster.groups if g.accelerator.vendor not in known.vendors}
    )
    return [f"{known.name} does not run on {vendor} accelerators: {instead}" for vendor in unknown]


def mixed_misfit(name: str, cluster: Cluster) -> list[str]:
    """Unlike cards under one model."""
    if not cluster.is_mixed:
        return []
    kinds = sorted({group.accelerator.id for group in cluster.groups})
    return [
        f"{name} gives every card of a model the same share, and the slowest of {', '.join(kinds)} sets the "
        "pace: a server for each kind of card, or llama.cpp, which weighs unlike cards"
    ]


def commands_on_hosts(
    found: tuple[Server, ...], cluster: Cluster, program: list[str], flags: Iterable[Flag], **variables: str
) -> list[LaunchCommand]:
    """Commands of servers that lie within a host each: like ones of several hosts are one command.

    The port counts up with the server's place in its host.
    """
    flags = list(flags)
    places: dict[tuple[int, tuple[tuple[str, str], ...]], list[int]] = {}
    for server in found:
        share = server.cards[0]
        key = (share.first // share.cards, tuple(visible(share).items()))
        places.setdefault(key, []).append(share.host)
    return [
        LaunchCommand(
            where=where(hosts, cluster.hosts),
            text=command_line(program, [*flags, ("--port", str(PORT + place))], dict(shown) | variables),
        )
        for (place, shown), hosts in places.items()
    ]


def replicas_note(found: tuple[Server, ...], replicas: int) -> list[str]:
    """How several servers become one service, and which are not written out."""
    if len(found) == 1:
        return []
    notes = [
        f"{len(found)} servers of {replicas} replica{'s' if replicas > 1 else ''} each: put a load balancer "
        "in front of them."
    ]
    inside = all(len(server.cards) == 1 for server in found)
    if len(found) > LISTED and not inside:
        first = found[0].cards
        notes.append(
            f"Commands of the first {LISTED} servers are shown; the others are alike, on the next "
            f"{len(first)} hosts each."
        )
    return notes
