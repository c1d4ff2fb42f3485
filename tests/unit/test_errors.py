"""The exception tree: what callers can catch, what they read, and what the shell gets."""

from __future__ import annotations

import pickle

import pytest

import farthing
from farthing import catalog
from farthing.errors import CatalogError, FarthingError, Infeasible, InvalidInput, UnknownName


def test_tree() -> None:
    assert issubclass(InvalidInput, FarthingError)
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(UnknownName, InvalidInput)
    assert issubclass(CatalogError, FarthingError)
    assert not issubclass(CatalogError, ValueError)
    assert issubclass(Infeasible, FarthingError)


def test_exit_codes() -> None:
    codes = {FarthingError: 1, CatalogError: 1, InvalidInput: 2, UnknownName: 2, Infeasible: 3}
    assert {kind: kind.exit_code for kind in codes} == codes


def test_unknown_names_offer_the_nearest() -> None:
    error = UnknownName("model", "llama-2-71b", ["llama-2-70b", "mixtral-8x7b"])
    assert error.nearest == ("llama-2-70b",)
    assert "did you mean llama-2-70b?" in str(error)
    lost = UnknownName("model", "zzz", ["llama-2-70b"], "see the list")
    assert lost.nearest == ()
    assert "see the list" in str(lost)


def test_catalogue_errors_say_where() -> None:
    error = CatalogError("models.csv", "m", "layers", "is empty but required")
    assert str(error) == "models.csv: record 'm', field 'layers': is empty but required"
    assert (error.file, error.record, error.field) == ("models.csv", "m", "layers")


def test_infeasible_counts_its_reasons() -> None:
    assert Infeasible("none fits", {"memory": 12}).reasons == {"memory": 12}
    assert Infeasible("none fits").reasons == {}


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("wrong"),
        UnknownName("model", "x", ["y"]),
        CatalogError("f", "r", "c", "p"),
        Infeasible("none", {"memory": 1}),
    ],
)
def test_errors_cross_processes(error: FarthingError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert isinstance(again, FarthingError)
    assert again.exit_code == error.exit_code


@pytest.mark.parametrize(
    ("look_up", "name"),
    [
        (catalog.accelerator, "rtx-4091"),
        (catalog.model, "llama-2-7"),
        (catalog.link, "1gb"),
        (catalog.engine, "vlm"),
        (catalog.number_format, "bf17"),
    ],
)
def test_the_catalogue_offers_names(look_up: object, name: str) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        look_up(name)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"tp": 3}, "heads"),
        ({"tp": 8, "pp": 81}, "layers"),
        ({"tp": 16}, "cards"),
        ({"dp": 2, "tp": 4}, "batch"),
        ({"tp": 8, "ep": 2}, "mixture-of-experts"),
        ({"tpp": 8}, "did you mean"),
        ({"weight_format": "bf17"}, "did you mean"),
        ({"kv_format": "q4_k_m"}, "KV cache"),
        ({"tp": 4, "pp": 2, "stage_layers": (1, 2)}, "stage_layers"),
    ],
)
def test_impossible_plans_say_what_would_do(options: dict[str, object], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        farthing.infer("llama-2-70b", "1x8:rtx-4090", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"global_batch_size": 7}, "multiple"),
        ({"cp": 8, "sequence_tokens": 1001, "global_batch_size": 8}, "divide the sequence"),
        ({"interleave": 2, "pp": 2, "global_batch_size": 8}, "interleaved"),
        ({"schedule": "interleaved", "interleave": 2, "pp": 4, "global_batch_size": 6}, "multiple of pp"),
        ({"pp": 64}, "layers"),
    ],
)
def test_impossible_training_plans_too(options: dict[str, object], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        farthing.train("llama-2-7b", "1x8:a100-sxm-80gb", **options)  # type: ignore[arg-type]


def test_what_must_fit_and_does_not() -> None:
    with pytest.raises(Infeasible, match="would fit"):
        farthing.infer("llama-2-70b", "1x4:rtx-4090", must_fit=True)
    with pytest.raises(Infeasible, match="more a card"):
        farthing.train("llama-2-70b", "1x8:rtx-4090", must_fit=True)
