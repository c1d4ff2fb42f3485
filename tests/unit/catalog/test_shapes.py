"""Models by name, file, or own shape."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from farthing.catalog import models
from farthing.catalog.shapes import aliases, find_model, model_from_toml
from farthing.errors import InvalidInput, UnknownName

SHAPE = "layers = 2\nhidden = 64\nheads = 4\nffn_hidden = 256\nvocab = 1000\n"
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "vocab_size": 1000,
}


def test_a_catalogue_id_and_a_publishers_name() -> None:
    assert find_model("llama-2-70b") is models()["llama-2-70b"]
    assert find_model(" LLaMA-2-70B ").id == "llama-2-70b"
    assert find_model("Qwen/qwen3-8b").id == "qwen3-8b"
    assert set(aliases().values()) == set(models())


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="llama-2-70b"):
        find_model("lama-2-70b")
    with pytest.raises(UnknownName, match="farthing model list"):
        find_model("@@@@@@")


def test_defaults_of_a_shape() -> None:
    model = model_from_toml(SHAPE)
    assert (model.head_dim, model.kv_heads, model.max_context, model.id) == (16, 4, 4096, "custom")
    assert model.gated_ffn


def test_a_shape_may_state_everything() -> None:
    text = (
        SHAPE + 'id = "mine"\nkv_heads = 2\nhead_dim = 32\ntied_embeddings = true\npublished_parameters = 7\n'
    )
    model = model_from_toml(text)
    assert (model.id, model.kv_heads, model.head_dim, model.tied_embeddings) == ("mine", 2, 32, True)
    assert model.published_parameters == 7.0


def test_a_toml_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(SHAPE)
    model = find_model(str(file), layers=3)
    assert (model.id, model.layers, model.source) == ("mine", 3, str(file))


def test_a_shape_without_attention_needs_no_heads() -> None:
    model = model_from_toml(
        'layers = 2\nhidden = 64\nvocab = 1000\nmixer_pattern = "n"\nffn_hidden = 8\nmax_context = 9\n'
    )
    assert (model.heads, model.max_context) == (0, 9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SHAPE + "hiden = 3\n", ["hiden", "did you mean hidden"]),
        (SHAPE + "zzzzzz = 3\n", ["zzzzzz", "a model has"]),
        (SHAPE + 'kv_heads = "2"\n', ["kv_heads", "whole number"]),
        (SHAPE + "kv_heads = 2.0\n", ["kv_heads", "whole number"]),
        (SHAPE + "kv_heads = true\n", ["kv_heads", "whole number"]),
        (SHAPE + "kv_heads = -2\n", ["kv_heads", "negative"]),
        (SHAPE + "kv_compression = nan\n", ["kv_compression"]),
        (SHAPE + "kv_heads = 3\n", ["kv_heads", "divide"]),
        (SHAPE + "gated_ffn = 1\n", ["gated_ffn", "true or false"]),
        (SHAPE + "[model]\nheads = 2\n", ["model"]),
        ("layers = 2\n", ["hidden is missing"]),
        ("layers = 2\nhidden = 63\nheads = 4\nvocab = 9\nffn_hidden = 4\n", ["head_dim"]),
        ("layers = \n", ["not valid TOML"]),
        ("layers = 2\nhidden = 64\nvocab = 9\nffn_hidden = 4\n", ["heads"]),
    ],
)
def test_a_shape_that_makes_no_sense(text: str, words: list[str]) -> None:
    with pytest.raises(InvalidInput) as error:
        model_from_toml(text)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_missing_toml_file() -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.toml"):
        find_model("nowhere.toml")


def test_a_configuration_by_file_and_by_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert find_model(str(tmp_path)).layers == 2
    assert find_model(str(tmp_path / "config.json"), vocab=7).vocab == 7
    with pytest.raises(InvalidInput, match="no file"):
        find_model(str(tmp_path / "other.json"))


def test_a_gguf_path_goes_to_the_gguf_reader(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"m\.gguf"):
        find_model(str(tmp_path / "m.gguf"))


@pytest.mark.parametrize("text", [SHAPE, json.dumps(CONFIG)])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    model = find_model("-")
    assert (model.id, model.layers, model.hidden) == ("stdin", 2, 64)


@pytest.mark.parametrize("text", ["", "{", "{}", "layers"])
def test_bad_standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with pytest.raises(InvalidInput):
        find_model("-")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"layer": 3}, "layer"),
        ({"layers": "3"}, "whole number"),
        ({"layers": 0}, "layers"),
        ({"kv_heads": 5}, "kv_heads"),
    ],
)
def test_an_override_is_checked(change: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        find_model("llama-2-7b", **change)
