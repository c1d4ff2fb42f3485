"""Exchanges through one machine: the engine's own counts of bytes, and limits."""

import pytest

import farthing
from farthing import catalog
from farthing.predict.rooted import mesh_time_s, rooted_elements, rooted_time_s


@pytest.mark.parametrize(
    ("model", "nodes", "slices", "kilobytes"),
    [
        ("llama-2-7b", 4, True, 2830),
        ("llama-2-70b", 8, True, 32873),
        ("llama-3-8b", 4, False, 1632),
        ("llama-3-8b", 8, False, 3808),
    ],
)
def test_bytes_are_those_that_the_engine_counts(model: str, nodes: int, slices: bool, kilobytes: int) -> None:
    shape = catalog.model(model)
    elements = rooted_elements(shape, shape.layer_kinds[0], nodes - 1, slices=slices)
    whole = elements * shape.layers * (nodes - 1) * 1.0625 / 1024
    assert whole == pytest.approx(kilobytes, rel=1e-3)


def test_a_lone_machine_exchanges_nothing() -> None:
    assert rooted_time_s(1e6, 0, bytes_per_s=1e8, latency_s=1e-3, steps=4) == 0
    assert mesh_time_s(1e6, 1, bytes_per_s=1e8, latency_s=1e-3) == 0


def test_a_client_outside_pays_half_a_round_trip_for_each_server_and_one_more() -> None:
    times = [
        farthing.infer(
            "bloom-176b", f"3x1:a100@{link}", tp=1, pp=3, engine="petals", weight_format="bnb-int8",
            prompt_tokens=127, output_tokens=2,
        ).tpot_s
        for link in ("wan-100m-5ms", "wan-100m-100ms")
    ]  # fmt: skip
    assert times[1] - times[0] == pytest.approx((3 + 1) * 0.095 / 2, rel=1e-3)
