"""Every build that is offered can be put together, fed, joined and paid as it says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tests.property.build_checks import check

from farthing import api
from farthing.design import answer as design_answer
from farthing.records.design import DesignResult

MODELS = ("llama-3.2-1b", "llama-3.1-8b", "qwen2.5-32b", "llama-3.3-70b", "mixtral-8x7b")
CARDS = (
    "rtx-3090",
    "rtx-4090",
    "rtx-5090",
    "v100-pcie-16gb",
    "a100-sxm-80gb",
    "h100-sxm",
    "l40s",
    "m3-ultra",
    "arc-a770",
    "rx-7900-xtx",
    "mi300x",
)


@st.composite
def questions(draw: DrawFn) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "model": draw(st.sampled_from(MODELS)),
        "accelerators": draw(st.lists(st.sampled_from(CARDS), min_size=1, max_size=3, unique=True)),
        "tokens_per_s": 10 ** draw(st.floats(1, 4)),
        "trough_share": draw(st.sampled_from((0.2, 1.0))),
        "prompt_tokens": draw(st.sampled_from((200, 4000))),
        "output_tokens": draw(st.sampled_from((100, 800))),
        "ways": draw(st.sampled_from(("own", "rent", "either"))),
        "condition": draw(st.sampled_from(("any", "new", "used"))),
        "objective": draw(st.sampled_from(("usd", "power", "tpot"))),
        "elastic": draw(st.booleans()),
        "top": 4,
        "most_hosts": draw(st.sampled_from((1, 4, 8))),
    }
    if draw(st.booleans()):
        asked["country"] = draw(st.sampled_from(("us", "de", "cn", "jp")))
    asked["site"] = draw(st.sampled_from(("home", "datacentre")))
    limits = {
        "tpot_s": st.sampled_from((0.02, 0.05, 0.1)),
        "ttft_s": st.sampled_from((1.0, 10.0)),
        "capital_usd": st.sampled_from((1e4, 1e5)),
        "power_w": st.sampled_from((3e3, 3e4)),
        "usd_per_million_tokens": st.sampled_from((0.3, 3.0)),
    }
    chosen = draw(st.lists(st.sampled_from(tuple(limits)), max_size=2, unique=True))
    asked |= {name: draw(limits[name]) for name in chosen}
    if draw(st.booleans()):
        asked["front"] = ("usd", "tpot")
    if draw(st.booleans()):
        asked |= {"annual_interest": 0.08, "residual_share": 0.3}
    return asked


def answer(**asked: Any) -> DesignResult:
    """Without what other prices would change, for which eight more designs are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(design_answer, "_changes", lambda *_: ())
        return api.design(**asked)


@settings(max_examples=80)
@given(questions())
def test_what_is_offered_can_be_built_and_does_the_job(asked: dict[str, Any]) -> None:
    result = answer(**asked)
    check(result)
    assert result.best or result.miss
    assert result.candidates >= result.evaluated


def test_builds_of_all_accelerators_pass() -> None:
    result = answer(model="llama-3.1-8b", tokens_per_s=2000, tpot_s=0.1, top=60, country="us", most_hosts=4)
    assert len(result.best) > 30
    check(result)
