"""Names of quantisations as sources write them: the number format, and the bits that a file's size tells."""

from __future__ import annotations

import re
from typing import Final

from farthing.catalog import formats
from farthing.errors import FarthingError
from farthing.predict.parameters import active_parameters, total_parameters
from farthing.records.model import Model

_GGUF: Final = re.compile(
    r"(?<![a-z0-9])(iq[1-5]_?(?:xxs|xs|nl|kss|kt|ks|k|s|m)|q[2-8]_k(?:_(?:xl|l|m|s))?|q[4-8]_[01]|tq[12]_0|mxfp4)(?![a-z0-9])"
)
_EXL: Final = re.compile(r"(exl[23])\D*?([0-9]+(?:\.[0-9]+)?)\s*-?bpw")
_MLX: Final = re.compile(r"(?<![a-z0-9])([2-8])-?bit(?![a-z0-9])")
_CACHE: Final = re.compile(r"\bkv[-:= ]?[a-z]*\d\w*|\b[a-z]*\d\w*[- ]kv\b(?![-:= ]?[a-z]*\d)")
"""Formats of keys and values that a name adds."""
_BARE: Final = re.compile(r"(?<![a-z0-9])q([2-8])(?![a-z0-9_])")
_USUAL: Final = {"2": "q2_k", "3": "q3_k_m", "4": "q4_k_m", "5": "q5_k_m", "6": "q6_k", "8": "q8_0"}
"""What is served where only the bits are named."""
_SPELLED: Final = {" - small": "_s", " - medium": "_m", " - large": "_l"}

_FOUR_BITS: Final = {"exllamav2": "gptq-int4", "mlc-llm": "w4a16-g32", "tinychat": "awq-int4"}

_WIDER: Final = {"_xl": "_m", "_l": "_m", "_k_l": "_k"}
"""Files with some tensors wider than the name says: nearest to the next usual mixture."""

_PLAIN: Final = (
    (("int8-w8a8", "w8a8"), "int8-sq"),
    (("w4a16-g32", "int4-g32"), "w4a16-g32"),
    (("nvfp4",), "nvfp4"),
    (("mxfp4",), "mxfp4"),
    (("gptq-int8", "gptq int8", "gptq 8", "int8 gptq"), "gptq-int8"),
    (("gptq",), "gptq-int4"),
    (("q4f16", "q4f32"), "w4a16-g32"),
    (("q40",), "q4_0"),
    (("q80",), "q8_0"),
    (("awq", "autoround", "w4a16", "int4"), "awq-int4"),
    (("w8a16", "int8"), "w8a16"),
    (("nf4", "bnb"), "bnb-nf4"),
    (("fp8",), "fp8"),
    (("fp4",), "nvfp4"),
    (("fp32",), "fp32"),
    (("bf16",), "bf16"),
    (("fp16", "f16"), "fp16"),
    (("fp32", "f32"), "fp32"),
)


def weight_format(quant: str, model: str, engine: str) -> tuple[str, str]:
    """Ids of the weights' format, and of all but the routed experts' where that differs (else empty).

    Raises
    ------
    FarthingError
        Neither the quantisation nor the model's name tells.

    Examples
    --------
    >>> weight_format("IQ4_XS - 4.25 bpw", "Llama-3.1-8B", "llama.cpp")
    ('iq4_xs-file', '')
    >>> weight_format("Medium", "Qwen3.6-35B-A3B-UD-Q4_K_XL", "llama.cpp")
    ('q4_k_m', '')
    >>> weight_format("MXFP4-Q8", "gpt-oss-20b-MXFP4-Q8", "mlx"), weight_format("exl3-6.0bpw-mcg", "", "")
    (('mxfp4', 'mlx-8bit'), ('exl3-6.0', ''))
    """
    # The file's own name says what was loaded; a column may hold only "Medium" or the cache's format.
    for text in (quant, model) if engine != "vllm" else (model, quant):
        found = _format(text.lower(), engine)
        if found == "fp16" and "gpt-oss" in model.lower():
            return "mxfp4", "fp16"
        if not found and text is model and "gpt-oss" in model.lower():
            # Published in this format alone.
            found = "mxfp4"
        if found:
            dense = ""
            if found == "mxfp4" and "gpt-oss" in model.lower():
                dense = {"mlx": "mlx-8bit", "llama.cpp": "q8_0"}.get(engine, "bf16")
            return found, dense
    named = re.search(r"\d", quant)
    raise FarthingError(f"the quantisation is not {'in the catalogue' if named else 'stated'}")


def _format(text: str, engine: str) -> str:
    text = _CACHE.sub(" ", text)
    for words, suffix in _SPELLED.items():
        text = text.replace(words, suffix)
    if engine == "mlx":
        match = _MLX.search(text)
        if match:
            return f"mlx-{match.group(1)}bit"
    match = _EXL.search(text)
    if match:
        return _exl(match.group(1), float(match.group(2)))
    match = _GGUF.search(text)
    if match:
        return _gguf(match.group(1)) or _of_bits(match.group(1), text)
    plain = next((id for words, id in _PLAIN if any(word in text for word in words)), "")
    if plain:
        return plain
    if engine in _FOUR_BITS and _MLX.search(text):
        # Programs that know one format of four bits.
        return _FOUR_BITS[engine] if "4" in text else ""
    match = _BARE.search(text)
    if match and engine == "mlx":
        return f"mlx-{match.group(1)}bit"
    return _USUAL[match.group(1)] if match else ""


def _exl(kind: str, bits: float) -> str:
    if f"{kind}-{bits:g}" in formats():
        return f"{kind}-{bits:g}"
    return f"{kind}-{bits:.1f}" if f"{kind}-{bits:.1f}" in formats() else f"{kind}-4.0@{bits:g}"


def _of_bits(name: str, text: str) -> str:
    """A format that the catalogue lacks, by the bits that its name adds; empty where it adds none."""
    stated, kind = re.search(r"(\d+(?:\.\d+)?) ?bpw", text), re.search(r"[2-6]", name)
    return f"q{kind.group()}_k@{float(stated.group(1)):g}" if stated and kind else ""


def _gguf(name: str) -> str:
    known = formats()
    candidates = [f"{name}-file", name, *(name.removesuffix(end) + to for end, to in _WIDER.items())]
    if name.endswith("_k"):
        candidates.insert(1, f"{name}_m")
    if name.endswith("_m"):
        candidates.append(f"{name.removesuffix('_m')}-file")
    if name.endswith("_xl"):
        candidates += [name.removesuffix("_xl"), f"{name.removesuffix('_k_xl')}_0"]
    return next((id for id in candidates if id in known and known[id].weights), "")


def sized(weights: str, dense: str, model: Model, file_bytes: float) -> tuple[str, str]:
    """The formats with the bits that the file's size tells.

    Where experts and the rest differ, the experts keep their format's size and the rest takes what is left.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> sized("q4_k_m", "", model("llama-2-7b"), 4.08e9)
    ('q4_k_m@4.8439', '')
    """
    if not dense:
        return f"{weights}@{8 * file_bytes / total_parameters(model):.5g}", ""
    total = total_parameters(model)
    experts = (total - active_parameters(model)) / (1 - model.experts_per_token / model.experts)
    left = 8 * file_bytes - experts * formats()[weights].bits
    bits = left / (total - experts)
    return weights, f"{dense}@{bits:.5g}" if 2 < bits <= 32 else dense
