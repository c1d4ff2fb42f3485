"""What a row of online serving describes: model, cards, formats, engine, workers and users."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from farthing import catalog
from farthing.errors import FarthingError
from farthing.evidence import names
from farthing.evidence.outcome import number
from farthing.evidence.published_setups import setups_of
from farthing.evidence.workers import Workers
from farthing.records.comparison import Case
from farthing.records.plan import InferencePlan

ENGINES: Final = {
    "trtllm": "tensorrt-llm",
    "tensorrt-llm": "tensorrt-llm",
    "sglang": "sglang",
    "vllm": "vllm",
}
FORMATS: Final = {
    "nvfp4": "nvfp4",
    "fp4": "nvfp4",
    "fp8": "fp8",
    "fp8_static": "fp8",
    "fp8_block": "fp8-block",
    "int4": "w4a16-g32",
    "int4_wo": "w4a16-g32",
    "int8_wo": "w8a16",
    "mxfp4": "mxfp4",
    "w4a16_mxfp4": "mxfp4",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "": "bf16",
}
"""Names of weight formats in the tables, and the catalogue's; an empty cell is the checkpoint's 16 bits."""

RACK: Final = 72
"""Cards that one NVLink switch joins in GB200 and GB300 racks; other hosts hold eight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A row in the catalogue's terms; without ``prefill`` the workers of ``decode`` do both.

    ``decode_batch`` is the most sequences that a place decodes at a time, 0 where only memory limits them;
    ``poll_steps`` are the steps between two looks at the queue of requests.
    """

    model: str
    card: str
    engine: str
    weight_format: str
    kv_format: str
    users: int
    prompt: int
    output: int
    prefill: Workers | None
    decode: Workers
    draft_tokens: int = 0
    decode_batch: int = 0
    poll_steps: int = 1

    def plan(self, workers: Workers) -> InferencePlan:
        """The plan of one worker."""
        return InferencePlan(
            tp=workers.tp,
            dp=workers.dp,
            ep=workers.ep,
            weight_format=self.weight_format,
            kv_format=self.kv_format,
            engine=self.engine,
        )

    def cluster(self, workers: Workers) -> str:
        """The cards of one worker."""
        room = RACK if self.card.startswith("gb") else 8
        hosts = -(-workers.cards // room)
        network = "@ib-ndr" if hosts > 1 else ""
        return f"{hosts}x{min(workers.cards, room)}:{self.card}{network}"


def deployment_of(case: Case) -> Deployment:
    """The deployment of a row that can have been only one.

    Raises
    ------
    FarthingError
        As `deployments_of`, and where there were several.
    """
    found = deployments_of(case)
    if len(found) > 1:
        raise FarthingError(unknown(found))
    return found[0]


def unknown(setups: Sequence[Deployment]) -> str:
    """What a row does not say that tells these apart."""
    if len({one.draft_tokens for one in setups}) > 1:
        return "the row does not say whether tokens were drafted, and both were run"
    return "the row does not say how many workers there are, and several numbers were run"


def deployments_of(case: Case) -> list[Deployment]:
    """The deployments that a row can have been: one, where it or what was published says enough.

    Raises
    ------
    FarthingError
        Where the row says too little, or what cannot be planned.
    """
    cells = case.cells
    engine = ENGINES.get(cells.get("backend", "").lower())
    model = cells.get("model_id") or names.model_of(cells.get("model_path", ""))
    card = cells.get("accelerator_id") or names.accelerator_of(cells.get("system", ""))
    if engine is None:
        raise FarthingError("the engine is not in the catalogue")
    if not model or model not in catalog.models():
        raise FarthingError("the model is not in the catalogue")
    if not card or card not in catalog.accelerators():
        raise FarthingError("the accelerator is not in the catalogue")
    weights = weight_format(cells, model)
    return [
        Deployment(
            model=model,
            card=card,
            engine=engine,
            weight_format=weights,
            kv_format="fp16" if catalog.number_format(weights).bits > 8.5 else "fp8",
            users=users_of(case, decode),
            prompt=_whole(case, "isl", 0),
            output=_whole(case, "osl", 0),
            prefill=prefill,
            decode=decode,
            draft_tokens=draft_tokens,
            decode_batch=decode_batch,
            poll_steps=poll_steps,
        )
        for prefill, decode, draft_tokens, decode_batch, poll_steps in _ways(case, model)
    ]


_Way = tuple[Workers | None, Workers, int, int, int]


def _ways(case: Case, model: str) -> Sequence[_Way]:
    """Workers that read prompts and that decode, draft tokens, sequences at a time and steps between polls.

    As the row states, else as published.
    """
    apart = case.cells.get("mode", "agg") != "agg"
    decode = workers_of(case, "decode_" if apart else "")
    prefill = workers_of(case, "prefill_") if apart else None
    known = setups_of(case.cells, model)
    # The database and its excerpts are of runs without drafts.
    plain = re.search("config_id=|gap-analysis", case.cells.get("silicon_data_source", ""))
    if (plain and not apart) or (prefill and prefill.count and decode.count):
        same = {
            (one.decode_batch, one.poll_steps)
            for one in known
            if (one.decode, one.draft_tokens) == (decode, 0)
        }
        batch, poll_steps = same.pop() if len(same) == 1 else (0, 1)
        return [(prefill, decode, 0, batch, poll_steps)]
    if any(one.draft_tokens is None for one in known):
        raise FarthingError("how many tokens were drafted is not published")
    if apart or any(one.prefill for one in known):
        if not known:
            raise FarthingError("the row does not say how many workers there are")
        ways = (
            (one.prefill, one.decode, one.draft_tokens or 0, one.decode_batch, one.poll_steps)
            for one in known
        )
        return list(dict.fromkeys(ways))
    # The row states the split; the published set-ups add what it does not say.
    near = [one for one in known if one.decode.cards == decode.cards]
    near = [one for one in near if one.decode == decode] or near
    ways = ((None, decode, one.draft_tokens or 0, 0, one.poll_steps) for one in near)
    return list(dict.fromkeys(ways)) or [(None, decode, 0, 0, 1)]


def weight_format(cells: Mapping[str, str], model: str) -> str:
    """The catalogue's id of the weights' format; gpt-oss exists with MXFP4 experts only.

    Examples
    --------
    >>> [weight_format({"precision": name}, "deepseek-v3") for name in ("fp4", "fp8")]
    ['nvfp4', 'fp8-block']
    >>> weight_format({"precision": "fp4"}, "gpt-oss-120b"), weight_format({"precision": ""}, "qwen3-32b")
    ('mxfp4', 'bf16')
    """
    if catalog.model(model).native_format == "mxfp4":
        return "mxfp4"
    name = cells.get("gemm_quant_mode") or cells.get("precision", "")
    if name not in FORMATS:
        raise FarthingError("the weights' format is not in the catalogue")
    found = FORMATS[name]
    # Published 8-bit checkpoints of mixtures have a scale for each block.
    return "fp8-block" if found == "fp8" and catalog.model(model).is_moe else found


def users_of(case: Case, decode: Workers) -> int:
    """Requests in flight: stated, or the batch of all ranks."""
    stated = re.search(r"concurrency=(\d+)", case.cells.get("silicon_data_source", ""))
    if stated:
        return int(stated[1])
    if case.cells.get("mode", "agg") != "agg":
        return _whole(case, "decode_batch_size", 0) * max(decode.count, 1) * decode.dp
    return _whole(case, "batch_size", 0) * decode.dp


def workers_of(case: Case, role: str) -> Workers:
    """Workers from the columns that begin with ``role``.

    Some rows print a product where a size belongs: ``tp`` or ``attention_dp`` as tensor times expert parallel
    size of the experts. Such a worker has as many cards as the experts are cut over.
    """
    if _whole(case, f"{role}pp_size", 1) > 1:
        raise FarthingError("pipeline stages are not planned in online serving")
    tp, dp = _whole(case, f"{role}tp_size", 1), _whole(case, f"{role}attention_dp_size", 1)
    expert_tp, ep = _whole(case, f"{role}moe_tp_size", 1), _whole(case, f"{role}moe_ep_size", 1)
    stated = bool(case.cells.get(f"{role}attention_dp_size", ""))
    if not role and stated and expert_tp == ep > 1 and tp * dp == expert_tp * ep:
        tp, dp = (ep, 1) if dp == 1 else (1, ep)
    elif not role and stated and tp == dp > 1 and ep == tp * dp:
        dp = 1
    cards = tp * dp
    count = _whole(case, f"{role}num_workers", 0) if role else 1
    return Workers(count=count, tp=tp, dp=dp, ep=cards if ep > 1 or dp > 1 else 1)


def _whole(case: Case, column: str, default: int) -> int:
    value = number(case, column)
    return default if value != value or value < 1 else int(value)
