"""What a training row says: cluster, workload, plan; and what its framework does where the row is silent."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.evidence import names
from farthing.evidence.bridges import bridged
from farthing.evidence.outcome import number
from farthing.evidence.training_layout import fitting_plan, fitting_recompute, model_parallel_of
from farthing.evidence.training_models import training_model
from farthing.records.comparison import Case
from farthing.records.hardware import Accelerator, Cluster
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

NETWORKS: Final = {"ampere": "ib-hdr", "volta": "ib-edr", "hopper": "ib-ndr", "blackwell": "ib-ndr"}
"""What hosts of such cards are usually joined by; one port a card."""

FORMATS: Final = {
    "bf16": "bf16",
    "fp16": "fp16",
    "fp32": "fp32",
    "tf32": "tf32",
    "fp8": "fp8",
    "mxfp8": "fp8",
    "nvfp4": "nvfp4",
}


WHOLE_RUN_CARDS: Final = 1024
"""Cards of a run whose number is not told: their hours depend little on it."""

WHOLE_RUN_BATCH_TOKENS: Final = 4e6
"""Tokens of a step of such a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A training row that was understood.

    Attributes
    ----------
    stated
        Whether the row itself gives the shape, the batch and the whole layout.
    micro_batch_stated
        Whether it gives the micro-batch.
    """

    model: Model
    cluster: Cluster
    workload: TrainingWorkload
    plan: TrainingPlan
    stated: bool
    micro_batch_stated: bool = True


def is_contest(case: Case) -> bool:
    """Whether a row is an entry of a contest: it prints the time to a given quality, and is tuned for it."""
    return bool(re.search(r"time-to-train|division (?:closed|open)", case.cells.get("notes", "").lower()))


def training_engine(case: Case) -> str:
    """The catalogue's engine of a row; empty where it is none in particular."""
    framework = case.cells.get("framework", "")
    if is_contest(case) and re.search(r"nvidia|ngc|nemo|cuda|dgl|hugectr", framework.lower()):
        # Language models of entries on its software run on its Megatron.
        return "nemo"
    return names.engine_of(framework, "training") or ""


def accelerator_of(cells: Mapping[str, str]) -> Accelerator:
    """The card of a row; raises `InvalidInput` where it is none of the catalogue's."""
    name = cells.get("accelerator_id", "") or names.accelerator_of(cells.get("gpu", ""))
    if not name:
        raise InvalidInput("the accelerator is not known")
    return catalog.accelerator(name)


def cards_of(case: Case) -> int:
    """Cards of a run: as stated, or as its layout needs, or one host."""
    stated = number(case, "n_gpus")
    if stated > 0:
        return int(stated)
    return WHOLE_RUN_CARDS if number(case, "gpu_hours") > 0 or number(case, "mfu") > 0 else 8


def cluster_of(case: Case, cards: int) -> Cluster:
    """Hosts of the stated size, joined as stated or as is usual for the card."""
    card = accelerator_of(case.cells)
    stated = number(case, "gpus_per_node")
    each = min(int(stated) if stated > 0 else 8, cards)
    if cards % each:
        each = next(size for size in range(each, 0, -1) if cards % size == 0)
    network = network_of(case.cells.get("interconnect_inter", ""), card, each)
    return bridged(_cluster(cards // each, each, card.id, network), case.cells.get("interconnect_intra", ""))


@functools.lru_cache(maxsize=4096)
def _cluster(hosts: int, each: int, card: str, network: str) -> Cluster:
    return parse_cluster(f"{hosts}x{each}:{card}" + (f"@{network}" if hosts > 1 else ""))


def network_of(text: str, card: Accelerator, cards: int) -> str:
    """The network between hosts, as a cluster's text names it.

    Examples
    --------
    >>> network_of("RoCE 1600 Gbps/node", catalog.accelerator("a100-sxm-80gb"), 8)
    '4x400g-roce'
    """
    lowered = text.lower()
    if "omni-path" in lowered:
        # Four ports a host of eight cards.
        return f"{max(cards // 2, 1)}x100g-roce"
    node = re.search(r"([0-9]+) gbps/node", lowered)
    if node and int(node.group(1)) % 100 == 0:
        total = int(node.group(1))
        for rate in (400, 200, 100):
            if total % rate == 0 and total // rate <= cards:
                return f"{total // rate}x{rate}g-roce"
    port = re.search(r"(?:^|compute: ?)([0-9]+)x [^,;]*?(100|200|400|800) ?gb", lowered)
    if port and int(port.group(1)) >= max(cards // 2, 1):
        return f"{port.group(1)}x{port.group(2)}g-roce"
    if card.architecture in NETWORKS:
        return NETWORKS[card.architecture]
    return "400g-roce" if card.year >= 2023 else "100g-roce" if card.kind == "gpu" else "200g-roce"


def lora_rank_of(case: Case) -> int:
    """Rank of the adapters that a row trains; 0 where it trains every weight."""
    text = f"{case.cells.get('model', '')} {case.cells.get('framework', '')}".lower()
    return 16 if "lora" in text else 0


def uses_flash_attention(engine: str, card: Accelerator) -> bool:
    """Megatron trained without it until Hopper; of its forks those of that time never had it."""
    return not (is_early(engine, card) or (engine in ("hf-trainer", "nemo") and card.year <= 2021))


def recompute_of(case: Case) -> str:
    """As stated; where nothing is stated, nothing is recomputed but what flash attention recomputes."""
    stated = case.cells.get("recompute", "")
    if stated in ("none", "selective", "full"):
        return stated
    if training_engine(case) in ("torchtitan", "pytorch-fsdp", "fms-fsdp"):
        return "none"
    return "full" if training_engine(case) in ("megatron-deepspeed", "gpt-neox") else "selective"


def recompute_options(case: Case, engine: str) -> dict[str, Any]:
    """What is recomputed: PyTorch calls it selective where every second layer, or product, is.

    Of torchtitan's two ways the one by operation is what its configurations of models choose.
    """
    word = recompute_of(case)
    if word == "selective" and engine == "torchtitan":
        return {"recompute": "operations"}
    if word == "selective" and engine in ("pytorch-fsdp", "fms-fsdp"):
        return {"recompute": "full", "recompute_share": 0.5}
    return {"recompute": word}


def is_early(engine: str, card: Accelerator) -> bool:
    """Whether a run is of Megatron's first years: no sequence parallelism, no sharded optimizer."""
    return engine in ("megatron-deepspeed", "gpt-neox") or (engine == "megatron-lm" and card.year <= 2021)


def zero_stage_of(case: Case, engine: str, card: Accelerator) -> int:
    """As stated; else FSDP's frameworks shard all, the others the optimizer."""
    stated = number(case, "zero_stage")
    if stated == 3 and number(case, "pp") > 1:
        # FSDP keeps the weights of a pipeline's stage gathered, and reduces gradients at the end.
        return 1
    if stated >= 0:
        return int(stated)
    if engine == "megatron-lm" and is_early(engine, card):
        return 0
    # MaxText shards all over `fsdp` unless told otherwise (ici_fsdp_parallelism in its base.yml).
    return 3 if engine in ("llm-foundry", "torchtitan", "pytorch-fsdp", "fms-fsdp", "maxtext") else 1


def compute_format_of(case: Case, card: Accelerator) -> str:
    """As stated; entries of contests take 8 bits where card and framework have them."""
    dtype = case.cells.get("dtype", "").lower()
    if not dtype and card.fp8_flop_per_s and is_contest(case):
        return "bf16" if "pytorch 1." in case.cells.get("framework", "").lower() else "fp8"
    return FORMATS.get(dtype, "bf16")


def overlaps_tensor_parallel(case: Case, engine: str, card: Accelerator) -> bool:
    """NeMo does since the middle of 2023; others where they say so."""
    notes = case.cells.get("notes", "").lower()
    said = re.search(r"async ?-?tp", notes)
    # A release's date, or that of a round of a contest: 3.0 closed in May 2023.
    release = r"(?:\b|ngc)(?:2[0-2]\.[01][0-9]|23\.0[1-7])|training_results_v(?:[0-2]\.|3\.0)"
    dated = (case.cells.get("framework", ""), notes, case.cells.get("url_or_repo_path", ""))
    early = re.search(release, " ".join(dated))
    return bool(said) or (engine == "nemo" and card.year > 2021 and not early)


def interleave_of(case: Case, model: Model, pp: int) -> int:
    """As stated; entries of contests give each virtual stage two layers where they fit."""
    stated = number(case, "vpp")
    if pp == 1 or stated > 0:
        return int(stated) if pp > 1 else 1
    if not is_contest(case) or model.layers % pp:
        return 1
    each = model.layers // pp
    return each // 2 if each % 2 == 0 else 1


def plan_options(case: Case, engine: str, card: Accelerator) -> dict[str, Any]:
    """Everything of the plan but its sizes."""
    fp32_gradients = engine in ("megatron-lm", "megatron-deepspeed", "gpt-neox")
    if engine in ("megatron-deepspeed", "gpt-neox") and case.cells.get("dtype", "").lower() == "fp16":
        # DeepSpeed scales the loss there and accumulates in 16 bits.
        fp32_gradients = False
    stated = case.cells.get("sequence_parallel", "").lower()
    return {
        "engine": engine,
        "sequence_parallel": stated == "true" if stated else not is_early(engine, card),
        "zero_stage": zero_stage_of(case, engine, card),
        **recompute_options(case, engine),
        "flash_attention": uses_flash_attention(engine, card),
        "compute_format": compute_format_of(case, card),
        "weight_format": "fp8" if engine == "nemo" and compute_format_of(case, card) == "fp8" else "bf16",
        "gradient_format": "fp32" if fp32_gradients else "bf16",
        "overlap_tensor_parallel": float(overlaps_tensor_parallel(case, engine, card)),
        # The first Megatrons reduced gradients after the last backward pass.
        "overlap_data_parallel": 0.0 if is_early(engine, card) else 1.0,
    }


def training_row(case: Case) -> Row:
    """What a row says, completed where it is silent.

    Raises
    ------
    FarthingError
        The row cannot be predicted; the message is the reason.
    """
    cells = case.cells
    model = training_model(cells)
    card = accelerator_of(cells)
    engine = training_engine(case)
    cards = cards_of(case)
    sizes = {
        name: int(number(case, name))
        for name in ("tp", "pp", "cp", "ep", "micro_batch")
        if number(case, name) > 0
    }
    cluster = cluster_of(case, cards)
    options = plan_options(case, engine, card)
    local = local_batch_of(case) if sizes.get("pp", 1) == 1 else 0
    if local:
        sizes.setdefault("micro_batch", local)
    sequence = int(number(case, "seq_len")) if number(case, "seq_len") > 0 else min(model.max_context, 4096)
    if "tp" in sizes and "pp" in sizes:
        plan, batch = stated_plan(case, model, cards, sizes, options)
        workload = workload_of(case, model, sequence, batch)
        if local and not cells.get("recompute"):
            plan = fitting_recompute(model, cluster, workload, plan)
    else:
        workload = workload_of(case, model, sequence, batch_of(case, cards, sequence))
        given = tuple(sizes.items())
        plan = fitting_plan(
            model,
            cluster,
            workload,
            tuple(options.items()),
            given=given,
            model_parallel=model_parallel_of(case),
        )
    needed = (
        "n_gpus",
        *(("ep",) if model.is_moe else ()),
        "tp",
        "pp",
        "micro_batch",
        "global_batch",
        "seq_len",
    )
    shaped = cells.get("model_id") or (cells.get("layers") and cells.get("hidden"))
    stated = bool(shaped) and all(cells.get(name) for name in needed)
    return Row(
        model=model,
        cluster=cluster,
        workload=workload,
        plan=plan,
        stated=stated,
        micro_batch_stated="micro_batch" in sizes,
    )


def local_batch_of(case: Case) -> int:
    """Sequences that each replica takes at once, where the notes say so and nothing accumulates; else 0."""
    found = re.search(
        r"(?:batch size per dp|local batch(?: size)?) ([0-9]+)", case.cells.get("notes", "").lower()
    )
    return int(found.group(1)) if found else 0


PREDICTORS: Final = (("deepseek-v3", 1), ("glm-5", 1), ("nemotron-3-super", 2), ("nemotron-3-ultra", 2))
"""Layers of multi-token prediction that Megatron-Bridge trains with a model (its recipes, mtp_num_layers)."""


def predictors_of(case: Case, model: Model, engine: str) -> int:
    """Layers of multi-token prediction: as the engine's recipes have them, unless a row leaves them out."""
    if engine != "nemo" or "w/o mtp" in case.cells.get("model", "").lower():
        return 0
    return next((count for name, count in PREDICTORS if model.id.startswith(name)), 0)


def workload_of(case: Case, model: Model, sequence: int, batch: int) -> TrainingWorkload:
    """What is trained."""
    tokens = number(case, "tokens_total")
    return TrainingWorkload(
        sequence_tokens=sequence,
        global_batch_size=batch,
        training_tokens=tokens if tokens > 0 else 0.0,
        lora_rank=lora_rank_of(case),
        predictors=predictors_of(case, model, training_engine(case)),
    )


def batch_of(case: Case, cards: int, sequence: int) -> int:
    """As stated; whole runs of large models take about four million tokens a step."""
    stated = number(case, "global_batch")
    if stated > 0:
        return int(stated)
    return max(round(WHOLE_RUN_BATCH_TOKENS / sequence / cards), 1) * cards


def stated_plan(
    case: Case, model: Model, cards: int, sizes: Mapping[str, int], options: Mapping[str, Any]
) -> tuple[TrainingPlan, int]:
    """The plan of such a row, and the sequences of a step: four micro-batches a stage by default."""
    tp, pp, cp = sizes["tp"], sizes["pp"], sizes.get("cp", 1)
    dp = cards // (tp * pp * cp)
    if not dp or tp * pp * cp * dp != cards:
        raise InvalidInput("the layout does not fill the cards")
    micro_batch = sizes.get("micro_batch", 1)
    stated = number(case, "global_batch")
    batch = int(stated) if stated > 0 else dp * micro_batch * (4 * pp if pp > 1 else 1)
    micro_batch = min(micro_batch, max(batch, 1))
    while micro_batch > 1 and batch % (dp * micro_batch):
        micro_batch -= 1
    # A batch that the cards cannot share is taken as the nearest that they can.
    batch = max(round(batch / (dp * micro_batch)), 1) * dp * micro_batch if batch >= dp else batch
    interleave = interleave_of(case, model, pp)
    if batch // (dp * micro_batch) % pp:
        interleave = 1
    ep = sizes.get("ep") or (min(cards, 8) if model.is_moe and cards * tp % 8 == 0 else 1)
    plan = TrainingPlan(
        tp=tp,
        pp=pp,
        dp=dp,
        cp=cp,
        ep=ep if model.is_moe else 1,
        expert_tp=1 if model.is_moe and ep > 1 else 0,
        micro_batch_size=micro_batch,
        schedule="interleaved" if interleave > 1 else "1f1b",
        interleave=interleave,
        **options,
    )
    return plan, batch
