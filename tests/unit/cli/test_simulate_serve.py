"""How ``farthing simulate serve`` reads what is typed, and what it asks the api."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
import pytest

import farthing
from farthing import api
from farthing.cli.main import cli
from farthing.cli.serve_options import LengthsType
from farthing.cli.simulate_serve import serve
from farthing.errors import FarthingError, InvalidInput
from farthing.estimate.disaggregated_text import disaggregated_plan
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool
from farthing.records.serving import Front, Lengths, Objectives, Scheduler, ServingResult, Traffic
from farthing.records.workload import InferenceWorkload

BASE = ("llama-3.1-8b", "--on", "1x4:h100-sxm")


@pytest.fixture(scope="module")
def result() -> ServingResult:
    return farthing.simulate_serving("llama-3.1-8b", "1x1:h100-sxm", requests_per_s=4.0, requests=5)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, result: ServingResult) -> Any:
    """What the command asks of the api, without the simulation."""

    def call(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def answer(model: Any, cluster: Any, **question: Any) -> ServingResult:
            found.update(question)
            return result

        monkeypatch.setattr(api, "simulate_serving", answer)
        cli.main(args=["simulate", "serve", *BASE, *arguments], standalone_mode=False)
        return {name: value for name, value in found.items() if value not in (None, [], "")}

    return call


def test_every_field_has_an_option() -> None:
    """Whoever adds a field adds its option, or says here why there is none."""
    names = {parameter.name for parameter in serve.params}
    without = {
        # What is fitted to measurements is no wish.
        Scheduler: {
            "id",
            "engines",
            "least_memory_bytes",
            "architectures",
            "source",
            "fitted_on",
            "request_s",
            "reading_kernel_s",
            "stream_s",
            "reading_factor",
        },
        Traffic: set(),
        Front: set(),
        Objectives: set(),
        # Follows from the scheduler's budget.
        InferencePlan: {"chunk_tokens"},
        api.CostBasis: set(),
        InferenceWorkload: {"batch_size", "prompt_tokens", "output_tokens", "context_tokens"},
        DisaggregatedPlan: set(),
    }
    for record, known in without.items():
        fields = {field.name for field in dataclasses.fields(record)}
        assert fields - names == known, record.__name__


def test_every_option_has_a_section_and_help() -> None:
    for parameter in serve.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.split("  [")[0].rstrip().endswith((".", "]")), parameter.help
    assert all("-" not in (parameter.name or "") for parameter in serve.params)


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (("--rate", "5"), {"requests_per_s": 5.0, "arrivals": "poisson"}),
        (("--users", "2k", "--think", "20s"), {"users": 2000, "think_s": 20.0, "arrivals": "closed"}),
        (("--rate", "1", "--burstiness", "2"), {"arrivals": "gamma", "burstiness": 2.0}),
        (("--rate", "1", "--day", "1h", "--swing", "1"), {"arrivals": "diurnal", "day_s": 3600.0}),
        (("--trace", "a.csv", "--rate", "3"), {"arrivals": "trace", "trace": Path("a.csv")}),
        (
            ("--trace", "a.csv", "--trace-columns", "arrival=t:ms, prompt=a,output=b"),
            {"trace_columns": {"arrival": "t:ms", "prompt": "a", "output": "b"}},
        ),
        (("--find-rate", "--ttft", "50ms"), {"seek": "rate", "ttft_s": 0.05}),
        (("--rate", "9", "--size", "--e2e", "2min"), {"seek": "replicas", "e2e_s": 120.0}),
        (
            ("--rate", "9", "--prompt", "lognormal:2k:1.5:16k", "--output", "uniform:100:0.5"),
            {
                "prompt": Lengths(kind="lognormal", tokens=2000, spread=1.5, most=16000),
                "output": Lengths(kind="uniform", tokens=100, spread=0.5),
            },
        ),
        (("--rate", "9", "--priorities", "1, 2.5"), {"priorities": (1.0, 2.5)}),
        (("--rate", "9", "--no-mixes", "--slots"), {"mixes": False, "slots": True}),
        (("--rate", "9", "--no-prefix-caching", "--chunks"), {"prefix_caching": False, "chunks": True}),
        (("--rate", "9", "--seed", "0", "--warm-up", "10"), {"seed": 0, "warm_up": 10}),
        (("--rate", "9", "--ideal", "--weights", "fp8"), {"ideal": True, "weight_format": "fp8"}),
        (
            ("--rate", "9", "--prefill", "tp=2", "--decode", "dp=2", "--engine", "sglang"),
            {
                "plan": DisaggregatedPlan(
                    prefill=InferencePlan(tp=2, engine="sglang"),
                    decode=InferencePlan(dp=2, engine="sglang"),
                    prefill_pool=Pool(accelerators_per_host=2),
                    decode_pool=Pool(accelerators_per_host=2),
                )
            },
        ),
    ],
)
def test_options_become_the_question(
    asked: Any, arguments: tuple[str, ...], question: dict[str, Any]
) -> None:
    found = asked(*arguments)
    assert {name: found.get(name) for name in question} == question


def test_what_is_not_given_is_not_asked(asked: Any) -> None:
    assert set(asked("--rate", "5")) == {"requests_per_s", "arrivals", "ideal", "progress"}


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("1000", Lengths(tokens=1000)),
        ("1k", Lengths(tokens=1000)),
        ("fixed:12", Lengths(tokens=12)),
        ("Lognormal:1000:0.8", Lengths(kind="lognormal", tokens=1000, spread=0.8)),
        ("uniform:10:1:15", Lengths(kind="uniform", tokens=10, spread=1, most=15)),
    ],
)
def test_lengths(text: str, lengths: Lengths) -> None:
    assert LengthsType().convert(text, None, None) == lengths
    assert LengthsType().convert(lengths, None, None) is lengths


@pytest.mark.parametrize(
    "text",
    ["", "x", "0", "-5", "nan", "1e300", "1:2", "normal:3:4", "lognormal:5", "uniform:1:2:3:4", "uniform:9:2",
     "lognormal:9:x", "lognormal:9:1:0", "lognormal:9:1:1.5", "fixed:", "1,2"],
)  # fmt: skip
def test_bad_lengths(text: str) -> None:
    with pytest.raises((click.BadParameter, InvalidInput)):
        LengthsType().convert(text, None, None)


def plan(cluster: str, native: str = "", **options: str) -> DisaggregatedPlan | None:
    return disaggregated_plan(dict(options), api.find_cluster(cluster), native)


def test_pools_follow_from_the_splits() -> None:
    found = plan("2x8:h100-sxm@ib-ndr", prefill="tp=8", decode="tp=2,pp=2,dp=2,weights=fp8,micro-batches=2")
    assert found is not None
    assert found.prefill_pool == Pool(accelerators_per_host=8)
    assert found.decode_pool == Pool(accelerators_per_host=8)
    assert found.decode == InferencePlan(tp=2, pp=2, dp=2, weight_format="fp8", micro_batches=2)
    whole = plan("4x8:h100-sxm@ib-ndr", prefill="tp=8,dp=2", decode="tp=8", native="fp8")
    assert whole is not None
    assert whole.prefill_pool == Pool(hosts=2, accelerators_per_host=8)
    assert whole.prefill.weight_format == whole.decode.weight_format == "fp8"
    mixed = plan("1x4:h100-sxm+1x4:a100-sxm-80gb@ib-ndr", prefill="tp=4", decode="tp=4")
    assert mixed is not None
    assert (mixed.prefill_pool.group, mixed.decode_pool.group) == (0, 1)
    named = plan(
        "1x4:h100-sxm+1x4:a100-sxm-80gb@ib-ndr",
        prefill="tp=4",
        decode="tp=2",
        prefill_pool="1x4:A100-SXM-80GB",
        decode_pool="1x2:h100-sxm",
    )
    assert named is not None
    assert (named.prefill_pool.group, named.decode_pool.group) == (1, 0)
    assert plan("1x8:h100-sxm") is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prefill": "tp=2"}, "--prefill needs --decode"),
        ({"decode": "tp=2"}, "--decode needs --prefill"),
        ({"decode_pool": "1x2"}, "goes with --prefill and --decode"),
        ({"prefill": "tp", "decode": "tp=1"}, "not FIELD=VALUE"),
        ({"prefill": "tp=2,tp=4", "decode": "tp=1"}, "twice"),
        ({"prefill": "tpp=2", "decode": "tp=1"}, "did you mean tp|one of tp"),
        ({"prefill": "tp=x", "decode": "tp=1"}, "not a whole number"),
        ({"prefill": "tp=0", "decode": "tp=1"}, "at least 1"),
        ({"prefill": "tp=1", "decode": "tp=1", "prefill_pool": "4"}, "not HOSTSxCARDS"),
        ({"prefill": "tp=1", "decode": "tp=1", "prefill_pool": "0x4"}, "no cards"),
        ({"prefill": "tp=1", "decode": "tp=1", "decode_pool": "1x4:h100"}, "h100-sxm"),
        ({"prefill": "tp=4,dp=3", "decode": "tp=1"}, "no whole hosts of 8"),
        ({"prefill": "tp=1", "decode": "tp=1", "tp": 2}, "inside --prefill and --decode"),
    ],
)
def test_bad_splits(options: dict[str, Any], said: str) -> None:
    with pytest.raises(FarthingError, match=said):
        plan("2x8:h100-sxm@ib-ndr", **options)
