"""Catalogue ids for the names that sources print, such as ``NVIDIA H100 80GB HBM3`` or ``Meta-Llama-3-8B``.

A name and an id are both cut into words; an id fits where its words stand in the name and nothing in the name
contradicts it. Whole-number sizes are held against the parameters of the model, so that ``LLaMA-33B`` finds a
model that its authors call 30B.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from farthing import catalog
from farthing.records.hardware import Accelerator
from farthing.units import GIB

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([mbt])$")
_PART: Final = re.compile(r"(?:a|e)\d+(?:\.\d+)?b$|\d+e$|\d+x\d+b$|\d+b\d$")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?$")
_SCALE: Final = {"m": 1e6, "b": 1e9, "t": 1e12}

_DECORATION: Final = (
    r"\b(dflash-[\d.]+b|spec-\w+|\w+-spec|mtp-\d)\b|\b\d+(?:\.\d+)?[- ]?bits?\b|\bgguf\b"
    r"|\(gpt-3 style\)|\b\d\d-\d{4}\b|-99(?:\.9)?$"
)
"""What names add that says nothing of the model: drafts, widths, dates."""

_OTHER_MODELS: Final = re.compile(r"\btruncated\b|\bsizing\b|-like\b|\bpruned\b|\breap\d", re.I)
"""Words that say that a model only resembles the one that is named."""

_MODEL_SPELLINGS: Final = (
    (_DECORATION, ""),
    (r"\b1_(?=[56]b?\b)", "1."),
    (r"(?<=\d)\.0(?=[- _])", ""),
    (r"\bgpt-?2-xl$", "gpt-2-1.5b"),
    (r"\bgpt-?2-large$", "gpt-2-774m"),
    (r"\bgpt-?2-medium$", "gpt-2-355m"),
    (r"\bgpt-?2$", "gpt-2-124m"),
    (r"\btinyllama-1\.1b-.*", "tinyllama-1.1b"),
    (r"\bdeepseek2 16b", "deepseek-v2-lite"),
    (r"\bdeepseek2 236b", "deepseek-v2 236b"),
    (r"\bqwen2 (?=(?:3|14|32)b\b)", "qwen2.5-"),
    (r"\bqwen3(\d)(?:moe)? (?=\d)", r"qwen3.\1-"),
    (r"\bllama 8x(?=7b|22b)", "mixtral-8x"),
    (r"\bglm4moe 106b", "glm-4.5-air 106b"),
    (r"\bglm4moe 355b", "glm-4.6 355b"),
    (r"\bphi3 3b", "phi-3-mini"),
    (r"\bphi3 14b", "phi-3-medium"),
    (r"\bmistral3 24b", "mistral-small-3.1-24b"),
    (r"\bdots1 142b", "dots.llm1"),
    (r"\bnemotron_h_moe 120b", "nemotron-3-super-120b"),
    (r"\bnemotron_h_moe 31b.a3.5b", "nemotron-3-nano-30b-a3b"),
    (r"\bdeepseek[- ]r1[:\- ](?=(?:1\.5|7|14|32)b\b)", "qwen2.5-"),
    (r"\bdeepseek[- ]r1[:\- ](?=8b\b)", "llama-3.1-"),
    (r"\bdeepseek[- ]r1[:\- ](?=70b\b)", "llama-3.3-"),
    (r"distill[- _]qwen[- _](?=1\.5|7b|14b|32b)", "qwen2.5-"),
    (r"distill[- _]llama[- _](?=8b)", "llama-3.1-"),
    (r"distill[- _]llama[- _](?=70b)", "llama-3.3-"),
    (r"distill[- _](\d+b)", r"qwen2.5-\1"),
    (r"deepseek-r1-(?=qwen|llama)", ""),
    (r"code[- _]llama", "codellama"),
    (r"open[- _]?llama", "openllama"),
    (r"tiny[- _]llama", "tinyllama"),
    (r"\b(llama|qwen)[- _]1[- _](?=\d+b)", r"\1-"),
    (r"\bllama[- _]?2[- _]?34b", "codellama-34b"),
    (r"\bllama[- _]?(1\.24|1|3\.21|3)b\b", r"llama-3.2-\1b"),
    (r"\bllama[- _]?8b\b", "llama-3-8b"),
    (r"\bllama[- _]?34b\b", "codellama-34b"),
    (r"\bllama[- _]?70b\b", "llama-2-70b"),
    (r"\bllama[- _]?(3[- _])?405b\b", "llama-3.1-405b"),
    (r"\bvicuna|\bkoala|\bwizardlm|\bguanaco|\balpaca", "llama"),
    (r"\bqwq\b", "qwen2.5"),
    (r"\bqwen2\.5-vl\b", "qwen2.5"),
    (r"\bqwen3-coder-next\b", "qwen3-next-80b-a3b"),
    (r"\bdeepseek2\b", "deepseek-v3"),
    (r"\bkimi[- ]k2[- ]thinking\b.*|\bkimi[- ]k2\.[67]\b.*", "kimi-k2.5"),
    (r"\bdeepseek[- _]?(llm[- _])?v?3\.1\b", "deepseek-v3"),
    (r"\bdeepseek[- _]?v3[- _/]r1\b", "deepseek-v3"),
    (r"\bminimax[- _]m2(?![.\d])", "minimax-m2.5"),
    (r"\bmegatron[- _]turing[- _]nlg\b|\bmegatron[- _](?=530b)", "mt-nlg-530b "),
    (r"\bgpt-?530b\b", "mt-nlg-530b"),
    (r"\bnemotron[- _]?3[- _]nano$", "nemotron-3-nano-30b-a3b"),
    (r"\bgpt-?j\b|\bgptj\b", "gpt j"),
    (r"\bgpt-?oss\b", "gpt oss"),
    (r"\bgpt-?3$", "gpt-3-175b"),
    (r"\bgpt-?175b\b", "gpt-3-175b"),
    (r"\bbloomz?$", "bloom-176b"),
    (r"\bcommand[- _]?r\+", "command r plus"),
    (r"\bmaverick\b.*", "maverick-17b-128e"),
    (r"\bscout\b.*", "scout-17b-16e"),
    (r"\bopt-iml\b", "opt"),
)

_CARD_SPELLINGS: Final = (
    (r"\(r\)|\(tm\)|®|™", ""),
    (r"\b(geforce|nvidia|amd|apple|intel|habana|google|tesla|instinct|radeon (?=rx)|generation)\b", ""),
    (r"\bamd radeon\b", "radeon"),
    (r"\bradeon ?(?=\d{4})", "rx "),
    (r"\b(rtx|gtx|rx|gaudi|epyc|arc|titan)(?=[a-z]?\d)", r"\1 "),
    (r"\b(trainium|inferentia)$", r"\g<1>1"),
    (r"\bblackwell ultra\b", ""),
    (r"\btitan x\b", "titanx"),
    (r"\brtx ?pro ?", "rtx pro "),
    (r"\b(\d{4})(ti|super|xtx|xt|ada|gre)", r"\1 \2 "),
    (r"\bsxm\d\b", "sxm"),
    (r"\bhbm2e\b|\bhbm3e?\b", ""),
    (r"\bnvl\d+\b|\boam\b", ""),
    (r"\bpcie (gen ?)?\d\b", "pcie"),
    (r"\bgpu-?cores?\b", "core"),
    (r"\b(\d+)[- ]?core[- ]gpu", r"\1c"),
    (r"\((\d+) gpu core\)|\((\d+)[- ]gpu[- ]core\)", r"\1\2c"),
    (r"\bmax\+", "max"),
    (r"\bstrix[- ]halo\b|\bframework (desktop|mainboard)\b.*|\b8060s\b|^395\+?$", "ryzen ai max 395"),
    (r"^.*\b(?:dgx spark|gb10)\b.*$|^ ?spark$", "dgx spark"),
    (r"\borion o6\b|\bms r1\b|\bc[dp]8180\b", "cix p1"),
    (r"^ ?w(?=[67][5-9]00\b)", "pro w"),
    (r"^ ?(?=a[357][158]0$|b5[78]0$)", "arc "),
    (r"^v(?=[2-7][ep]?(?: \d+)?$)", "tpu v"),
    (r"\b(raspberry )?(pi|compute module) ?(5|500)\b\+?|\bcm5\b", "raspberry pi 5"),
    (r"\b(raspberry )?(pi|compute module) ?(4b?|400)\b|\bcm4\b", "raspberry pi 4b"),
    (r"\btpu[- ]?trillium\b|\btrillium\b", "tpu v6e"),
    (r"\bironwood\b|\bv7x\b", "tpu v7"),
    (r"\bv5litepod\b|\bv5 lite\b", "v5e"),
    (r"\bjetson orin$", "jetson agx orin"),
    (r"\bjetson (agx )?thor\b", "jetson t5000"),
    (r"\b(i[579])[- ]?(1\d)(\d00)k?[fs]?\b", r"core \1 \2\3k"),
    (r"\ba6000 ada\b", "rtx 6000 ada"),
    (r"\bmax[- ](?=1[15]50\b)", "max "),
)

_LOOSE: Final = frozenset(
    re.findall(
        r"\w+",
        "rtx gtx rx quadro radeon core ai pcie sxm server jetson agx gcp raspberry ampere plus platinum gold",
    )
)
"""Words of an id that a name may leave out."""

_TELLING: Final = frozenset(
    re.findall(
        r"\w+",
        "ti super xt xtx gre d max ultra pro ada nvl pcie sxm laptop mobile sff xavier orin nx nano xp",
    )
)
"""Words of a name that make another card of it; an id must have them too."""

_SERVING: Final = (
    (r"ik_?llama", "ik_llama.cpp"),
    (r"powerinfer", "powerinfer"),
    (r"distributed-?llama|dllama", "distributed-llama"),
    (r"vllm[-_ ]?mlx|\bo?mlx|dflash|\bjaccl", "mlx"),
    (r"\bexo\b", "exo"),
    (r"ktransformers", "ktransformers"),
    (r"ctransformers|ollama|docker[- ]model|lm[- ]?studio", "ollama"),
    (r"llama[-.]?(cpp|bench|server|batched|sweep)|\bggml|unsloth[- ]studio|koboldcpp|camelid", "llama.cpp"),
    (r"exllama ?v?3", "exllamav3"),
    (r"exllama", "exllamav2"),
    (r"tensorrt|\btrt-?llm|\bnim\b", "tensorrt-llm"),
    (r"sglang", "sglang"),
    (r"lmdeploy|turbomind", "lmdeploy"),
    (r"\bvllm", "vllm"),
    (r"text[- ]generation[- ]inference|\btgi\b", "tgi"),
    (r"\bmlc", "mlc-llm"),
    (r"petals", "petals"),
    (r"gpt-?fast", "gpt-fast"),
    (r"ds-?inference|deepspeed|\bmii\b", "deepspeed-inference"),
    (r"faster ?transformer|effective ?transformer", "fastertransformer"),
    (r"flexgen", "flexgen"),
    (r"ctranslate2", "ctranslate2"),
    (r"tinychat", "tinychat"),
    (r"jetstream", "jetstream"),
    (r"habana|gaudi", "optimum-habana"),
    (r"transformers|hugging ?face|\bhf\b|accelerate|autoawq|autogptq|optimum|bitsandbytes", "transformers"),
)

_TRAINING: Final = (
    (r"gpt-?neox", "gpt-neox"),
    (r"megatron[-+ ]*deepspeed", "megatron-deepspeed"),
    (r"fsdp[-_]?qlora", "fsdp-qlora"),
    (r"fms-?fsdp", "fms-fsdp"),
    (r"llm-?foundry|composer", "llm-foundry"),
    (r"llama-?factory", "llama-factory"),
    (r"torchtitan", "torchtitan"),
    (r"torchtune", "torchtune"),
    (r"axolotl", "axolotl"),
    (r"unsloth", "unsloth"),
    (r"lit-?gpt", "litgpt"),
    (r"colossal", "colossal-ai"),
    (r"maxtext", "maxtext"),
    (r"\bpax|pathways|\bjax\b", "paxml"),
    (r"nanotron", "nanotron"),
    (r"nanogpt", "nanogpt"),
    (r"internevo", "internevo"),
    (r"automodel", "pytorch-fsdp"),
    (r"nemo|megatron[- ]?bridge", "nemo"),
    (r"megatron|megascale", "megatron-lm"),
    (r"deepspeed", "deepspeed"),
    (r"hf trainer|hugging ?face|transformers", "hf-trainer"),
    (r"fsdp", "pytorch-fsdp"),
    (r"pytorch|\bddp\b", "pytorch-ddp"),
)


def model_of(text: str, parameters_b: float = 0.0) -> str | None:
    """Id of the model that a source names; None where the catalogue has none like it.

    Parameters
    ----------
    text
        The name, with or without owner, tuning, format and file endings.
    parameters_b
        Size in billions of parameters where the source has a column for it; used where the name has no size.

    Examples
    --------
    >>> model_of("meta-llama/Meta-Llama-3-8B"), model_of("LLaMA-33B"), model_of("Zebra-9B")
    ('llama-3-8b', 'llama-30b', None)
    """
    name = text.strip().lower()
    return _model_of(name) or (_model_of(f"{name} {parameters_b:g}b") if parameters_b > 0 else None)


@functools.lru_cache(maxsize=4096)
def _model_of(text: str) -> str | None:
    if text in catalog.models():
        return text
    if not text or _OTHER_MODELS.search(text):
        return None
    bare = re.sub(r"\(.*?\)", " ", text)
    for variant in dict.fromkeys((text.rsplit("/", 1)[-1], text, bare)):
        if variant in catalog.models():
            return variant
        if found := _best_model(_model_words(variant)):
            return found
    return None


def _model_words(text: str) -> list[str]:
    for pattern, replacement in _MODEL_SPELLINGS:
        text = re.sub(pattern, replacement, text)
    return _cut(text)


def _cut(text: str) -> list[str]:
    text = re.sub(r"[^a-z0-9.]+", " ", text)
    text = re.sub(r"(?<!\d)\.|\.(?!\d)", " ", text)
    text = re.sub(r"\b([a-z]{2,}?)v?(?=\d)", r"\1 ", text)
    text = re.sub(r"\bv(?=\d)", "", text)
    text = re.sub(r"(\d)([a-z]{3,})", r"\1 \2", text)
    text = re.sub(r"\b(\d+(?:\.\d+)?) ([mb])\b", r"\1\2", text)
    return text.split()


@functools.cache
def _known_models() -> Mapping[str, tuple[list[str], float]]:
    return {id: (_cut(id), row.published_parameters) for id, row in catalog.models().items()}


def _best_model(words: list[str]) -> str | None:
    found = []
    for id, (own, parameters) in _known_models().items():
        distance = _distance(words, own, parameters)
        if distance is not None:
            matched = sum(len(word) for word in set(own) & set(words))
            found.append((-matched, distance, id, own))
    if not found:
        return None
    found.sort()
    best = found[0]
    alike = [one for one in found[1:] if one[0] == best[0]]
    sized = any(_SIZE.match(word) or _PART.match(word) for word in words)
    if any(one[1] == best[1] or not sized for one in alike):
        return None
    return best[2]


def _distance(words: list[str], own: list[str], parameters: float) -> float | None:
    """How far a name is from an id's words, or None where they contradict each other."""
    named = set(words)
    parts = {word for word in own if _PART.match(word)}
    sizes = {word for word in own if _SIZE.match(word)} - parts
    versions = {word for word in own if _NUMBER.match(word)}
    family = set(own) - parts - sizes - versions
    if not family <= named or _versions(words, family) - versions:
        return None
    distance = float(len(set(own) - named))
    for word in {word for word in words if _SIZE.match(word) and not _PART.match(word)} - sizes:
        off = abs(_size(word) / parameters - 1) if parameters > 0 else 1.0
        if off > (0.04 if sizes else 0.1):
            return None
        distance += off
    for word in {word for word in words if _PART.match(word)} - parts:
        if word[0] != "a" or any(part[0] == "a" for part in parts):
            return None
    return distance


def _versions(words: list[str], family: set[str]) -> set[str]:
    """Numbers that follow a family's words; dates are none."""
    return {
        after
        for word, after in itertools.pairwise(words)
        if word in family and _NUMBER.match(after) and not re.match(r"0\d|\d{4}", after)
    }


def _size(word: str) -> float:
    found = _SIZE.match(word)
    return float(found[1]) * _SCALE[found[2]] if found else 0.0


def accelerator_of(text: str) -> str | None:
    """Id of the accelerator that a source names, the first where it names several; None where it is unknown.

    A name that leaves the form out means the usual one: SXM for data-centre cards.

    Examples
    --------
    >>> accelerator_of("NVIDIA H100 80GB HBM3"), accelerator_of("RTX3060"), accelerator_of("RTX 3060 Laptop")
    ('h100-sxm', 'rtx-3060', None)
    """
    return next((id for _, id in accelerators_of(text)), None)


def accelerators_of(text: str) -> list[tuple[int, str]]:
    """All accelerators that a source names, with their number (1 where it says none).

    Examples
    --------
    >>> accelerators_of("2x RTX6000Ada + 2x3090 over RPC")
    [(2, 'rtx-6000-ada'), (2, 'rtx-3090')]
    """
    return list(_accelerators_of(text.strip().lower()))


@functools.lru_cache(maxsize=4096)
def _accelerators_of(text: str) -> tuple[tuple[int, str], ...]:
    if text in catalog.accelerators():
        return ((1, text),)
    return tuple(_named_cards(text))


_COUNTED: Final = re.compile(r"(?:(\d{1,3}) ?[x×] ?(?=[a-z\d]))?(.*?)(?: \(?[x×] ?(\d{1,3})\)?)?$")
"""A name with how many there are before it, or after it as in "RTX 3090 (x4)"."""


def _named_cards(text: str) -> Iterator[tuple[int, str]]:
    processors_only = text.startswith("cpu ")
    for part in re.split(r"\s\+\s|,\s|;\s|:\s| and | over |(?<=\S)\s(?=\d+x ?[a-z0-9])", text):
        counted = _COUNTED.match(part.strip())
        count, name = (int(counted[1] or counted[3] or 1), counted[2]) if counted else (1, part)
        found = name if name in catalog.accelerators() else _best_card(_card_words(name))
        if found and not (processors_only and catalog.accelerators()[found].kind != "cpu"):
            yield count, found


def _card_words(text: str) -> list[str]:
    text = " ".join(re.sub(r"[_/|]", " ", text).split())
    text = re.sub(r"(?<=[a-z0-9])-(?=[a-z0-9])", " ", text)
    for pattern, replacement in _CARD_SPELLINGS:
        text = re.sub(pattern, replacement, text)
    text = re.sub(r"\b(\d+) ?(gb|gib)\b", r"\1gb", text)
    return [word for word in re.split(r"[^a-z0-9.]+", text) if word]


@functools.cache
def _known_cards() -> Mapping[str, tuple[list[str], Accelerator]]:
    return {id: (id.split("-"), card) for id, card in catalog.accelerators().items()}


def _best_card(words: list[str]) -> str | None:
    named = set(words)
    memory = next((float(word[:-2]) for word in words if re.fullmatch(r"\d+gb", word)), 0.0)
    found = []
    for order, (id, (own, card)) in enumerate(_known_cards().items()):
        needed = {word for word in own if word not in _LOOSE and not word.endswith("gb")}
        if not needed or not needed <= named or (named & _TELLING) - set(own) - {card.form.lower()}:
            continue
        size = card.memory_bytes / GIB
        near = bool(memory) and abs(memory / size - 1) < 0.12
        found.append(
            (
                -len(needed),
                -len(named & set(own)),
                -near,
                len(set(own) - named) if not memory else 0,
                "pcie" in own and "pcie" not in named,
                order,
                id,
            )
        )
    return min(found)[-1] if found else None


def engine_of(text: str, kind: str = "serving") -> str | None:
    """Id of the engine that a source names; the kind tells DeepSpeed's inference from its training.

    Examples
    --------
    >>> engine_of("vllm 0.25.0"), engine_of("llama.cpp ROCm"), engine_of("DeepSpeed", "training")
    ('vllm', 'llama.cpp', 'deepspeed')
    """
    name = text.strip().lower()
    if name in catalog.engines():
        return "deepspeed-inference" if (name, kind) == ("deepspeed", "serving") else name
    for pattern, id in _SERVING if kind == "serving" else _TRAINING:
        if re.search(pattern, name):
            return id
    return None
