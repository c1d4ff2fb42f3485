"""Reads the shape of a model from the header of a GGUF file (llama.cpp).

The metadata tell the sizes; the list of tensors tells the rest: which layers are MoE, what has a bias,
whether the head is tied. The weights themselves are never read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from farthing.catalog.huggingface import model_id
from farthing.catalog.model_families import shortest_period
from farthing.errors import InvalidInput
from farthing.records.model import Model

_SPLIT: Final = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf\Z")
_LAYER: Final = re.compile(r"blk\.(\d+)\.(.+)\Z")

_PERIODS: Final = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "cohere2": 4, "llama4": 4, "olmo2": 4}
"""Families whose every n-th layer sees all tokens, where the file does not say so."""

_PARALLEL: Final = ("falcon", "gptj", "phi2", "command-r", "cohere2")
_ALIBI: Final = ("bloom", "mpt")


class GgufWeights(NamedTuple):
    """Size of the tensors of a GGUF file, of all its parts when it is split."""

    weight_bytes: float
    parameters: int

    @property
    def bits_per_weight(self) -> float:
        """Bits that one parameter takes on average."""
        return 8 * self.weight_bytes / self.parameters


def _parts(path: Path) -> list[Path]:
    match = _SPLIT.match(path.name)
    if match is None:
        return [path]
    stem, _, count = match.groups()
    return [path.with_name(f"{stem}-{index:05d}-of-{count}.gguf") for index in range(1, int(count) + 1)]


def _open(path: Path) -> Any:
    try:
        import gguf
    except ImportError:
        raise InvalidInput(
            f"reading {path.name} needs the package gguf: pip install 'farthing[gguf]'"
        ) from None
    if not path.is_file():
        raise InvalidInput(f"no file {str(path)!r}; a split model needs all of its parts in one folder")
    try:
        return gguf.GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError, OverflowError, MemoryError, TypeError) as error:
        raise InvalidInput(f"{path} is not a complete GGUF file: {error}; download it again") from None


def _value(field: Any) -> Any:
    """A metadata value as plain Python; of a list of texts only the length."""
    kind = field.types[0].name
    if kind == "STRING":
        return bytes(field.parts[-1]).decode("utf-8", "replace")
    if kind == "ARRAY":
        if field.types[-1].name == "STRING":
            return len(field.data)
        return [field.parts[index][0].item() for index in field.data]
    return field.parts[-1][0].item()


class _Header:
    """Metadata and tensor shapes of a file and its parts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        readers = [_open(part) for part in _parts(path)]
        self.fields = readers[0].fields
        self.tensors = {
            tensor.name: tuple(int(size) for size in tensor.shape)
            for reader in readers
            for tensor in reader.tensors
        }
        self.weight_bytes = float(sum(int(tensor.n_bytes) for reader in readers for tensor in reader.tensors))
        self.parameters = sum(int(tensor.n_elements) for reader in readers for tensor in reader.tensors)
        if not self.tensors:
            raise InvalidInput(f"{path} holds no tensors")
        self.family = str(self.get("general.architecture", ""))
        if not self.family:
            raise InvalidInput(f"{path}: general.architecture is missing")

    def get(self, key: str, default: Any = None) -> Any:
        field = self.fields.get(key)
        return default if field is None else _value(field)

    def numbers(self, key: str, default: int | None = None) -> list[int]:
        """A size of the architecture: one number, or one a layer."""
        value = self.get(f"{self.family}.{key}", default)
        values = value if isinstance(value, list) else [value]
        if not values or any(not isinstance(entry, int) or not 0 <= entry <= 10**9 for entry in values):
            raise InvalidInput(f"{self.path}: {self.family}.{key} must be a whole number, not {value!r}")
        return [int(entry) for entry in values]

    def number(self, key: str, default: int | None = None) -> int:
        return max(self.numbers(key, default))

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors.get(name, ())

    def layers(self) -> Iterator[dict[str, tuple[int, ...]]]:
        """The tensors of each layer, without layers that only predict further tokens."""
        by_layer: dict[int, dict[str, tuple[int, ...]]] = {}
        for name, shape in self.tensors.items():
            match = _LAYER.match(name)
            if match:
                by_layer.setdefault(int(match.group(1)), {})[match.group(2)] = shape
        for index in range(self.number("block_count")):
            layer = by_layer.get(index)
            if layer is None:
                raise InvalidInput(f"{self.path}: layer {index} has no tensors")
            if not any(name.startswith("nextn.") for name in layer):
                yield layer


def _has(layer: dict[str, tuple[int, ...]], *starts: str) -> bool:
    return any(name.startswith(starts) for name in layer)


def _mixer(layer: dict[str, tuple[int, ...]]) -> str:
    if _has(layer, "ssm_"):
        return "l"
    return "f" if _has(layer, "attn_q", "attn_k", "attn_v") else "n"


def _feed_forward(layer: dict[str, tuple[int, ...]]) -> str:
    if _has(layer, "ffn_down_exps"):
        return "m"
    return "d" if _has(layer, "ffn_down") else "n"


def _windowed(header: _Header, mixers: str) -> tuple[str, int]:
    """The mixers with windowed layers marked, and the window."""
    window = header.number("attention.sliding_window", 0)
    if not window:
        return mixers, 0
    pattern = header.get(f"{header.family}.attention.sliding_window_pattern", _PERIODS.get(header.family, 0))
    sees_window: Callable[[int], bool]
    if isinstance(pattern, list):
        sees_window = lambda index: bool(pattern[index % len(pattern)])  # noqa: E731
    else:
        sees_window = lambda index: not pattern or (index + 1) % int(pattern) != 0  # noqa: E731
    marked = "".join(
        "w" if mixer == "f" and sees_window(index) else mixer for index, mixer in enumerate(mixers)
    )
    return marked, window if "w" in marked else 0


def _attention(header: _Header, mixers: str) -> dict[str, Any]:
    hidden, heads = header.number("embedding_length"), header.number("attention.head_count")
    if not heads:
        raise InvalidInput(f"{header.path}: {header.family}.attention.head_count is 0")
    by_layer = header.numbers("attention.head_count_kv", heads)
    if len(by_layer) < len(mixers):
        by_layer = by_layer * len(mixers)
    kv_heads = {
        letter: max(
            (count for count, mixer in zip(by_layer, mixers, strict=False) if mixer == letter), default=0
        )
        for letter in "fw"
    }
    head_dim = header.number("attention.key_length", hidden // heads)
    value_dim = header.number("attention.value_length", head_dim)
    fields: dict[str, Any] = {"heads": heads, "kv_heads": kv_heads["f"] or kv_heads["w"] or heads}
    fields |= {"head_dim": head_dim, "v_head_dim": value_dim if value_dim != head_dim else 0}
    if kv_heads["f"] and kv_heads["w"]:
        window_dim = header.number("attention.key_length_swa", head_dim)
        fields["window_kv_heads"] = kv_heads["w"] if kv_heads["w"] != kv_heads["f"] else 0
        fields["window_head_dim"] = window_dim if window_dim != head_dim else 0
    latent = header.number("attention.kv_lora_rank", 0)
    if latent:
        rope = header.number("rope.dimension_count")
        key = header.number("attention.key_length_mla", head_dim)
        fields |= {
            "kv_heads": heads,
            "head_dim": key,
            "kv_lora_rank": latent,
            "q_lora_rank": header.number("attention.q_lora_rank", 0),
            "qk_rope_head_dim": rope,
            "qk_nope_head_dim": key - rope,
            "v_head_dim": header.number("attention.value_length_mla", value_dim),
            "index_heads": header.number("attention.indexer.head_count", 0),
            "index_head_dim": header.number("attention.indexer.key_length", 0),
            "index_topk": header.number("attention.indexer.top_k", 0),
        }
    return fields


def _linear(header: _Header) -> dict[str, Any]:
    inner, rank = header.number("ssm.inner_size"), header.number("ssm.time_step_rank", 0)
    state, groups = header.number("ssm.state_size"), header.number("ssm.group_count", 0)
    fields = {"linear_conv_kernel": header.number("ssm.conv_kernel"), "linear_key_head_dim": state}
    state_space = "mamba2" if groups else "mamba1"
    kind = "gated-deltanet" if header.family.startswith("qwen3") else state_space
    heads = inner if kind == "mamba1" else rank
    if not heads or inner % heads:
        raise InvalidInput(
            f"{header.path}: ssm.inner_size ({inner}) must be a multiple of the heads ({heads})"
        )
    return fields | {
        "linear_kind": kind,
        "linear_key_heads": rank if kind == "mamba1" else groups,
        "linear_value_heads": heads,
        "linear_value_head_dim": inner // heads,
    }


def _feed_forward_fields(header: _Header, layers: list[dict[str, tuple[int, ...]]]) -> dict[str, Any]:
    hidden = header.number("embedding_length")
    dense = [layer for layer in layers if _feed_forward(layer) == "d"]
    sparse = [layer for layer in layers if _feed_forward(layer) == "m"]
    width = header.number("feed_forward_length", 0)
    if dense:
        width = dense[0]["ffn_down.weight"][0]
    fields: dict[str, Any] = {"ffn_hidden": width if dense else 0}
    first = (dense or sparse or [{}])[0]
    up = first.get("ffn_up.weight", ())
    fields["gated_ffn"] = _has(first, "ffn_gate.", "ffn_gate_exps", "ffn_gate_up") or up[1:] == (2 * width,)
    fields["ffn_bias"] = any(name.startswith("ffn_down") and name.endswith(".bias") for name in first)
    if not sparse:
        return fields
    layer = sparse[0]
    expert_width, expert_hidden = layer["ffn_down_exps.weight"][:2]
    beside = layer.get("ffn_down_shexp.weight") or layer.get("ffn_down.weight")
    return fields | {
        "experts": header.number("expert_count"),
        "experts_per_token": header.number("expert_used_count"),
        "moe_ffn_hidden": expert_width,
        "moe_hidden": expert_hidden if expert_hidden != hidden else 0,
        "shared_experts": header.number("expert_shared_count", 1) if beside else 0,
        "shared_ffn_hidden": beside[0] if beside else 0,
    }


def _norms(layer: dict[str, tuple[int, ...]], hidden: int) -> int:
    own = ("q_norm", "k_norm", "ssm", "kv_a", "q_a")
    return sum(
        "norm" in name and name.endswith(".weight") and shape == (hidden,) and not any(o in name for o in own)
        for name, shape in layer.items()
    )


def import_gguf(path: str | Path) -> Model:
    """The shape of the model in a GGUF file.

    Parameters
    ----------
    path
        The file; of a split model any part, the others lying beside it.

    Returns
    -------
    Model
        ``published_parameters`` is the number of elements of all tensors.

    Raises
    ------
    InvalidInput
        No such file, not a complete GGUF file, the package gguf is missing, or metadata that make no sense.
    """
    path = Path(path).expanduser()
    header = _Header(path)
    embedding = header.shape("token_embd.weight")
    if len(embedding) != 2:
        raise InvalidInput(f"{path}: no token_embd.weight; is this a language model?")
    layers = list(header.layers())
    hidden, family = header.number("embedding_length"), header.family
    mixers, window = _windowed(header, "".join(_mixer(layer) for layer in layers))
    first = next((layer for layer in layers if _mixer(layer) == "f"), layers[0])
    norms = max(_norms(layer, hidden) for layer in layers)
    types = header.shape("token_types.weight")
    rotary = "alibi" if family in _ALIBI else "rotary"
    fields: dict[str, Any] = {
        "layers": len(layers),
        "hidden": hidden,
        "vocab": embedding[1],
        "max_context": header.number("context_length"),
        "mixer_pattern": shortest_period(mixers),
        "ffn_pattern": shortest_period("".join(_feed_forward(layer) for layer in layers)),
        "window": window,
        "position": "learned" if header.shape("position_embd.weight") else rotary,
        "tied_embeddings": not header.shape("output.weight"),
        "norm": "layernorm"
        if _has(header.tensors, "output_norm.bias", "token_embd_norm.bias")
        else "rmsnorm",
        "norms_per_layer": norms,
        "qk_norm": _has(first, "attn_q_norm"),
        "qkv_bias": "attn_q.bias" in first or "attn_qkv.bias" in first,
        "output_bias": "attn_output.bias" in first,
        "parallel_attention": family in _PARALLEL
        or bool(header.get(f"{family}.use_parallel_residual", False)),
        "encoder": not header.get(f"{family}.attention.causal", True),
        "type_vocab": types[1] if len(types) == 2 else 0,
        "published_parameters": float(header.parameters),
    }
    fields |= _attention(header, mixers) | _feed_forward_fields(header, layers)
    if "l" in mixers:
        fields |= _linear(header)
    if header.number("attention.shared_kv_layers", 0):
        raise InvalidInput(
            f"{path}: layers that share the keys and values of others are not understood; describe the shape "
            "in a TOML file instead"
        )
    split = _SPLIT.match(path.name)
    return Model(
        id=model_id(split.group(1) if split else path.stem),
        name=str(header.get("general.name", "")),
        family=family,
        source=str(path),
        **fields,
    )


def gguf_weight_bytes(path: str | Path) -> GgufWeights:
    """Size of the weights of a GGUF file, and how many there are.

    Parameters
    ----------
    path
        The file; of a split model any part, the others lying beside it.

    Returns
    -------
    GgufWeights
        ``weight_bytes`` [byte], ``parameters``, and from them ``bits_per_weight`` [bit].

    Raises
    ------
    InvalidInput
        No such file, not a complete GGUF file, or the package gguf is missing.
    """
    header = _Header(Path(path).expanduser())
    return GgufWeights(header.weight_bytes, header.parameters)
