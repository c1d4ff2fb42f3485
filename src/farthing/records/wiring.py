"""How an engine joins machines: who talks to whom, and in what numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Exchange = Literal["peers", "mesh", "root", "slices"]
Hops = Literal["direct", "client", "relay", "remote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How an engine joins the cards and hosts that share a model.

    Attributes
    ----------
    id
        Engine; ``@`` and a version names the last one that worked so.
    exchange
        Sums over tensor-parallel cards: ``peers`` by the better of ring and tree; ``mesh`` each sends its
        part to all others; ``root`` all send theirs to one, which sends the sum back; ``slices`` the same,
        where the root also gathers queries, keys, values and gates, and keeps the cache.
    exchange_bits
        Of one exchanged element [bit].
    head_on_root
        The logits are computed on the first card alone.
    hops
        Between pipeline stages: ``direct`` from stage to stage, and the token back to the first; ``client``
        the same, from and to a client outside, which computes the logits; ``relay`` each answer returns to
        the first machine, which sends it on, and in the end the logits do; ``remote`` the same with a first
        machine that has no stage of its own.
    graph_bytes
        Description of a layer's work that goes to each remote stage in every step [byte].
    source
        Where it is from.
    """

    id: str
    exchange: Exchange = "peers"
    exchange_bits: float = 16.0
    head_on_root: bool = False
    hops: Hops = "direct"
    graph_bytes: float = 0.0
    source: str = ""


PEERS: Final = Wiring(id="", source="collectives as NCCL does them")
"""No engine in particular."""
