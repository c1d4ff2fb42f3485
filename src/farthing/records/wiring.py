"""How an engine joins machines: who talks to whom, and in what numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Exchange = Literal["peers", "mesh", "root", "slices"]
Hops = Literal["direct", "client", "relay", "remote"]
LayersBy = Literal["speed", "memory"]


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
    whole_head
        The head is not cut: the first card, or each one for itself, computes all logits.
    hops
        Between pipeline stages: ``direct`` from stage to stage, and the token back to the first; ``client``
        the same, from and to a client outside, which computes the logits; ``relay`` each answer returns to
        the first machine, which sends it on; ``remote`` the same with a first machine that has no stage of
        its own, so that the logits return to it.
    hop_bits
        Of one element of the activations that a stage hands on to another host [bit].
    tensor_bytes
        Description of one tensor of a layer's graph, which goes to its remote stage in every step [byte].
    mask_rows
        Rows, at least, of the mask of attention that each remote stage is sent in every step.
    answered_calls
        Calls to each remote stage in every step that wait for an answer, beside the hop there and back.
    logits_return
        The last stage is a remote one, whose logits go to the first machine.
    layers_by
        What unlike cards get layers in proportion to: ``speed`` or ``memory``.
    source
        Where it is from.
    """

    id: str
    exchange: Exchange = "peers"
    exchange_bits: float = 16.0
    whole_head: bool = False
    hops: Hops = "direct"
    hop_bits: float = 16.0
    tensor_bytes: float = 0.0
    mask_rows: int = 0
    answered_calls: int = 0
    logits_return: bool = False
    layers_by: LayersBy = "speed"
    source: str = ""

    @property
    def cuts_across_hosts(self) -> bool:
        """Whether cards of several hosts can share one layer: not where one host hands out whole stages.

        Examples
        --------
        >>> Wiring(id="").cuts_across_hosts, Wiring(id="llama.cpp", hops="relay").cuts_across_hosts
        (True, False)
        """
        return self.hops == "direct"


PEERS: Final = Wiring(id="", source="collectives as NCCL does them")
"""No engine in particular."""
