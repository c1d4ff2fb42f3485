"""Models by name, and models that are not in the catalogue: files, hub ids and own shapes."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints

from farthing.catalog import models
from farthing.catalog.huggingface import import_model, is_hub_id, model_from_config
from farthing.errors import InvalidInput, UnknownName
from farthing.records.model import Model
from farthing.units import parse_tokens

_TYPES: Final[dict[str, Any]] = get_type_hints(Model)
_HINT: Final = (
    "see: farthing model list; or give a .toml, .json or .gguf file, a folder with a config.json, "
    "or a hub id org/name"
)


@functools.cache
def aliases() -> Mapping[str, str]:
    """Catalogue id by lower-case publisher's name, e.g. ``meta-llama/llama-2-70b-hf``.

    Examples
    --------
    >>> aliases()["meta-llama/llama-2-70b-hf"]
    'llama-2-70b'
    """
    return {model.name.lower(): id for id, model in models().items() if model.name}


def _checked(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values that are fields of a model, in the type of the field."""
    checked = {}
    for key, value in values.items():
        kind = _TYPES.get(key)
        if kind is None:
            near = difflib.get_close_matches(key, _TYPES, n=3, cutoff=0.5)
            advice = f"did you mean {', '.join(near)}?" if near else f"a model has {', '.join(_TYPES)}"
            raise InvalidInput(f"{where}: unknown field {key!r}; {advice}")
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]
            raise InvalidInput(f"{where}: {key} must be {words}, not {value!r}")
        if isinstance(value, int | float) and not value >= 0:
            raise InvalidInput(f"{where}: {key} must not be negative, not {value!r}")
        checked[key] = value
    return checked


def _from_table(table: Mapping[str, Any], where: str, id: str = "custom") -> Model:
    values = {"id": id, "source": where} | _checked(table, where)
    values.setdefault("ffn_hidden", 0)
    heads = values.setdefault("heads", 0)
    values.setdefault("kv_heads", heads)
    for key in ("layers", "hidden", "vocab"):
        if key not in values:
            raise InvalidInput(
                f"{where}: {key} is missing; a shape needs layers, hidden, heads, ffn_hidden, vocab"
            )
    if "head_dim" not in values:
        if heads and values["hidden"] % heads:
            raise InvalidInput(
                f"{where}: hidden ({values['hidden']}) is no multiple of heads ({heads}); state head_dim"
            )
        values["head_dim"] = values["hidden"] // heads if heads else 0
    values.setdefault("max_context", 4096)
    return Model(**values)


def model_from_toml(path_or_text: str | Path, id: str = "custom") -> Model:
    """A model from a flat TOML table of the fields of `Model`.

    ``head_dim`` is ``hidden / heads`` unless stated, ``kv_heads`` is ``heads``, ``max_context`` is 4096.

    Parameters
    ----------
    path_or_text
        A file that ends in ``.toml``, or TOML itself.
    id
        Id, where the table states none; of a file its name.

    Raises
    ------
    InvalidInput
        Not TOML, an unknown or missing field, a value of the wrong type.

    Examples
    --------
    >>> model = model_from_toml("layers = 2\\nhidden = 64\\nheads = 4\\nffn_hidden = 256\\nvocab = 1000")
    >>> model.head_dim, model.kv_heads
    (16, 4)
    """
    where, text = "the shape", str(path_or_text)
    if isinstance(path_or_text, Path) or ("\n" not in text and text.endswith(".toml")):
        path = Path(path_or_text).expanduser()
        where, id = str(path), path.stem
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput(f"{path} is not a text file in UTF-8; give a shape in TOML") from None
        except OSError as error:
            raise InvalidInput(f"cannot read {path}: {error.strerror}; name an existing file") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{where} is not valid TOML, correct it: {error}") from None
    return _from_table(table, where, id)


def _from_stdin() -> Model:
    text = sys.stdin.read()
    if not text.lstrip().startswith("{"):
        return model_from_toml(text + "\n", "stdin")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"standard input is not JSON, correct it: {error}") from None
    return model_from_config(config, "stdin", "standard input")


def _base(text: str) -> Model:
    name = text.strip()
    id = aliases().get(name.lower(), name.lower())
    if id in models():
        return models()[id]
    if name == "-":
        return _from_stdin()
    suffix = Path(name).suffix.lower()
    if suffix == ".toml":
        return model_from_toml(Path(name))
    if suffix == ".gguf":
        from farthing.catalog.gguf import import_gguf

        return import_gguf(name)
    if suffix == ".json" or Path(name).expanduser().is_dir() or is_hub_id(name):
        return import_model(name)
    raise UnknownName("model", text, models(), _HINT)


def find_model(text: str, **overrides: Any) -> Model:
    """The model that a text names.

    Parameters
    ----------
    text
        A catalogue id or publisher's name; else a ``.toml``, ``.json`` or ``.gguf`` file, a folder with a
        ``config.json``, ``-`` for TOML or JSON on standard input, or a Hugging Face hub id ``org/name``.
    overrides
        Fields of `Model` to replace.

    Raises
    ------
    UnknownName
        Nothing has that name; offers the nearest ids.
    InvalidInput
        The file cannot be read or makes no sense, or an override does.

    Examples
    --------
    >>> find_model("llama-2-70b", max_context=32768).max_context
    32768
    """
    model = _base(text)
    if not overrides:
        return model
    return dataclasses.replace(model, **_checked(overrides, f"model {model.id!r}"))


def _meant(text: str) -> Any:
    """What a person means by the right side of ``FIELD=VALUE``."""
    word = text.strip()
    if word.lower() in ("true", "yes", "false", "no"):
        return word.lower() in ("true", "yes")
    try:
        number = parse_tokens(word)
    except InvalidInput:
        return word
    return int(number) if number.is_integer() else number


def parsed_changes(changes: Iterable[str]) -> dict[str, Any]:
    """Fields to replace, from texts such as ``layers=40``.

    Raises
    ------
    InvalidInput
        A text that is none.

    Examples
    --------
    >>> parsed_changes(["layers=12", "max_context=32k", "gated_ffn=no", "norm=layernorm"])
    {'layers': 12, 'max_context': 32000, 'gated_ffn': False, 'norm': 'layernorm'}
    """
    found = {}
    for change in changes:
        field, sign, value = change.partition("=")
        if not sign or not field.strip() or not value.strip():
            raise InvalidInput(f"{change!r} is not FIELD=VALUE; write e.g. layers=40")
        found[field.strip().lower().replace("-", "_")] = _meant(value)
    return found


def model_names() -> Mapping[str, str]:
    """Catalogue id by all names in lower case that a model of the catalogue goes by.

    Examples
    --------
    >>> names = model_names()
    >>> names["meta-llama/llama-2-70b-hf"], names["llama-2-70b"]
    ('llama-2-70b', 'llama-2-70b')
    """
    return {**{id: id for id in models()}, **aliases()}
