"""A plan of two kinds of workers, as texts spell it: on the command line, on the page, in a call."""

from __future__ import annotations

import re
from typing import Any, Final

from farthing.errors import InvalidInput, UnknownName
from farthing.records.hardware import Cluster
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool
from farthing.units import parse_tokens

SIDES: Final = ("prefill", "decode")

_SHORT: Final = {"weights": "weight_format", "kv": "kv_format"}
_NUMBERS: Final = ("tp", "pp", "dp", "ep", "micro_batches", "chunk_tokens")
_WORDS: Final = ("weight_format", "kv_format", "compute_format", "dense_format", "engine")
_OWN: Final = ("tp", "pp", "dp", "ep", "micro_batches", "stage_layers")
"""Fields of a plan that each side has of its own."""

_POOL: Final = re.compile(r"\s*(\d{1,7})\s*x\s*(\d{1,7})\s*(?::\s*(\S+)\s*)?\Z", re.ASCII)


def disaggregated_plan(
    options: dict[str, Any], cluster: Cluster, weight_format: str
) -> DisaggregatedPlan | None:
    """The plan of ``--prefill`` and ``--decode``, which are taken out of the options; None without them.

    Formats and the engine that are given for the whole plan count for both sides.

    Parameters
    ----------
    options
        Among which are ``prefill`` and ``decode``, such as ``tp=2,dp=2``, and perhaps ``prefill_pool`` and
        ``decode_pool``, such as ``1x4``.
    cluster
        Whose cards the sides take.
    weight_format
        Of both sides, where nothing else is said; empty for the default.
    """
    texts = {side: options.pop(side, None) for side in SIDES}
    pools = {side: options.pop(f"{side}_pool", None) for side in SIDES}
    if not any(texts.values()):
        for side in SIDES:
            if pools[side]:
                raise InvalidInput(f"--{side}-pool goes with --prefill and --decode; give the splits of both")
        return None
    for side, other in (SIDES, SIDES[::-1]):
        if not texts[side]:
            raise InvalidInput(f"--{other} needs --{side} beside it, e.g. --{side} tp=4")
    for field in _OWN:
        if field in options:
            name = field.replace("_", "-")
            raise InvalidInput(f"--{name} is of one kind of replicas: give it inside --prefill and --decode")
    both = {name: options.pop(name) for name in (*_WORDS, "overlap_communication") if name in options}
    if weight_format:
        both.setdefault("weight_format", weight_format)
    plans = {side: InferencePlan(**(both | _fields(side, texts[side]))) for side in SIDES}
    found = {
        side: _pool(side, pools[side], cluster) if pools[side] else _needed(side, plans[side], cluster)
        for side in SIDES
    }
    return DisaggregatedPlan(
        prefill=plans["prefill"],
        decode=plans["decode"],
        prefill_pool=found["prefill"],
        decode_pool=found["decode"],
    )


def _fields(side: str, text: str) -> dict[str, Any]:
    """``FIELD=VALUE`` with commas."""
    found: dict[str, Any] = {}
    for part in text.split(","):
        field, sign, value = (word.strip() for word in part.partition("="))
        if not (sign and field and value):
            raise InvalidInput(f"--{side} {part.strip()!r} is not FIELD=VALUE; write e.g. --{side} tp=2,dp=2")
        name = _SHORT.get(field.lower(), field.lower().replace("-", "_"))
        if name in found:
            raise InvalidInput(f"--{side} says {field} twice; give it once")
        if name in _WORDS:
            found[name] = value
        elif name in _NUMBERS:
            found[name] = _whole(side, field, value)
        else:
            known = (*_NUMBERS, *_SHORT, *_WORDS)
            raise UnknownName(f"field of --{side}", field, known, f"one of {', '.join(known)}")
    return found


def _whole(side: str, field: str, text: str) -> int:
    try:
        number = parse_tokens(text)
    except InvalidInput:
        number = 0.5
    if not number.is_integer() or not 0 <= number <= 1e9:
        raise InvalidInput(f"--{side} {field}={text[:40]} is not a whole number; write it like {field}=2")
    return int(number)


def _pool(side: str, text: str, cluster: Cluster) -> Pool:
    """``HOSTSxCARDS``, with the accelerator where the cluster has several."""
    match = _POOL.match(text)
    if match is None:
        raise InvalidInput(f"--{side}-pool {text!r} is not HOSTSxCARDS; write it like 1x4 or 2x8:h100-sxm")
    hosts, cards, name = match.groups()
    ids = [group.accelerator.id for group in cluster.groups]
    group = 0
    if name:
        if name.lower() not in ids:
            raise UnknownName(f"accelerator of {cluster.name}", name, ids, f"one of {', '.join(ids)}")
        group = ids.index(name.lower())
    if not (int(hosts) and int(cards)):
        raise InvalidInput(f"--{side}-pool {text!r} has no cards; give at least 1x1")
    return Pool(group=group, hosts=int(hosts), accelerators_per_host=int(cards))


def _needed(side: str, plan: InferencePlan, cluster: Cluster) -> Pool:
    """As many cards as the workers of a side take, of the first group or, to decode, the last one."""
    place = 0 if side == "prefill" else len(cluster.groups) - 1
    room = cluster.groups[place].accelerators_per_host
    cards = plan.tp * plan.pp * plan.dp
    if cards <= room:
        return Pool(group=place, hosts=1, accelerators_per_host=cards)
    if cards % room:
        raise InvalidInput(
            f"--{side} takes {cards} cards, which are no whole hosts of {room}: say which with --{side}-pool"
        )
    return Pool(group=place, hosts=cards // room, accelerators_per_host=room)
