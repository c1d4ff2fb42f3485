"""Rows of engines' constants: what they may call cards and formats, and formats with bits of their own."""

from __future__ import annotations

import pytest

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.records.engine_efficiency import EngineEfficiency


def laid(
    *rows: EngineEfficiency, engine: str = "llama.cpp", card: str = "rtx-4090", id: str = "q4_k_m"
) -> float:
    return catalog.laid_over(
        rows, engine, catalog.accelerators()[card], catalog.number_format(id)
    ).memory_share


def row(
    engine: str = "*", architecture: str = "*", format: str = "*", share: float = 0.5
) -> EngineEfficiency:
    return EngineEfficiency(engine=engine, architecture=architecture, format=format, memory_share=share)


def test_makers_stand_for_graphics_processors_alone() -> None:
    assert laid(row(architecture="amd"), card="ryzen-ai-max-395") == 0.5
    assert laid(row(architecture="amd"), card="ryzen-9-7950x") == 1.0
    assert laid(row(architecture="geforce"), card="rtx-4090") == 0.5
    assert laid(row(architecture="geforce"), card="rtx-6000-ada") == 1.0


def test_kernels_are_shared_and_blocks_have_names() -> None:
    assert laid(row("llama.cpp"), engine="ik_llama.cpp") == 0.5
    assert laid(row("llama.cpp"), row("ik_llama.cpp", share=0.25), engine="ik_llama.cpp") == 0.25
    assert laid(row(format="gguf-k")) == laid(row(format="gguf-k"), id="q4_k_m@4.5") == 0.5
    assert laid(row(format="gguf-codebook"), id="iq2_xs-file") == 0.5
    assert laid(row(format="gguf-k"), id="q8_0") == 1.0


def test_formats_with_bits_of_their_own() -> None:
    assert catalog.number_format("q4_k_m@4.72").bits == 4.72
    with pytest.raises(InvalidInput, match="bits"):
        catalog.number_format("q4_k_m@many")
