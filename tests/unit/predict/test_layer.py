"""One layer: its matrices."""

import pytest

from farthing.catalog import model, models
from farthing.predict.layer import Shards, products
from farthing.predict.parameters import layer_parameters


@pytest.mark.parametrize("name", sorted(models()))
def test_products_hold_the_matrices(name: str) -> None:
    """What a layer multiplies by is what it stores; convolutions and vectors of linear layers aside."""
    shape = model(name)
    for kind in dict.fromkeys(shape.layer_kinds):
        held = layer_parameters(shape, kind)
        matrices = held.total - held.norms - held.biases - held.routed_experts
        used = sum(p.inputs * p.outputs for p in products(shape, kind, Shards()))
        assert used == pytest.approx(matrices, rel=2e-3 if kind.mixer == "linear" else 1e-12)
