"""The views of serving: their numbers, commands and calls are those of the front door."""

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import click
import pytest

from farthing.cli.compare import compare as compare_command
from farthing.cli.infer import infer as infer_command
from farthing.report.encoding import json_text
from farthing.web.answers import Reply
from farthing.web.asks import read_question
from farthing.web.views import VIEWS

Ask = Callable[..., Reply]

QUESTIONS = [
    {"model": "llama-2-70b", "cluster": "1x8:rtx-4090", "context_tokens": "4096"},
    {"model": "llama-2-7b", "cluster": "rtx-4090", "tp": "1", "batch_size": "1,8", "objective": "usd"},
    {"model": "llama-2-7b", "cluster": "rtx-4090", "search": "no", "weight_format": "q4_k_m", "ideal": "yes"},
    {"model": "llama-2-70b", "cluster": "rtx-4090"},
    {"model": "llama-2-7b", "cluster": "rtx-4090", "tpot_s": "1ms"},
    {"model": "llama-2-7b", "cluster": "2x2:rtx-3090@10gbe", "changes": "layers=16,max_context=8k"},
    {"model": "llama-2-7b", "cluster": "rtx-4090", "launch": "vllm", "front": "tpot,usd", "top": "3"},
    {"model": "llama-2-7b", "cluster": "rtx-4090", "usd_per_kwh": "0.3", "stage_layers": "32", "years": "2"},
]
COMPARED = [
    {"model": "llama-2-70b", "clusters": "1x8:rtx-4090,1x8:h100-sxm", "batch_size": "16"},
    {"model": "llama-2-70b", "clusters": "rtx-4090,1x8:h100-sxm", "tpot_s": "50ms"},
]
BOTH = [*(("inference", one) for one in QUESTIONS), *(("compare", one) for one in COMPARED)]


@pytest.mark.parametrize(("view", "question"), BOTH)
def test_the_command_of_a_page_gives_what_its_json_says(
    ask: Ask, command_json: Callable[[str], Any], view: str, question: dict[str, str]
) -> None:
    given = read_question(VIEWS[view].question, question).given
    command = VIEWS[view].command_line(given)
    assert json.loads(ask(view, **question).body) == command_json(command)


@pytest.mark.parametrize(("view", "question"), [BOTH[0], BOTH[1], BOTH[5], BOTH[-1]])
def test_the_call_of_a_page_gives_what_its_json_says(ask: Ask, view: str, question: dict[str, str]) -> None:
    given = read_question(VIEWS[view].question, question).given
    *imports, call = VIEWS[view].python_call(given).split("\n\n")
    names: dict[str, Any] = {}
    exec("\n".join(imports), names)
    found = json.loads(json_text(eval(call, names)))
    found = {**found[0], "search": found[1]} if view == "inference" and found[1] else found
    said = json.loads(ask(view, **question).body)
    if view == "inference":
        # The page says besides what a better part gives.
        for one in (said, found):
            one["sensitivity"], one["search"]["best"][0]["inference"]["sensitivity"] = [], []
    assert found == said


@pytest.mark.parametrize(("view", "command"), [("inference", infer_command), ("compare", compare_command)])
def test_a_view_asks_all_that_its_command_does(view: str, command: click.Command) -> None:
    options = {name for param in command.params for name in [*param.opts, *param.secondary_opts]}
    asked = {word for ask in VIEWS[view].asks for word in ask.option.split("/") if word.startswith("--")}
    assert asked <= options
    output = {"--json", "--debug", "--chart", "--plot", "--explain", "--explain-depth", "--sensitivity"}
    missing = [
        param.opts
        for param in command.params
        if isinstance(param, click.Option) and not asked & {*param.opts, *param.secondary_opts}
    ]
    left = [names for names in missing if not output & set(names)]
    assert left in ([], [["--front"], ["--top"]])  # of several clusters each has one plan


def values_of(page: bytes) -> list[float]:
    return [float(value) for value in re.findall(r'<data value="([^"]+)"', page.decode())]


@pytest.mark.parametrize("question", [QUESTIONS[0], QUESTIONS[1], QUESTIONS[6]])
def test_the_page_shows_the_numbers_of_the_json(ask: Ask, question: dict[str, str]) -> None:
    said = json.loads(ask("inference", **question).body)
    shown = values_of(ask("inference", "page", **question).body)
    for name in ("tokens_per_s", "tpot_s", "ttft_s", "power_w"):
        assert said[name] in shown, name
    assert said["memory"]["total_bytes"] in shown
    assert all(cost["usd_per_million_tokens"] in shown for cost in said["costs"])


def test_the_page_says_what_does_not_fit(ask: Ask) -> None:
    page = ask("inference", "page", **QUESTIONS[3]).body.decode()
    assert "does not fit" in page
    assert "GiB more" in page
    late = ask("inference", "page", **QUESTIONS[4]).body.decode()
    assert "No plan keeps the limits" in late


def test_tables_are_csv(ask: Ask) -> None:
    reply = ask("inference", "csv", **QUESTIONS[0])
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(reply.body.decode()))}
    said = json.loads(ask("inference", **QUESTIONS[0]).body)
    assert float(rows["tpot_s"]["value"]) == said["tpot_s"]
    assert rows["tpot_s"]["unit"] == "s"
    assert float(rows["tpot_s"]["low_80"]) < said["tpot_s"] < float(rows["tpot_s"]["high_80"])
    compared = list(csv.DictReader(io.StringIO(ask("compare", "csv", **COMPARED[0]).body.decode())))
    assert {row["cluster"] for row in compared} == {"1x8:rtx-4090", "1x8:h100-sxm"}


@pytest.mark.parametrize("number", ["tpot_s", "ttft_s", "tokens_per_s", "memory", "costs", "power_w"])
def test_numbers_are_explained(ask: Ask, number: str) -> None:
    text = ask("inference", "explain", number=number, **QUESTIONS[0]).body.decode()
    assert len(text) > 80
    if number in ("tpot_s", "ttft_s", "tokens_per_s", "memory"):
        assert "Derivation" in text


def test_a_name_that_is_no_number_is_refused(ask: Ask) -> None:
    reply = ask("inference", "explain", number="<b>", **QUESTIONS[0])
    assert reply.status == 404
    assert b"<b>" not in reply.body


def test_the_compared_table_marks_the_best(ask: Ask) -> None:
    page = ask("compare", "page", **COMPARED[0]).body.decode()
    assert page.count(", the best") >= 10
    said = json.loads(ask("compare", **COMPARED[0]).body)
    shown = values_of(page.encode())
    assert all(one["estimate"]["tokens_per_s"] in shown for one in said)


def test_the_first_question_is_shown_before_any_is_asked(ask: Ask) -> None:
    page = ask("compare", "page").body.decode()
    assert "8 x GeForce RTX 4090 or 8 x H100" in page
    assert "A first question" in page


def test_a_compared_number_is_derived_for_each_cluster(ask: Ask) -> None:
    text = ask("compare", "explain", number="tpot_s", **COMPARED[0]).body.decode()
    for name in ("1x8:rtx-4090", "1x8:h100-sxm"):
        assert f"{name}: time per output token" in text
    said = json.loads(ask("compare", **COMPARED[0]).body)
    assert f"{said[0]['estimate']['tpot_s'] * 1e3:.1f} ms" in text
