"""Values, sections and completion of options; every field of a record has one."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

from farthing.catalog.shapes import parsed_changes
from farthing.cli.infer import infer
from farthing.cli.main import cli
from farthing.cli.options import Count, CountList, Number, Tokens, Word
from farthing.cli.train import train
from farthing.errors import InvalidInput, UnknownName
from farthing.estimate.cost import CostBasis
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.workload import InferenceWorkload, TrainingWorkload


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Count(), "8", 8),
        (Count(), "4k", 4000),
        (Count(), "4096", 4096),
        (Count(), " 1.5M ", 1_500_000),
        (Count(0), "0", 0),
        (Tokens(), "2T", 2e12),
        (Tokens(), "15.6B", 15.6e9),
        (Number(), "0.25", 0.25),
        (Number(), "1e3", 1000.0),
        (Word(("fast", "slow")), "FAST", "fast"),
        (CountList(), "20,20, 40", (20, 20, 40)),
    ],
)
def test_values(kind: Any, text: str, value: Any) -> None:
    assert kind.convert(text, None, None) == value
    assert type(kind.convert(text, None, None)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Count(), "0"),
        (Count(), "-3"),
        (Count(), "1.5"),
        (Count(), "nan"),
        (Count(), "1e10"),
        (Count(least=1, most=100), "101"),
        (Tokens(), "0"),
        (Tokens(), "inf"),
        (Tokens(), "1e19"),
        (Number(0, 1), "1.01"),
        (Number(), "nan"),
        (Number(), "inf"),
        (Number(), "x"),
        (CountList(), "1,,2"),
    ],
)
def test_values_that_are_refused(kind: Any, text: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)


def test_a_word_that_is_none_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean slow"):
        Word(("fast", "slow")).convert("slo", None, None)


def test_changes() -> None:
    assert parsed_changes(["layers=40", "max-context=32k", "norm = layernorm", "qk_norm=true"]) == {
        "layers": 40,
        "max_context": 32000,
        "norm": "layernorm",
        "qk_norm": True,
    }
    for text in ("layers", "=3", "layers=", " = "):
        with pytest.raises(InvalidInput, match="FIELD=VALUE"):
            parsed_changes([text])


@pytest.mark.parametrize(
    ("command", "records"),
    [
        (infer, (InferenceWorkload, InferencePlan, CostBasis)),
        (train, (TrainingWorkload, TrainingPlan, CostBasis)),
    ],
    ids=["infer", "train"],
)
def test_every_field_has_an_option(command: click.Command, records: tuple[Any, ...]) -> None:
    options = {param.name: param for param in command.params}
    for record in records:
        for field in dataclasses.fields(record):
            assert f"--{field.name.replace('_', '-')}" in options[field.name].opts


@pytest.mark.parametrize("command", [infer, train])
def test_help_states_the_defaults_of_cost(command: click.Command) -> None:
    options = {param.name: param for param in command.params}
    for name in ("usd_per_kwh", "years", "pue"):
        help_text = options[name].help  # type: ignore[attr-defined]
        assert f"[default: {getattr(CostBasis(), name):g}]" in help_text


def test_help_is_in_sections() -> None:
    text = infer.get_help(click.Context(infer, info_name="infer"))
    places = [text.index(f"\n{title}") for title in ("Model:", "Hardware:", "Workload:", "Plan", "Cost:")]
    assert places == sorted(places)
    assert text.index("\nOutput:") > places[-1]


def completed(arguments: list[str], incomplete: str) -> list[str]:
    shell = ShellComplete(cli, {}, "farthing", "_FARTHING_COMPLETE")
    return [item.value for item in shell.get_completions(arguments, incomplete)]


@pytest.mark.parametrize(
    ("arguments", "incomplete", "expected"),
    [
        ([], "in", "infer"),
        (["gpu"], "co", "compare"),
        (["infer"], "llama-2-7", "llama-2-70b"),
        (["infer", "llama-2-7b", "--on"], "rtx-409", "rtx-4090"),
        (["infer", "llama-2-7b", "--on"], "2x4:rtx-409", "2x4:rtx-4090"),
        (["infer", "llama-2-7b", "--on"], "2x4:rtx-4090@25", "2x4:rtx-4090@25gbe"),
        (["infer", "llama-2-7b", "--on"], "1x2:rtx-4090+1x1:m2-u", "1x2:rtx-4090+1x1:m2-ultra"),
        (["infer", "llama-2-7b", "--weights"], "q4_k", "q4_k_m"),
        (["infer", "llama-2-7b", "--engine"], "vl", "vllm"),
        (["train", "llama-2-7b", "--schedule"], "zero", "zero-bubble"),
        (["gpu", "show"], "h100-s", "h100-sxm"),
        (["gpu", "compare", "rtx-4090"], "h100-s", "h100-sxm"),
        (["cluster", "show"], "8:mi300", "8:mi300x"),
        (["completion"], "z", "zsh"),
    ],
)
def test_completion(arguments: list[str], incomplete: str, expected: str) -> None:
    assert expected in completed(arguments, incomplete)


@pytest.mark.parametrize("incomplete", ["nothing-like-it"])
def test_a_model_may_be_a_file(incomplete: str) -> None:
    shell = ShellComplete(cli, {}, "farthing", "_FARTHING_COMPLETE")
    assert [item.type for item in shell.get_completions(["infer"], incomplete)] == ["file"]
