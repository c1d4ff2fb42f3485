"""What a row of inference measurements describes: engine, formats, cluster, plan and load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from farthing.catalog.cluster import parse_cluster
from farthing.errors import FarthingError
from farthing.evidence import names
from farthing.evidence.bridges import bridged
from farthing.evidence.outcome import number
from farthing.records.comparison import Case
from farthing.records.hardware import Cluster

OTHER_NAMES: Final = (
    ("optimum-nvidia", "tensorrt-llm"),
    ("deepseek in-house", "sglang"),
    ("mango", "vllm"),
    ("pathways", "jetstream"),
    ("ctransformers", "llama.cpp"),
    ("megatron", "transformers"),
    ("sat", "transformers"),
    ("pytorch lightning", "transformers"),
    ("onnxruntime", "transformers"),
)
"""Part of a name, and the engine whose way of running comes nearest; eager PyTorch of any wrapper is one."""

PUBLISHED: Final = {
    "mlc llm-perf-bench": 2023,
    "sfc-gh-zhwang": 2023,
    "Splitwise": 2023,
    "Argonne": 2024,
    "vLLM buildkite": 2024,
}
"""Year in which sources measured that print no version of vLLM."""

RELEASES: Final = {"vllm": (3, 8), "tensorrt-llm": (8, 13, 100)}
"""First releases (major x 100 + minor) of the generations after that of 2023, the last of them today's. What
changed between them is documented; the releases at which it did are inferred, TensorRT-LLM's from tables of
0.5, 0.8 and 0.17."""

MLPERF_PROMPTS: Final = {
    "llama2-70b": (294, 294),
    "llama3.1-405b": (9400, 680),
    "llama3.1-8b": (778, 73),
    "mixtral-8x7b": (145, 145),
    "deepseek-r1": (800, 3880),
}
"""Mean tokens of prompt and answer in MLPerf's data sets. Results print no lengths of prompts, and these
were not checked against the data sets: assumptions, good for rows that count as incomplete alone."""

PAGED: Final = (
    "vllm",
    "vllm-2023",
    "vllm-2024",
    "sglang",
    "tensorrt-llm",
    "tensorrt-llm-2025",
    "tensorrt-llm-2024",
    "tensorrt-llm-2023",
    "deepspeed-inference",
    "lmdeploy",
)
"""Engines that hold back the part of a batch whose keys and values find no room."""

MOST_SEQUENCES: Final = {
    "vllm-2023": 256,
    "vllm-2024": 256,
    "vllm": 1024,
    "tensorrt-llm": 2048,
    "tensorrt-llm-2025": 2048,
    "tensorrt-llm-2024": 2048,
    "tensorrt-llm-2023": 2048,
}
"""Sequences of a step at most by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A row in the terms of `api.infer`; ``batch`` 0 means that it is not given.

    ``rate`` is requests a second that arrive, infinite where all come at once; 0 means a fixed batch.
    ``closed`` says that ``batch`` requests are kept in flight.
    """

    model: str
    cluster: Cluster
    card: str
    cards: int
    batch: int
    prompt: int
    output: int
    engine: str
    options: Mapping[str, Any]
    closed: bool = False
    static: bool = False
    rate: float = 0.0
    guess_split: bool = False


def setup_of(case: Case) -> Setup:
    """The setup of a row.

    Raises
    ------
    FarthingError
        Where the row says too little, or what cannot be planned.
    """
    cells = case.cells
    notes, name = cells.get("notes", ""), cells.get("engine", "")
    card = accelerator_of(case)
    size = number(case, "params_b")
    model = cells.get("model_id") or names.model_of(cells.get("model", ""), 0.0 if size != size else size)
    if not model:
        raise FarthingError("the model is not in the catalogue")
    if not card:
        raise FarthingError("the accelerator is not in the catalogue")
    engine = engine_of(name, cells.get("engine_version", ""), case.source, card)
    if engine == "flexgen":
        raise FarthingError("weights offloaded to the host's memory are not planned in inference")
    cards, hosts = _whole(case, "n_gpus", 1), _whole(case, "n_nodes", 1)
    if cards % hosts:
        raise FarthingError("cards do not divide over the hosts")
    prompt, output = _lengths(case)
    split, guess = _split(case, engine, cards)
    options: dict[str, Any] = {
        **split,
        "weight_format": weight_format(cells, engine),
        "kv_format": _KV.get(cells.get("kv_dtype", ""), "fp16"),
        "engine": engine,
    }
    network = f"@{_network(cells, card)}" if hosts > 1 else ""
    cluster = parse_cluster(f"{hosts}x{cards // hosts}:{card}{network}")
    cluster = bridged(cluster, cells.get("interconnect", ""))
    batch, closed = _whole(case, "batch", 0), False
    if not batch and (concurrency := _whole(case, "concurrency", 0)):
        batch, closed = concurrency, True
    return Setup(
        model=model,
        cluster=_half(cluster) if "one GCD" in notes else cluster,
        card=card,
        cards=cards,
        batch=batch,
        prompt=prompt,
        output=output,
        engine=engine,
        options=options,
        closed=closed,
        static="static batch" in notes or engine == "fastertransformer",
        rate=_rate(notes),
        guess_split=guess,
    )


_KV: Final = {"fp8": "fp8", "int8": "kv-int8", "int4": "kv-int4", "bf16": "bf16"}


def _half(cluster: Cluster) -> Cluster:
    """One of the two dies of each card."""
    group = cluster.groups[0]
    card = group.accelerator
    halves: dict[str, Any] = {
        field.name: value / 2
        for field in fields(card)
        if isinstance(value := getattr(card, field.name), float)
        and field.name.endswith(("_flop_per_s", "_op_per_s", "memory_bytes", "memory_bytes_per_s"))
    }
    die = replace(card, **halves, compute_units=card.compute_units // 2)
    return replace(cluster, groups=(replace(group, accelerator=die),))


def _whole(case: Case, column: str, default: int) -> int:
    value = number(case, column)
    return default if value != value or value < 1 else int(value)


def accelerator_of(case: Case) -> str:
    """The catalogue's id of the card; Argonne's A100 are those of Polaris, 40 GB (docs.alcf.anl.gov)."""
    card = case.cells.get("accelerator_id") or names.accelerator_of(case.cells.get("gpu", "")) or ""
    return "a100-sxm-40gb" if card == "a100" and case.source.startswith("Argonne") else card


def engine_of(name: str, version: str, source: str, card: str) -> str:
    """The catalogue's id of an engine, and of its generation where that runs differently.

    Examples
    --------
    >>> engine_of("vLLM", "0.6.3", "", "h100-sxm"), engine_of("TensorRT-LLM", "1.2", "", "b200-sxm")
    ('vllm-2024', 'tensorrt-llm')
    """
    text = name.lower()
    found = next((id for part, id in OTHER_NAMES if part in text), None) or names.engine_of(name) or ""
    if found == "deepspeed-inference" and card.startswith("gaudi"):
        return "optimum-habana"
    if found not in ("vllm", "tensorrt-llm") or "mlperf" in f"{name} {source}".lower():
        # Who enters MLPerf tunes the kernels, so that the newest generation comes nearest.
        return found
    release = re.search(
        r"(?<![\d.])(\d+)\.(\d+)", version if found == "tensorrt-llm" else f"{name} {version}"
    )
    dated = re.search(r"\b(202[3-9])\b", f"{name} {version}")
    if release and not dated:
        reached, starts = int(release[1]) * 100 + int(release[2]), RELEASES[found]
    else:
        published = (year for part, year in PUBLISHED.items() if source.startswith(part))
        reached = int(dated[1]) if dated else next(published, 9999)
        starts = (2024, 2025, 2026)[: len(RELEASES[found])]
    passed = sum(reached >= start for start in starts)
    return found if passed == len(starts) else f"{found}-{2023 + passed}"


def weight_format(cells: Mapping[str, str], engine: str) -> str:
    """Number format of the weights: from the column, and from the names of quantisation in the notes.

    Examples
    --------
    >>> weight_format({"weight_dtype": "int4", "notes": "q=B; quantization AWQ"}, "vllm")
    'awq-int4'
    """
    dtype, notes = cells.get("weight_dtype", "").lower(), cells.get("notes", "").lower()
    text = f"{notes} {cells.get('model', '')} {cells.get('engine', '')}".lower()
    if dtype == "fp4":
        return "mxfp4" if "gpt-oss" in cells.get("model_id", "") else "nvfp4"
    if dtype.startswith("int4"):
        by_engine = {
            "llama.cpp": "q4_k_m",
            "exllamav2": "exl2-4.0",
            "gpt-fast": "torchao-int4",
            "mlc-llm": "w4a16-g32",
        }
        named = "awq-int4" if "awq" in text else "gptq-int4" if "gptq" in text else ""
        return named or by_engine.get(engine, "w4a16")
    if dtype == "int8":
        if engine == "llama.cpp":
            return "q8_0"
        return "gptq-int8" if "gptq" in text else "int8-sq" if "smooth" in text else "w8a16"
    if dtype == "fp8":
        block = any(name in cells.get("model_id", "") for name in ("deepseek", "qwen3", "glm-5"))
        return "mxfp4" if "mxfp4" in notes else "fp8-block" if block else "fp8"
    if not dtype and "minimax" in cells.get("model_id", ""):
        return "fp8-block"
    return {"bf16": "bf16", "fp32": "fp32", "int2": "q2_k"}.get(dtype, "fp16")


def _lengths(case: Case) -> tuple[int, int]:
    prompt, output = number(case, "input_len"), number(case, "output_len")
    if case.source.startswith("MLPerf"):
        model = case.cells.get("model", "")
        known = next((tokens for name, tokens in MLPERF_PROMPTS.items() if model.startswith(name)), None)
        if known is None:
            raise FarthingError("no length of prompts and answers is given")
        prompt, output = known[0], output if output == output else known[1]
    metric = case.cells["metric"]
    if prompt != prompt:
        if "tok_s" not in metric and metric != "tpot_ms":
            raise FarthingError("no length of prompts and answers is given")
        # A question of a few words.
        prompt = 8 if metric == "decode_tok_s_total" else number(case, "concurrency")
    if prompt != prompt:
        raise FarthingError("no length of prompts and answers is given")
    if output != output:
        # gpt-fast and its like put out 200 tokens where nothing else is asked.
        output = 1 if metric == "ttft_ms" else 200
    return max(1, round(prompt)), max(1, round(output))


def _split(case: Case, engine: str, cards: int) -> tuple[dict[str, int], bool]:
    """Parallel sizes, and whether they are a guess that the prediction may better."""
    tp, pp, dp, ep = (_whole(case, column, 0) for column in ("tp", "pp", "dp", "ep"))
    if not tp and not pp and not dp and not ep:
        if cards == 1:
            return {"tp": 1, "pp": 1, "dp": 1}, False
        layered = engine in ("transformers", "llama.cpp", "exllamav2", "exllamav3")
        if layered:
            return {"tp": 1, "pp": cards, "dp": 1}, False
        single = _whole(case, "batch", 0) == 1
        return {"tp": cards, "pp": 1, "dp": 1}, not single
    if dp > 1 and (tp or 1) * dp > cards:
        # Attention of each card for its own sequences, experts over all of them.
        dp = cards // (tp or 1)
    pp = pp or 1
    if not tp:
        tp = 1 if dp > 1 or engine == "llama.cpp" else max(1, cards // pp // (dp or 1))
    if engine == "llama.cpp" and tp == 1 and pp == 1 and cards > 1:
        pp = cards
    if tp > cards and tp == 2 * cards:
        # Counted in cores, two a chip.
        tp = cards
    dp = dp or max(1, cards // (tp * pp))
    ep = min(ep or 1, tp * dp)
    return {"tp": tp, "pp": pp, "dp": dp, "ep": ep}, False


def _network(cells: Mapping[str, str], card: str) -> str:
    link = cells.get("interconnect", "").lower()
    if "400g" in link:
        return "ib-ndr"
    newer = card.startswith(("h100", "h200", "h800", "h20", "b200", "gb", "mi3"))
    return "ib-ndr" if newer and "200g" not in link else "ib-hdr"


def _rate(notes: str) -> float:
    found = re.search(r"QPS=(INF|[\d.]+)", notes)
    if not found:
        return 0.0
    return float("inf") if found[1] == "INF" else float(found[1])
