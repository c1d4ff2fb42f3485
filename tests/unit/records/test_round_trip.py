"""Every record survives JSON: record, text, record, nothing lost and nothing loosened."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from typing import Any

import msgspec
import pytest

import farthing
from farthing import api, catalog, records
from farthing.catalog.cluster import parse_cluster
from farthing.catalog.fault_presets import fault_presets
from farthing.catalog.load import table
from farthing.catalogue import catalog_row, catalog_rows
from farthing.design.compare import compare_cards
from farthing.estimate.chip import chip_cost
from farthing.estimate.summary import model_summary
from farthing.planning import compare
from farthing.records.accuracy import Accuracy, AccuracyOverview, Outcome, Refusal, Validation
from farthing.records.chart import Axis, Chart, Point, Series
from farthing.records.comparison import Case, Comparison, Interval, Likeness
from farthing.records.design import DesignResult
from farthing.records.efficiency import CollectiveEfficiency
from farthing.records.engine_efficiency import NO_OVERHEAD
from farthing.records.estimate import InferenceEstimate, TrainingEstimate
from farthing.records.fault_rates import FaultRates
from farthing.records.hardware import Price
from farthing.records.model import LayerKind
from farthing.records.parts import HostPart
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.price_update import PriceUpdate
from farthing.records.refit import Refit, RefitConstant
from farthing.records.residual import Residual
from farthing.records.search import Limits
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.search.inference import search_inference
from farthing.search.inference_space import Axes

MODULES = [
    importlib.import_module(f"farthing.records.{module.name}")
    for module in pkgutil.iter_modules(records.__path__)
]
RECORDS = {
    found
    for module in MODULES
    for _, found in inspect.getmembers(module, inspect.isclass)
    if dataclasses.is_dataclass(found) and found.__module__ == module.__name__
}


def round_trip(record: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(record), type=type(record), strict=True)


def samples() -> list[Any]:
    serving = farthing.infer(
        "mixtral-8x7b", "2x8:h100-sxm@ib-ndr", tp=8, pp=2, explain=True, sensitivity=True, draft_tokens=3
    )
    training = farthing.train(
        "llama-2-7b", "1x8:a100-sxm-80gb", tp=2, training_tokens=1e9, explain=True, sensitivity=True
    )
    load = InferenceWorkload(prompt_tokens=2000)
    searched = [
        search_inference(
            catalog.model("llama-2-70b"),
            parse_cluster("1x4:h100-sxm"),
            load,
            InferencePlan(engine="vllm"),
            axes=Axes.of(batch_size=[1, 8]),
            limits=limits,
        ).result
        for limits in (Limits(), Limits(ttft_s=1e-6))
    ]
    rows = [
        *catalog.accelerators().values(),
        *catalog.models().values(),
        *catalog.links().values(),
        *catalog.nics().values(),
        *catalog.switches().values(),
        *catalog.hosts().values(),
        *catalog.parts().values(),
        *table("host_parts.csv", HostPart).values(),
        *catalog.engines().values(),
        *catalog.wirings().values(),
        *catalog.checkpoints().values(),
        *catalog.chips().values(),
        *catalog.processes().values(),
        *catalog.memory_prices().values(),
        *catalog.package_prices().values(),
        *catalog.chip_bills().values(),
        *catalog.formats().values(),
        *catalog.countries().values(),
        *catalog.hostings().values(),
        *catalog.facilities().values(),
        *catalog.resales().values(),
        *catalog.efficiencies().values(),
        *catalog.product_efficiencies().values(),
        *catalog.attention_efficiencies().values(),
        *table("prices.csv", Price).values(),
        *catalog.api_prices().values(),
        *table("efficiency/collectives.csv", CollectiveEfficiency).values(),
    ]
    likeness = Likeness(what="decode", engine="vllm", hardware="hopper", regime="one card")
    case = Case(file="runs.csv", id="1", source="us", kind="inference", cells={"metric": "tpot_ms"})
    comparison = Comparison(
        case=case,
        quantity="tpot_ms",
        measured=20.0,
        predicted=21.0,
        low=18.0,
        high=25.0,
        simple=10.0,
        likeness=likeness,
    )
    figures = Accuracy(
        group="serving",
        cases=1,
        coverage=1.0,
        evidence=1,
        sources=1,
        median_error=0.05,
        p90_error=0.05,
        bias=1.05,
        baseline_error=0.2,
        inside_80=1.0,
    )
    return [
        *rows,
        NO_OVERHEAD,
        *compare("llama-2-7b", ["rtx-4090", "gtx-1070"]),
        chip_cost("mi300x", explain=True),
        comparison,
        Residual(likeness=likeness, source="us", cases=3, log_ratios=(-0.1, 0.0, 0.2)),
        Validation(
            cases=1,
            predicted=1,
            by_group=(figures,),
            by_source=(figures,),
            refusals=(Refusal(kind="inference", reason="unknown card", cases=2),),
            comparisons=(comparison,),
        ),
        *api.article_rows("chip"),
        *api.glossary(),
        catalog_rows("links"),
        *(catalog_row(name, id) for name, id in (("accelerators", "h100-sxm"), ("models", "llama-2-70b"))),
        AccuracyOverview(
            cases=3,
            predicted=1,
            fitted=0,
            by_group=(figures,),
            by_source=(figures,),
            refusals=(Refusal(kind="inference", reason="unknown card", cases=2),),
        ),
        Outcome(
            kind="cluster",
            file="cluster.csv",
            id="cl0000",
            group="cluster over slow links",
            quantity="ms_per_token",
            name="time per token",
            unit="ms",
            source="us",
            citation="arXiv:2312.08361",
            url="https://arxiv.org/abs/2312.08361",
            setup="BLOOM-176B on 3 servers",
            measured=585.0,
            predicted=607.0,
            low=400.0,
            high=700.0,
        ),
        Refit(
            file="mine.csv",
            rows=4,
            rows_fitted=4,
            runs=4,
            predicted=4,
            error_before=0.2,
            error_after=0.1,
            error_unseen=0.15,
            constants=(
                RefitConstant(engine="vllm", architecture="ada", name="memory_share", factor=0.9, runs=4),
            ),
            missing=("matmul_share",),
            refusals=(),
        ),
        PriceUpdate(
            file="rentals.csv",
            offers=2,
            priced_accelerators=1,
            providers=("AWS", "GCP"),
            missing_providers=("Nebius",),
            unknown_offers=3,
            unknown_names=("H100 80 GiB",),
        ),
        Interval(likeness=likeness, low=0.9, high=1.2, cases=10, sources=2, basis="of two sources"),
        LayerKind("window", "moe"),
        *compare_cards(catalog.model("llama-3.1-8b"), ["h100-sxm"]),
        Chart(
            title="Capital",
            kind="scatter",
            x=Axis(title="throughput", unit="tokens/s", scale="log"),
            y=Axis(title="capital", unit="USD"),
            series=(
                Series(
                    name="front",
                    points=(Point(x=1.0, y=2.0, label="a", link="https://example.org"),),
                    style="step",
                ),
            ),
        ),
        model_summary(catalog.model("deepseek-v3")),
        parse_cluster("1x2:rtx-4090+1x1:m2-ultra@1gbe"),
        parse_cluster("256x8:a100-sxm-80gb@ib-hdr"),
        TrainingPlan(tp=8, pp=4, schedule="interleaved", interleave=2, offload="optimizer"),
        InferencePlan(tp=2, stage_layers=(40, 40), weight_format="q4_k_m"),
        TrainingWorkload(
            sequence_tokens=4096, global_batch_size=1024, training_tokens=2e12, optimizer="muon"
        ),
        InferenceWorkload(batch_size=8, prefix_share=0.5, draft_tokens=4),
        serving,
        *api.batch_curve("mixtral-8x7b", "2x8:h100-sxm@ib-ndr", workload=serving.workload, plan=serving.plan),
        training,
        api.step_timeline("llama-2-7b", "1x8:a100-sxm-80gb", workload=training.workload, plan=training.plan),
        *searched,
        designed(),
        api.simulate_serving(
            "llama-3.1-8b", "h100-sxm", requests_per_s=5.0, requests=20, ttft_s=1.0, seek="replicas"
        ),
        FaultRates(lifetime="weibull", shape=0.8),
        *fault_presets().values(),
        api.simulate_faults("article-2048", runs=3, duration_s=20_000.0, spare_hosts=9, straggler_mtbf_s=1e8),
        farthing.search(
            "llama-2-7b", "1x4:a100-sxm-80gb", task="training", tp=1, front=("step", "usd")
        ).result,
        farthing.search("llama-3.1-8b", "1x1:rtx-4090+1x1:raspberry-pi-5@1gbe", batch_size=1).result,
        *(
            farthing.launch("deepspeed", one.model, cluster, workload=one.workload, plan=one.plan)
            for one, cluster in ((training, "1x8:a100-sxm-80gb"),)
        ),
    ]


def designed() -> DesignResult:
    """A design with a front, warnings, and alternatives to own."""
    return api.design(
        "llama-3.3-70b",
        tokens_per_s=100,
        accelerators=["rtx-4090"],
        front=("usd", "tpot"),
        site="datacentre",
        weight_format="int8",
        most_hosts=2,
    )


@pytest.fixture(scope="module")
def found() -> list[Any]:
    return samples()


def test_all_records_survive(found: list[Any]) -> None:
    for record in found:
        assert round_trip(record) == record


def inside(value: Any) -> set[type]:
    """Types of a record and of all records in it."""
    if dataclasses.is_dataclass(value):
        kinds = {type(value)}
        for field in dataclasses.fields(value):
            kinds |= inside(getattr(value, field.name))
        return kinds
    if isinstance(value, (tuple, list)):
        return set().union(*map(inside, value)) if value else set()
    return set()


def test_no_record_is_left_out(found: list[Any]) -> None:
    assert RECORDS - set().union(*map(inside, found)) == set()


@pytest.mark.parametrize(
    "kind", sorted(RECORDS, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__
)
def test_records_are_frozen_with_slots(kind: Any) -> None:
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
    documented = kind.__doc__ or ""
    assert not documented.startswith(f"{kind.__name__}("), "say what it is"


@pytest.mark.parametrize("kind", [InferenceEstimate, TrainingEstimate])
def test_wrong_types_are_refused(kind: type, found: list[Any]) -> None:
    record = next(one for one in found if isinstance(one, kind))
    text = (
        msgspec.json.encode(record)
        .replace(b'"fits":true', b'"fits":"yes"')
        .replace(b'"fits":false', b'"fits":"no"')
    )
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=kind)
