"""Which layers lie where."""

import numpy as np
import pytest

from farthing.catalog import model
from farthing.predict.stages import even_layers, layer_kinds, stages


def test_spare_layers_go_to_the_middle() -> None:
    assert even_layers(10, 4) == (2, 3, 3, 2)
    assert even_layers(11, 4) == (3, 3, 3, 2)
    assert even_layers(7, 7) == (1,) * 7
    assert even_layers(5, 1) == (5,)


@pytest.mark.parametrize("name", ["llama-2-70b", "deepseek-v3", "gemma-3-27b"])
@pytest.mark.parametrize("pp", [1, 2, 5, 8])
def test_stages_hold_every_layer_once(name: str, pp: int) -> None:
    shape = model(name)
    found = stages(shape, pp)
    assert sum(stage.copies for stage in found) == pp
    assert sum(stage.copies * stage.layers for stage in found) == shape.layers
    for place, kind in enumerate(layer_kinds(shape)):
        held = sum(stage.copies * stage.counts[place] for stage in found)
        assert held == shape.layer_kinds.count(kind)
    assert sum(stage.copies * stage.first for stage in found) == 1
    assert sum(stage.copies * stage.last for stage in found) == 1


def test_first_dense_layers_lie_on_the_first_stage() -> None:
    first, *others = stages(model("deepseek-v3"), 8)
    assert first.counts[0] == 3
    assert all(stage.counts[0] == 0 for stage in others)


def test_a_given_split() -> None:
    found = stages(model("llama-2-70b"), 3, (40, 30, 10))
    assert [stage.layers for stage in found] == [40, 30, 10]


def test_columns() -> None:
    shape = model("llama-2-70b")
    found = stages(shape, np.array([1, 2, 8]))
    total = sum(stage.copies * stage.layers for stage in found)
    assert total.tolist() == [80, 80, 80]
    assert sum(stage.copies for stage in found).tolist() == [1, 2, 8]
