"""Reads the shape of a model from a Hugging Face ``config.json``: a file, a folder, or a hub id."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from farthing.catalog.model_families import ADVICE, FAMILIES, Config
from farthing.errors import InvalidInput
from farthing.records.model import Model

_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\Z")


def model_types() -> tuple[str, ...]:
    """The values of ``model_type`` that are understood.

    Examples
    --------
    >>> "llama" in model_types()
    True
    """
    return tuple(sorted(FAMILIES))


def model_from_config(config: Mapping[str, Any], id: str, source: str = "") -> Model:
    """The shape that a configuration describes.

    Parameters
    ----------
    config
        Content of a ``config.json``. Of a multimodal model the text part is taken.
    id
        Id of the model.
    source
        Where the configuration comes from.

    Raises
    ------
    InvalidInput
        An unknown ``model_type``, or a field that is missing or makes no sense.

    Examples
    --------
    >>> model = model_from_config({"model_type": "llama", "num_hidden_layers": 80, "hidden_size": 8192,
    ...     "num_attention_heads": 64, "num_key_value_heads": 8, "intermediate_size": 28672,
    ...     "vocab_size": 32000, "max_position_embeddings": 4096}, "llama-2-70b")
    >>> model.layers, model.head_dim, model.kv_heads
    (80, 128, 8)
    """
    if not isinstance(config, Mapping):
        raise InvalidInput(
            f"{id}: a configuration must be an object of names and values, not a {type(config).__name__}"
        )
    outer = Config(config, source or id)
    text = outer.part("text_config")
    tied = config.get("tie_word_embeddings")
    if text.values:
        inner = dict(text.values)
        inner.setdefault("model_type", config.get("model_type"))
        if tied is not None:
            inner.setdefault("tie_word_embeddings", tied)
        outer = Config(inner, text.where)
    family = outer.values.get("model_type")
    reader = FAMILIES.get(family) if isinstance(family, str) else None
    if reader is None:
        known = ", ".join(model_types())
        raise InvalidInput(
            f"{outer.where}: model_type {family!r} is not understood; {ADVICE}. Understood: {known}"
        )
    return Model(id=id, family=str(family), source=source, **reader(outer))


def model_id(name: str) -> str:
    """Id made from a publisher's name or a file name.

    Examples
    --------
    >>> model_id("meta-llama/Llama-2-70b-hf"), model_id("My Model_v2")
    ('llama-2-70b-hf', 'my-model-v2')
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return re.sub(r"[^a-z0-9.]+", "-", last.lower()).strip("-.") or "model"


def is_hub_id(text: str) -> bool:
    """Whether a text has the form ``organisation/name``.

    Examples
    --------
    >>> is_hub_id("Qwen/Qwen3-8B"), is_hub_id("llama-2-70b"), is_hub_id("a/b/c")
    (True, False, False)
    """
    return _HUB_ID.match(text) is not None


def _download(repository: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils.logging import set_verbosity_error
    except ImportError:
        raise InvalidInput(
            f"{repository!r} is not a file here, and reading it from the Hugging Face hub needs the package "
            "huggingface-hub: pip install 'farthing[hub]', or give a path to its config.json"
        ) from None
    # Its retries are told to nobody; without a network the cache answers at once.
    set_verbosity_error()  # type: ignore[no-untyped-call]
    online = _is_reachable()
    try:
        return Path(hf_hub_download(repository, "config.json", local_files_only=not online))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if not online:
            reason = "no network, and it is not in the cache"
        raise InvalidInput(
            f"cannot read config.json of {repository!r} from the Hugging Face hub ({reason}); check the name "
            "and the network, set HF_TOKEN if access is restricted, or give a path to a config.json"
        ) from None


def _is_reachable() -> bool:
    """Whether the hub's name can be looked up; a proxy looks it up itself."""
    import socket
    import urllib.request

    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo("huggingface.co", 443)
    except OSError:
        return False
    return True


def import_model(path_or_hub_id: str) -> Model:
    """The model of a ``config.json``, of a folder that holds one, or of a Hugging Face hub id.

    Parameters
    ----------
    path_or_hub_id
        ``shapes/config.json``, ``shapes/`` or ``Qwen/Qwen3-8B``.

    Raises
    ------
    InvalidInput
        No such file, no network, no package, or a configuration that is not understood.
    """
    path = Path(path_or_hub_id).expanduser()
    name = path_or_hub_id
    source = str(path)
    if path.is_dir():
        path = path / "config.json"
        source = str(path)
        name = str(path.resolve().parent)
    elif path.is_file():
        name = path.resolve().parent.name if path.name == "config.json" else path.stem
    elif is_hub_id(path_or_hub_id) and path.suffix != ".json":
        source = f"huggingface.co/{path_or_hub_id}/config.json"
        path = _download(path_or_hub_id)
    if not path.is_file():
        raise InvalidInput(
            f"no file {str(path)!r}; give a config.json, a folder with one, or a hub id org/name"
        )
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not a JSON file, correct it: {error}") from None
    return model_from_config(config, model_id(name), source)
