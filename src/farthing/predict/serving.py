"""What users wait for when a constant number of them keeps an engine busy: first and further tokens.

Each user sends the next request when the last one is answered (a closed loop). Prompts are read between the
decode steps of the others (continuous batching), or by cards of their own (disaggregated).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.predict.trace import Number, formula

_ROUNDS: Final = 3
"""Repetitions of a fixed point; each moves the result by less than a fifth of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What the users of a closed loop see, on average; scalar or column.

    Attributes
    ----------
    ttft_s
        From sending a request to its first token [s].
    tpot_s
        Between the tokens after the first [s].
    decoding
        Sequences in a decode step.
    requests_per_s
        Answered by all that was asked about: one replica, or the whole disaggregated deployment.
    """

    ttft_s: Number
    tpot_s: Number
    decoding: Number
    requests_per_s: Number


@formula(reference="agrawal-2024-sarathi")
def interference_s(
    prefill_s: Number, others: Number, *, output_tokens: Number, waiting_share: Number
) -> Number:
    """What the prompts of the other users add to each token.

    While one user's answer is written, each of the others sends one prompt. A share of these was read before
    the answer began; the rest holds it up.

    Parameters
    ----------
    prefill_s
        Reading one prompt [s], scalar or column.
    others
        Users beside this one.
    output_tokens
        Of an answer.
    waiting_share
        Share of the others' prompts that a request waits for before its first token.

    Returns
    -------
    Number
        [s]

    References
    ----------
    agrawal-2024-sarathi, yu-2022-orca

    Examples
    --------
    >>> round(interference_s(0.1, 63, output_tokens=631, waiting_share=0.0), 3)
    0.01
    """
    return (1 - waiting_share) * np.maximum(others, 0.0) * prefill_s / np.maximum(output_tokens - 1, 1)


@formula(reference="reiser-1980")
def queue_time_s(service_s: Number, away_s: Number, *, users: Number, servers: Number = 1) -> Number:
    """Time at a station that a fixed number of users visits in turn, its service included.

    Approximate mean value analysis: an arriving user finds what the others leave there on average. Several
    servers count as one that is as many times faster, after a delay (Seidmann).

    Parameters
    ----------
    service_s
        One visit on one server [s], scalar or column.
    away_s
        Between two visits of a user [s].
    users, servers
        Counts.

    Returns
    -------
    Number
        [s], at least ``service_s``; ``users x service / servers - away`` where the station is never idle.

    References
    ----------
    reiser-1980

    Examples
    --------
    >>> queue_time_s(1.0, 100.0, users=1), round(queue_time_s(1.0, 20.0, users=200), 1)
    (1.0, 180.1)
    """
    quick = service_s / servers
    delay = service_s - quick
    excess = away_s + delay - quick * users
    return delay + (np.sqrt(excess**2 + 4 * quick * (away_s + delay)) - excess) / 2


def continuous_batching(
    decode_s: Callable[[Number], Number],
    prefill_s: Number,
    *,
    users: Number,
    slots: Number,
    output_tokens: Number,
    waiting_share: Number,
    request_s: Number = 0.0,
    step_tokens: Number = 1.0,
    poll_steps: Number = 1,
    shared_prefill_s: Number | None = None,
) -> Serving:
    """A replica that reads prompts between the decode steps of the others.

    A request waits for half of the steps between two looks at the queue, for a share of the others' prompts,
    and for its own. Users beyond the slots queue for a whole answer of those before them.

    Parameters
    ----------
    decode_s
        Decode step [s] of a number of sequences.
    prefill_s
        Reading one prompt [s], scalar or column.
    users
        Of this replica.
    slots
        Sequences whose keys and values find room.
    output_tokens
        Of an answer.
    waiting_share
        Share of the others' prompts that a request waits for: small where prompts join the running batch,
        larger where they go before it, half where all requests start at once.
    request_s
        Host time before the first pass [s].
    step_tokens
        That a step adds to each answer: more than one where drafted tokens are accepted.
    poll_steps
        Decode steps between two looks at the queue of requests; with one, those wait for the step under way.
    shared_prefill_s
        What a prompt of the others takes of passes that it shares, or of stages that work on several [s];
        without it as long as alone.

    Returns
    -------
    Serving

    References
    ----------
    yu-2022-orca, agrawal-2024-sarathi

    Examples
    --------
    64 users, a step of 10 ms and 50 us a sequence, prompts of 20 ms:

    >>> load = continuous_batching(lambda n: 0.010 + 50e-6 * n, 0.020, users=64, slots=1000,
    ...                            output_tokens=512, waiting_share=0.1)
    >>> round(load.ttft_s * 1e3), round(load.tpot_s * 1e3, 1), round(load.decoding, 1)
    (153, 15.4, 62.8)
    """
    served = np.minimum(users, slots)
    each = prefill_s if shared_prefill_s is None else np.minimum(shared_prefill_s, prefill_s)
    waited = prefill_s + each * waiting_share * np.maximum(served - 1, 0.0) + request_s
    disturbed = interference_s(each, served - 1, output_tokens=output_tokens, waiting_share=waiting_share)
    decoding = served
    for _ in range(_ROUNDS):
        step = decode_s(decoding)
        answer = (step / step_tokens + disturbed) * np.maximum(output_tokens - 1, 1)
        noticed = poll_steps * step / 2
        decoding = np.maximum(served * answer / (answer + waited + noticed), np.minimum(served, 1.0))
    ttft = waited + noticed
    queued = (users - served) / served * (ttft + answer)
    return Serving(
        ttft_s=ttft + queued,
        tpot_s=step / step_tokens + disturbed,
        decoding=decoding,
        requests_per_s=served / (ttft + answer),
    )


def disaggregated(
    decode_s: Callable[[Number], Number],
    prefill_s: Number,
    *,
    users: Number,
    prefill_places: Number,
    decode_places: Number,
    slots: Number,
    output_tokens: Number,
    burst_share: Number,
    transfer_s: Number = 0.0,
    request_s: Number = 0.0,
    step_tokens: Number = 1.0,
    shared_prefill_s: Number | None = None,
) -> Serving:
    """Prompts read by workers of their own, which hand keys and values on to the workers that decode.

    The first token comes out of the decode worker's first step, after the transfer. Where prompts come
    faster than they are read, users gather before the prefill workers and decode steps run half empty.

    Parameters
    ----------
    decode_s
        Decode step [s] of a number of sequences of one place.
    prefill_s
        Reading one prompt at one place [s], scalar or column.
    users
        Of the whole deployment.
    prefill_places, decode_places
        Places that each work alone: workers times their data-parallel ranks.
    slots
        Sequences whose keys and values find room at one decode place.
    burst_share
        Share of the time in which the prompts of all users are read, that one waits for.
    output_tokens, request_s, step_tokens
        As in `continuous_batching`.
    shared_prefill_s
        What a prompt takes of a pass that it shares with as many as the engine puts into one [s]; without it
        as long as alone.
    transfer_s
        Handing over the keys and values of one prompt [s].

    Returns
    -------
    Serving

    References
    ----------
    zhong-2024-distserve, reiser-1980

    Examples
    --------
    >>> load = disaggregated(lambda n: 0.010 + 50e-6 * n, 0.100, users=256, prefill_places=4,
    ...                      decode_places=8, slots=1000, output_tokens=1001, burst_share=0.1)
    >>> round(load.ttft_s, 2), round(load.tpot_s * 1e3, 1), round(load.decoding, 1)
    (0.75, 11.5, 30.0)
    """
    room = slots * decode_places
    # Those who wait are read together, which spares reading the weights for each.
    service_s = prefill_s if shared_prefill_s is None else np.minimum(shared_prefill_s, prefill_s)
    # The loop starts with a burst, whose echoes outlast steady queues unless these never empty.
    burst = burst_share * np.maximum(users - 1, 0.0) * service_s / prefill_places
    decoding = np.minimum(users, room) / decode_places
    for _ in range(_ROUNDS):
        step = decode_s(np.maximum(decoding, np.minimum(users / decode_places, 1.0)))
        answer = step / step_tokens * np.maximum(output_tokens - 1, 1)
        handed = request_s + transfer_s + step
        steady = queue_time_s(service_s, answer + handed, users=users, servers=prefill_places)
        queue = np.maximum(steady, service_s + burst)
        ttft = queue + (prefill_s - service_s) + handed
        decoding = np.minimum(users * answer / (answer + ttft), room) / decode_places
    beyond = np.maximum(users * answer / (answer + ttft) - room, 0.0)
    ttft = ttft + beyond / room * answer
    return Serving(
        ttft_s=ttft,
        tpot_s=step / step_tokens,
        decoding=decoding,
        requests_per_s=users / (ttft + answer),
    )
