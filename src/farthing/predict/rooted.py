"""Exchanges through one machine: a root that gathers and hands out, a client outside the pipeline."""

from __future__ import annotations

from typing import Final

from farthing.predict.fabric import SMALL_HOST_MEMORY_BYTES_PER_S
from farthing.predict.trace import Number, formula, select
from farthing.records.model import LayerKind, Model

CLIENT_MEMORY_SHARE: Final = 0.75
"""Share of its memory bandwidth at which a client's processor reads the head: that of any processor."""


def rooted_elements(model: Model, kind: LayerKind, workers: Number, *, slices: bool = False) -> Number:
    """Numbers that pass between a root and one of its workers in a layer, for each token, both ways.

    The input and the partial sum of attention and feed-forward, ``4 h``; with ``slices`` the inputs of three
    regions and the other machines' gates go out, and slices of queries, keys, values, gates and both outputs
    come back: ``3 h + f (n-1)/n + (q + 2 k + 2 h + f) / n``.

    Parameters
    ----------
    model, kind
        Records.
    workers
        Machines without the root, scalar or column.
    slices
        The root keeps the cache and computes attention itself.

    Returns
    -------
    Number
        Elements.

    References
    ----------
    tadych-2024

    Examples
    --------
    1112 kB a token for LLaMA-2 7B on two machines, 1.0625 byte an element.

    >>> from farthing.catalog import model
    >>> llama = model("llama-2-7b")
    >>> elements = rooted_elements(llama, llama.layer_kinds[0], 1, slices=True)
    >>> round(elements * 32 * 1.0625 / 1024)
    1114
    """
    exchanges = 1 if "none" in (kind.mixer, kind.feed_forward) else 2
    if not slices:
        return 2.0 * exchanges * model.hidden + 0 * workers
    nodes = workers + 1
    queries = model.heads * model.head_dim
    keys = model.kv_heads * model.head_dim
    back = (queries + 2 * keys + 2 * model.hidden + model.ffn_hidden) / nodes
    return 3 * model.hidden + model.ffn_hidden * workers / nodes + back


@formula(reference="tadych-2024")
def rooted_time_s(
    message_bytes: Number, workers: Number, *, bytes_per_s: Number, latency_s: Number, steps: Number
) -> Number:
    """Exchange between a root and its workers: all messages pass its one port, one direction at a time.

    Parameters
    ----------
    message_bytes
        To and from one worker [byte], scalar or column.
    workers
        Machines without the root.
    bytes_per_s, latency_s
        Of the root's port [byte/s], of a message [s].
    steps
        Gathers and broadcasts, each waiting for the one before.

    Returns
    -------
    Number
        [s]; 0 without workers.

    References
    ----------
    tadych-2024

    Examples
    --------
    >>> round(rooted_time_s(8704, 3, bytes_per_s=117.6e6, latency_s=62.5e-6, steps=2) * 1e6)
    347
    """
    return select(workers > 0, workers * message_bytes / bytes_per_s + steps * latency_s, 0.0)


@formula(reference="tadych-2024")
def mesh_time_s(message_bytes: Number, ranks: Number, *, bytes_per_s: Number, latency_s: Number) -> Number:
    """All-reduce where each machine sends its whole part to every other one at once.

    Parameters
    ----------
    message_bytes
        Of one part [byte], scalar or column.
    ranks
        Machines.
    bytes_per_s, latency_s
        [byte/s], [s]

    Returns
    -------
    Number
        [s]; one step, but n - 1 times the message each way.

    References
    ----------
    tadych-2024

    Examples
    --------
    >>> round(mesh_time_s(2176, 4, bytes_per_s=117.6e6, latency_s=62.5e-6) * 1e6)
    118
    """
    return (ranks - 1) * message_bytes / bytes_per_s + select(ranks > 1, 1.0, 0.0) * latency_s


@formula(reference="borzunov-2023")
def client_head_time_s(vocabulary: Number, hidden: Number) -> Number:
    """Logits on a client's processor: its desktop memory hands over the head in 16 bits.

    Parameters
    ----------
    vocabulary, hidden
        Of the model.

    Returns
    -------
    Number
        [s]

    References
    ----------
    borzunov-2023

    Examples
    --------
    >>> round(client_head_time_s(250880, 14336), 3)
    0.125
    """
    return vocabulary * hidden * 2.0 / (SMALL_HOST_MEMORY_BYTES_PER_S * CLIENT_MEMORY_SHARE)
