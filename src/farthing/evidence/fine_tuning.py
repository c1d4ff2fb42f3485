"""Rows of fine-tuning, of encoders and of small models: each framework's habits where a row is silent."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Final

from farthing import api
from farthing.errors import InvalidInput
from farthing.evidence.outcome import number
from farthing.evidence.shown_memory import shown_bytes
from farthing.evidence.training_models import training_model
from farthing.evidence.training_rows import (
    FORMATS,
    Row,
    accelerator_of,
    cards_of,
    cluster_of,
    is_contest,
    plan_options,
    training_engine,
)
from farthing.predict.parameters import total_parameters
from farthing.records.comparison import Case
from farthing.records.estimate import TrainingEstimate
from farthing.records.hardware import Accelerator
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import Optimizer, TrainingWorkload
from farthing.units import GIB, GIGA

INSTRUCTION_TOKENS: Final = 128
"""Mean tokens of an example of Alpaca, prompt template included: the usual data of fine-tuning guides."""

WIKIPEDIA_TOKENS: Final = 256
"""Mean tokens of BERT's Wikipedia sequences of at most 512: half of such batches is padding (Krell et al.
2021, arXiv 2107.02027)."""

BIN_TOKENS: Final = 64
"""NVIDIA's loader fills a batch with sequences of one bin of lengths, and pads them to its end."""

ADAPTER_RANK: Final = 16

WEIGHTS_SHARE: Final = 0.4
"""Share of a card that frozen weights may fill before a recipe cuts them."""

LOW_BIT: Final = (
    (r"nf4-dq", "bnb-nf4"),
    (r"nf4", "bnb-nf4-single"),
    (r"int4", "gptq-int4"),
    (r"int8", "bnb-int8"),
    (r"q-?lora", "bnb-nf4"),
)
"""Formats of frozen weights by what the type or the method is called."""

EAGER: Final = ("hf-trainer", "litgpt", "torchtune", "pytorch-ddp", "nanogpt", "deepspeed", "llama-factory")
"""Engines of the PyTorch ecosystem that fine-tune with plain modules."""


def text_of(case: Case) -> str:
    """All that a row says in words, in lower case."""
    cells = case.cells
    return " ".join(cells.get(name, "") for name in ("model", "framework", "notes")).lower()


def engine_in(case: Case) -> str:
    """The engine; entries of contests run the vendors' versions of NeMo unless they say DeepSpeed."""
    framework = case.cells.get("framework", "").lower()
    if is_contest(case):
        return "deepspeed" if "deepspeed" in framework else "nemo"
    return training_engine(case)


def trains_adapters(case: Case) -> bool:
    """Whether only adapters are trained."""
    method = f"{case.cells.get('model', '')} {case.cells.get('framework', '')}".lower()
    return "lora" in method or "adapter" in method


def is_fine_tuning(case: Case) -> bool:
    """Whether a row trains adapters, or a model that was trained before."""
    words = r"finetun|fine-tun|full-parameter|\bsft\b"
    return trains_adapters(case) or bool(re.search(words, text_of(case) + case.source.lower()))


def is_small(case: Case) -> bool:
    """Whether a row trains an encoder or another model of less than a billion parameters on few cards."""
    name = case.cells.get("model_id", "") or case.cells.get("model", "").lower()
    return bool(re.search(r"bert|transformer-xl|electra", name)) or "nanogpt" in text_of(case)


def sequence_tokens_of(case: Case, model: Model) -> int:
    """Mean tokens of a sequence; unpacked instruction data are much shorter than their maximum."""
    text = text_of(case)
    if model.encoder and "pre-training" in text and "nvidia" in case.source.lower():
        stated = number(case, "seq_len")
        if stated >= 2 * WIKIPEDIA_TOKENS:
            return WIKIPEDIA_TOKENS + BIN_TOKENS // 2
    if "unpacked" in text.split("cumulative step")[0] or re.search(r'step "baseline"', text):
        return INSTRUCTION_TOKENS
    stated = number(case, "seq_len")
    if stated > 0:
        return int(stated)
    if "alpaca" in text or "average sequence length not given" in text:
        return INSTRUCTION_TOKENS
    raise InvalidInput("the length of the sequences is not known")


def counted_tokens(case: Case, row: Row) -> float:
    """Tokens of a step as the source counts them: encoders' padding counts where it is left out."""
    stated = number(case, "seq_len")
    real = row.workload.sequence_tokens
    each = stated if row.model.encoder and stated > real else real
    return row.workload.global_batch_size * each


def longest_tokens_of(case: Case, usual: int) -> int:
    """Tokens of the longest sequence, which sets the memory."""
    found = re.search(r"longest sample ([0-9]+) tokens", text_of(case))
    return int(found.group(1)) if found else usual


def micro_batches_of(case: Case, dp: int, micro_batch: int) -> int:
    """Micro-batches of one measured step on one card."""
    batch = number(case, "global_batch")
    if batch > 0:
        return max(round(batch / (dp * micro_batch)), 1)
    found = re.search(
        r"(?:gradient accumulation|grad(?:ient)?_?acc(?:um(?:ulation)?)?)[ =]+([0-9]+)", text_of(case)
    )
    return int(found.group(1)) if found else 1


ATTENTION_ONLY: Final = ("litgpt", "nemo")
"""Engines whose recipes put adapters beside the layers of attention alone."""

LADDER: Final = (
    "baseline",
    "+packed dataset",
    "+compile",
    "+chunked ce",
    "+activation checkpointing",
    "+optimizer in backward",
    "+activation offloading",
    "+8-bit adamw",
    "lora",
    "qlora",
)
"""torchtune's cumulative steps."""

UNCOMPILED: Final = ("baseline", "+packed dataset")
"""Steps of torchtune's ladder before it compiles."""


def chain_of(case: Case) -> str:
    """The steps of the ladder that a row has taken."""
    step = re.search(r'cumulative step "([^"]+)"', text_of(case))
    if step is None or step.group(1) not in LADDER:
        return ""
    return " ".join(LADDER[: LADDER.index(step.group(1)) + 1])


def is_compiled(case: Case) -> bool:
    """Whether a compiler fused the kernels."""
    text = text_of(case)
    step = re.search(r'cumulative step "([^"]+)"', text)
    if step:
        return step.group(1) not in UNCOMPILED
    return "compile" in text and "before torch.compile" not in text


def weight_format_of(case: Case, compute: str) -> str:
    """Format of the stored weights."""
    dtype = case.cells.get("dtype", "").lower()
    method = f"{dtype} {case.cells.get('model', '').lower()}"
    for pattern, name in LOW_BIT:
        if re.search(pattern, method):
            return name
    if dtype in ("", "fp8") and trains_adapters(case) and compute == "fp8":
        # Frozen weights have no use for more bits than their products.
        return "fp8"
    # Mixed precision keeps a 16-bit copy of the weights; single precision has no other.
    return dtype if dtype in ("fp32", "tf32", "fp16") else "bf16"


def compute_format_of(case: Case, card: Accelerator) -> str:
    """Format of the products; NVIDIA's containers run fp32 on TF32 tensor cores where a card has them."""
    dtype = case.cells.get("dtype", "").lower()
    if dtype == "fp32" and re.search(r"nvidia|ngc|container", text_of(case)):
        return "tf32"
    if not dtype and is_contest(case) and engine_in(case) == "nemo" and card.year >= 2022:
        # Entries of contests use the fastest format that converges.
        return "fp8"
    return FORMATS.get(dtype, "bf16")


def optimizer_of(case: Case, engine: str) -> Optimizer:
    """Optimizer; torchtune trains in pure bf16, without fp32 copies."""
    named = f"{case.cells.get('optimizer', '')} {chain_of(case)}".lower()
    if "8-bit adam" in named or "adam8bit" in named or "adam-8bit" in named:
        return "adam-8bit"
    return "adam-bf16" if engine in ("torchtune", "litgpt") else "adam"


def recompute_of(case: Case, engine: str, cards: int) -> str:
    """As stated; where it is not, as the recipes of the framework have it."""
    stated = case.cells.get("recompute", "")
    if stated in ("none", "selective", "full"):
        return stated
    if engine in ("hf-trainer", "llama-factory", "deepspeed"):
        return "full"
    return "full" if engine == "litgpt" and cards > 1 else "selective"


def shards_weights(case: Case, engine: str, cards: int) -> bool:
    """Whether a recipe shards the weights: these on several cards, others where all weights are trained."""
    if engine in ("litgpt", "deepspeed", "torchtune"):
        return cards > 1
    return engine in ("hf-trainer", "llama-factory") and not trains_adapters(case)


def layout_of(
    case: Case, model: Model, card: Accelerator, cards: int, batch: float
) -> tuple[int, int, int, int]:
    """tp, pp, cp, dp; what is not stated follows from memory and batch."""
    stated = {name: int(number(case, name)) for name in ("tp", "pp", "cp") if number(case, name) > 0}
    if "tp" in stated or cards == 1 or engine_in(case) in EAGER:
        tp, pp, cp = stated.get("tp", 1), stated.get("pp", 1), stated.get("cp", 1)
    else:
        weights = _parameters(model) * (1.0 if compute_format_of(case, card) == "fp8" else 2.0)
        fitting = (size for size in (1, 2, 4, 8) if weights / size < WEIGHTS_SHARE * card.memory_bytes)
        tp, pp, cp = min(next(fitting, 8), cards), 1, 1
        if batch > 0:
            # More cards than sequences share each of them.
            dp = next(
                size for size in range(cards // tp, 0, -1) if cards // tp % size == 0 and batch % size == 0
            )
            cp = cards // tp // dp
    dp = cards // (tp * pp * cp)
    if not dp or tp * pp * cp * dp != cards:
        raise InvalidInput("the layout does not fill the cards")
    return tp, pp, cp, dp


@functools.lru_cache(maxsize=256)
def _parameters(model: Model) -> float:
    return float(total_parameters(model))


def fine_tuning_row(case: Case) -> Row:
    """What a row says, completed where it is silent.

    Raises
    ------
    FarthingError
        The row cannot be predicted; the message is the reason.
    """
    cells = case.cells
    model = training_model(cells)
    card = accelerator_of(cells)
    engine = engine_in(case)
    cards = cards_of(case)
    batch = number(case, "global_batch")
    tp, pp, cp, dp = layout_of(case, model, card, cards, batch)
    micro_batch = max(int(number(case, "micro_batch")), 1) if number(case, "micro_batch") > 0 else 1
    sequence = sequence_tokens_of(case, model)
    adapters = trains_adapters(case)
    options = plan_options(case, engine, card)
    if engine in EAGER:
        small = is_small(case)
        options["zero_stage"] = int(number(case, "zero_stage")) if number(case, "zero_stage") >= 0 else 0
        if not small and shards_weights(case, engine, cards):
            options["zero_stage"] = 3
        options["flash_attention"] = not small or engine == "nanogpt"
        options["recompute"] = "none" if small else recompute_of(case, engine, cards)
        if options["zero_stage"] == 3:
            # A host that issues kernels one by one does not run ahead to fetch weights early.
            options["overlap_data_parallel"] = 0.0
        if is_compiled(case):
            options["engine"] = ""
        options["gradient_format"] = "fp32" if cells.get("dtype", "") in ("fp32", "tf32") else "bf16"
    options["compute_format"] = compute_format_of(case, card)
    options["weight_format"] = weight_format_of(case, options["compute_format"])
    options["loss_chunks"] = 8 if "chunked ce" in chain_of(case) else 1
    vpp = int(number(case, "vpp")) if number(case, "vpp") > 1 and pp > 1 else 1
    plan = TrainingPlan(
        tp=tp,
        pp=pp,
        dp=dp,
        cp=cp,
        micro_batch_size=micro_batch,
        interleave=vpp,
        schedule="interleaved" if vpp > 1 else "1f1b",
        **options,
    )
    workload = TrainingWorkload(
        sequence_tokens=sequence,
        global_batch_size=micro_batches_of(case, dp, micro_batch) * dp * micro_batch,
        training_tokens=max(number(case, "tokens_total"), 0.0) if cells.get("tokens_total") else 0.0,
        optimizer=optimizer_of(case, engine),
        lora_rank=ADAPTER_RANK if adapters else 0,
        lora_targets="attention" if adapters and engine in ATTENTION_ONLY else "all",
        memory_tokens=sequence if model.position == "relative" else 0,
    )
    return Row(model=model, cluster=cluster_of(case, cards), workload=workload, plan=plan, stated=True)


def memory_gib(case: Case, row: Row, estimate: TrainingEstimate) -> float:
    """Memory of a card as the source counts it, with its longest sequences [GiB]."""
    tokens = longest_tokens_of(case, row.workload.sequence_tokens)
    if tokens != row.workload.sequence_tokens:
        longest = dataclasses.replace(row.workload, sequence_tokens=tokens)
        estimate = api.train(row.model, row.cluster, workload=longest, plan=row.plan)
    engine = engine_in(case)
    total = shown_bytes(case, row, engine, estimate)
    if engine == "litgpt" and row.plan.zero_stage == 3:
        # Each card holds the whole model beside its share of it while it starts.
        whole = 2.0 * _parameters(row.model)
        total = max(total, whole * (1 + 1 / estimate.accelerators))
    # Lightning prints decimal gigabytes.
    total /= GIGA if engine == "litgpt" else GIB
    measured = number(case, "mem_gb_per_gpu")
    # More than a card holds is the memory of all cards.
    shared = engine in EAGER and measured * GIB > estimate.memory.capacity_bytes
    return total * (estimate.accelerators if shared else 1)
