"""What a row of consumer hardware's measurements ran: model, cards, engine and split."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Final

from farthing import catalog
from farthing.catalog.cluster import find_cluster
from farthing.errors import FarthingError
from farthing.evidence import names
from farthing.evidence.bridges import bridged
from farthing.evidence.outcome import number
from farthing.records.comparison import Case
from farthing.records.hardware import Accelerator, Cluster
from farthing.records.model import Model

_MODELS: Final = (
    ("nvila-8b", "qwen2-7b"),
    ("nvila-2b", "qwen2-1.5b"),
    ("vila-7b", "llama-2-7b"),
    ("vila-13b", "llama-2-13b"),
    ("vila1.5-3b", "sheared-llama-2.7b"),
    ("vila1.5-13b", "llama-2-13b"),
    ("vila1.5-40b", "yi-34b"),
    ("bonsai-8b", "qwen3-8b"),
)
"""Language models inside others, and what tuned ones are made of."""

_MIXED: Final = ("+ xeon", "+ cpu", "hybrid", "offload")


def model_of(case: Case) -> Model:
    """The model of a row: the catalogue's id, or the longest name that the text holds.

    Raises
    ------
    FarthingError
        None is named.
    """
    text = case.cells.get("model", "")
    id = case.cells.get("model_id", "") or next((id for word, id in _MODELS if word in text.lower()), "")
    size = number(case, "params_b")
    id = id or names.model_of(text.partition("-00001-of-")[0], size if size > 0 else 0.0) or ""
    if id not in catalog.models():
        raise FarthingError("the model is not in the catalogue")
    return catalog.models()[id]


def card_of(case: Case) -> Accelerator:
    """The accelerator of a row, slowed by the power limit that the notes state.

    Raises
    ------
    FarthingError
        None is named, or a processor and cards share the work.
    """
    text = case.cells.get("gpu", "").lower()
    split = case.cells.get("parallelism", "").lower()
    if any(word in text or word in split for word in _MIXED):
        raise FarthingError("the processor and the cards share the work")
    id = case.cells.get("accelerator_id", "") or names.accelerator_of(text) or ""
    if id not in catalog.accelerators():
        raise FarthingError("the accelerator is not in the catalogue")
    card = catalog.accelerators()[id]
    limit = re.search(r"power limit (\d+)", case.cells.get("notes", ""))
    card = power_limited(card, float(limit.group(1))) if limit else card
    threads = re.search(r"(?<!\d)(\d+) threads", case.cells.get("notes", ""))
    if threads and card.kind == "cpu":
        card = fewer_cores(card, int(threads.group(1)))
    return card


CORE_BYTES_PER_S: Final = 40e9
"""Memory bandwidth that one core of a desktop processor draws alone; an assumption."""
INTEGER_PRODUCTS: Final = 7676
"""Pull request of llama.cpp that brought integer products on tensor cores to its CUDA backend (June 2024)."""
COOPERATIVE_MATRICES: Final = 10597
"""Pull request of llama.cpp that brought matrix units to its Vulkan backend (December 2024)."""
MEMORY_POWER_SHARE: Final = 0.3
"""Share of a card's power limit that graphics memory and the board draw whatever the clock; an assumption."""

_RATES: Final = tuple(
    field.name for field in dataclasses.fields(Accelerator) if field.name.endswith(("flop_per_s", "op_per_s"))
)


@functools.lru_cache(maxsize=256)
def power_limited(card: Accelerator, watts: float) -> Accelerator:
    """A card under a lower power limit: clocks go with the cube root of the power that memory leaves.

    Dynamic power is the clock times the square of the voltage, which falls with the clock. The units that
    issue reads run at that clock too, so that memory-bound work slows as well.
    """
    if not MEMORY_POWER_SHARE * card.tdp_w < watts < card.tdp_w:
        return card
    share = ((watts / card.tdp_w - MEMORY_POWER_SHARE) / (1 - MEMORY_POWER_SHARE)) ** (1 / 3)
    names = (*_RATES, "memory_bytes_per_s")
    return dataclasses.replace(card, **{name: getattr(card, name) * share for name in names})


@functools.lru_cache(maxsize=256)
def fewer_cores(card: Accelerator, threads: int) -> Accelerator:
    """A processor of which some cores work: less arithmetic, no more reads than these have in flight.

    Systems give threads the fast cores first.
    """
    if not 0 < threads < card.compute_units:
        return card
    share = _units(card, threads) / _units(card, card.compute_units)
    return dataclasses.replace(
        card,
        compute_units=threads,
        memory_bytes_per_s=min(card.memory_bytes_per_s, threads * CORE_BYTES_PER_S),
        **{name: getattr(card, name) * share for name in _RATES},
    )


def _units(card: Accelerator, threads: int) -> float:
    """What as many threads compute, in fast cores."""
    fast = min(threads, card.fast_units)
    return fast + (threads - fast) * card.slow_unit_speed


def engine_of(case: Case, card: Accelerator) -> str:
    """Id of the engine.

    Raises
    ------
    FarthingError
        An engine that the catalogue does not have, or whose way of working is not modelled.
    """
    text = case.cells.get("engine", "").lower()
    if "powerinfer" in text:
        raise FarthingError("sparse neurons on the processor are not modelled")
    if "petals" in text or "ktransformers" in text:
        raise FarthingError("the processor or volunteers' machines share the work")
    if "opencl" in text:
        raise FarthingError("the OpenCL backend is not modelled")
    for id in ("exllamav3", "exllamav2", "tinychat", "vllm", "sglang", "ollama", "mlc-llm"):
        if id in text:
            return id
    if "mlx" in text:
        return "mlx"
    if "ik_llama" in text:
        return "ik_llama.cpp"
    if "llama" in text:
        dated = f"{text} {case.source.lower()}"
        pull = re.search(r"llama\.cpp pr #(\d+)", dated)
        if "vulkan" in text:
            # A pull request's number says more than the month.
            month = re.search(r"20(?:23|24)|jan\w* 2025", dated)
            old = int(pull[1]) < COOPERATIVE_MATRICES if pull else month
            return "llama.cpp-vulkan-2024" if old else "llama.cpp-vulkan"
        early = int(pull[1]) < INTEGER_PRODUCTS if pull else _early(dated)
        return "llama.cpp-2024" if early else "llama.cpp"
    if known := names.engine_of(text):
        return known
    if re.match(r"i?q\d_|gguf", case.cells.get("quant", "").lower()):
        # Its own formats: other programs that read them wrap its kernels.
        return "llama.cpp"
    raise FarthingError("the engine is not in the catalogue" if text else "the engine is not stated")


def _early(text: str) -> bool:
    """Whether a date in a text lies before June 2024: no flash attention, no integer products of prompts."""
    return re.search(r"(?:jan|feb|mar|apr|may)\w* 2024|(?<!\d)2023", text) is not None


@dataclasses.dataclass(frozen=True, slots=True)
class Split:
    """How many cards share a model, and how."""

    tp: int
    pp: int
    dp: int


def split_of(case: Case, engine: str, model_bytes: float, card: Accelerator) -> Split:
    """The split of a row.

    llama.cpp cuts by layers unless told otherwise; a row over an unknown number of nodes takes the fewest
    that hold the weights.
    """
    text = case.cells.get("parallelism", "").lower()
    cards = number(case, "n_gpus")
    if "rpc" in text and not cards > 0:
        return Split(1, max(2, -int(-model_bytes // (0.9 * card.memory_bytes))), 1)
    count = int(cards) if cards > 0 else 1
    sizes = {name: int(size) for name, size in re.findall(r"\b(tp|pp|dp)(\d+)", text)}
    copies = re.search(r"(\d+) instances", text)
    dp = sizes.get("dp", int(copies.group(1)) if copies else 1)
    if "llama.cpp" in engine or not sizes:
        by_layer = "llama.cpp" in engine and count > 1 and card.kind != "cpu"
        return Split(1, count, 1) if by_layer else Split(count if card.kind != "cpu" else 1, 1, 1)
    return Split(sizes.get("tp", 1), sizes.get("pp", 1), dp)


def cluster_of(case: Case, card: Accelerator, split: Split) -> Cluster:
    """The cards and what joins them."""
    count = split.tp * split.pp * split.dp
    link = case.cells.get("link", "").lower()
    if "rpc" in link:
        return _cluster(f"{count}x1:{card.id}@5gbe", card, "", None)
    pcie = re.search(r"pcie ([3-5])\.0 x(\d+)", link)
    direct = None if "p2p" not in link else "disable" not in link
    found = _cluster(f"1x{count}:{card.id}", card, f"pcie{pcie[1]}-x{pcie[2]}" if pcie else "", direct)
    return bridged(found, link)


@functools.lru_cache(maxsize=1024)
def _cluster(text: str, card: Accelerator, link: str, direct: bool | None) -> Cluster:
    found = find_cluster(text)
    groups = []
    for group in found.groups:
        changes: Mapping[str, object] = {"accelerator": card}
        if link in catalog.links():
            changes = {**changes, "intra_link": catalog.links()[link]}
        if direct is not None:
            changes = {**changes, "host_copy": not direct}
        groups.append(dataclasses.replace(group, **changes))  # type: ignore[arg-type]
    return dataclasses.replace(found, groups=tuple(groups))
