"""``farthing design``: text, JSON, charts, and what it says to bad questions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from farthing.cli.main import cli
from farthing.errors import FarthingError

SMALL = ("design", "llama-3.1-8b", "--tokens-per-s", "400", "--tpot", "50ms", "--accelerators", "rtx-3090,l4")


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli, list(arguments))


def refused(*arguments: str) -> str:
    """The message of a question that is refused."""
    result = run(*arguments)
    assert result.exit_code != 0
    if isinstance(result.exception, FarthingError):
        return str(result.exception)
    return result.output


def test_the_report_tells_the_whole_build():
    text = run(*SMALL, "--country", "de", "--buy").output
    for heading in (
        "Builds for the cheapest tokens",
        "Bill of materials",
        "Where the money goes",
        "Rent, buy, or call an API",
        "Less to do",
        "What would change it",
    ):
        assert heading in text
    assert "rented" not in text.split("Bill of materials")[0]
    assert max(len(line) for line in text.splitlines()) <= 80


def test_another_build_is_told():
    assert "Build 2" in run(*SMALL, "--show", "2").output


def test_json_has_every_price_with_its_day_and_source():
    found = json.loads(run(*SMALL, "--json").output)
    assert found["task"] == "inference"
    assert len(found["best"]) >= 2
    for build in found["best"]:
        assert build["tokens_per_s"] >= 400
        assert all(row["date"] and row["source"] for row in build["bill"])


def test_own_prices_count():
    usual, dear = (
        json.loads(run(*SMALL, "--buy", "--json", *more).output)["best"]
        for more in ((), ("--price", "rtx-3090=100000"))
    )
    assert {build["accelerator"] for build in usual} == {build["accelerator"] for build in dear}
    assert dear[0]["accelerator"] == "l4"
    row = next(row for build in dear for row in build["bill"] if row["item"] == "rtx-3090")
    assert (row["usd"], row["source"], row["stale"]) == (100000, "given by you", False)


def test_charts_go_to_files_and_the_terminal(tmp_path: Path):
    svg = tmp_path / "out.svg"
    result = run(*SMALL, "--chart", "--plot", str(svg))
    assert "Tokens for a dollar" in result.output
    assert f"wrote {svg}" in result.output
    assert svg.read_text("utf-8").startswith("<svg")


def test_nothing_is_left_out_of_a_front():
    found = json.loads(run(*SMALL, "--front", "usd,tpot", "--json").output)
    points = [(build["usd_per_million_tokens"], build["tpot_s"]) for build in found["front"]]
    assert points == sorted(points)
    assert len(points) > 1
    assert all(later[1] < earlier[1] for earlier, later in itertools.pairwise(points))


def test_a_budget_buys_the_most():
    less, more = (
        json.loads(
            run(
                *("design", "llama-3.1-8b", "--objective", "tokens-per-s", "--max-usd", usd, "--buy"),
                *("--accelerators", "rtx-3090", "--json"),
            ).output
        )["best"][0]
        for usd in ("2000", "20000")
    )
    assert less["capital_usd"] <= 2000
    assert more["capital_usd"] <= 20000
    assert more["tokens_per_s"] > 5 * less["tokens_per_s"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--tokens-per-s", "0"), "more than 0"),
        (("--tokens-per-s", "nan"), "number"),
        (("--tpot", "50"), "no unit"),
        (("--accelerators", "rtx-9999"), "rtx-"),
        (("--country", "atlantis"), "country"),
        (("--price", "rtx-3090"), "ITEM=USD"),
        (("--price", "rtx-3090=-5"), "ITEM=USD"),
        (("--price", "warp-drive=5"), "warp-drive"),
        (("--resale", "lots"), "market"),
        (("--front", "usd"), "two or three"),
        (("--objective", "beauty"), "beauty"),
        (("--weights", "fp3"), "fp3"),
        (("--engine", "megatron-lm"), "trains models"),
        (("--prices", "missing.csv"), "missing.csv"),
        (("--objective", "capital"), "capital"),
    ],
)
def test_bad_questions_are_told_what_to_do(more: tuple[str, ...], words: str):
    assert words in refused(*SMALL, *more)


def test_a_question_without_demand_or_budget():
    assert "state the demand" in refused("design", "llama-3.1-8b")


def test_what_cannot_be_says_which_limit_is_in_the_way():
    result = run(*SMALL, "--tpot", "1us")
    assert result.exit_code != 0
    assert "without the limit on the time a token" in f"{result.output} {result.exception}"


def test_assumed_efficiencies_are_told_and_can_be_left_out():
    cards = ("--accelerators", "rtx-5090,l4")
    text = run("design", "llama-3.1-8b", "--tokens-per-s", "400", "--buy", *cards, "--show", "2").output
    assert "rtx-5090" in text
    found = json.loads(
        run(
            *("design", "llama-3.1-8b", "--tokens-per-s", "400", "--buy", *cards, "--measured", "--json")
        ).output
    )
    assert {build["accelerator"] for build in found["best"]} == {"l4"}
    kinds = {
        build["accelerator"]: {warning["kind"] for warning in build["warnings"]}
        for build in json.loads(
            run("design", "llama-3.1-8b", "--tokens-per-s", "400", "--buy", *cards, "--json").output
        )["best"]
    }
    assert "evidence" in kinds["rtx-5090"]
    assert "evidence" not in kinds["l4"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--buy", "--rent"), "one of --buy"),
        (("--tokens", "1B"), "needs --for training"),
        (("--within", "3d"), "needs --for training"),
        (("--show", "99"), "raise --top"),
        (("--prompt", "200000"), "more than the context"),
        (("--price", "rtx-3090=1e12"), "below 1e12"),
    ],
)
def test_contradictions_are_refused(more: tuple[str, ...], words: str):
    assert words in refused(*SMALL, *more)


def test_options_of_serving_are_refused_in_training():
    message = refused(
        *("design", "llama-3.1-8b", "--for", "training", "--tokens", "1B", "--within", "9d"),
        *("--tpot", "50ms"),
    )
    assert "--tpot is for serving" in message


def test_a_machine_that_is_there_costs_nothing():
    found = json.loads(
        run(
            *("design", "llama-3.1-8b", "--tokens-per-s", "400", "--buy", "--accelerators", "rtx-3090"),
            *("--price", "am4-b550-1-card=0", "--json"),
        ).output
    )["best"][0]
    assert found["host"] == "am4-b550-1-card"
    assert found["capital_usd"] == sum(
        row["usd"] * row["quantity"] for row in found["bill"] if row["part"] == "accelerator"
    )
    assert any("must deliver" in warning["text"] for warning in found["warnings"])


def test_a_run_can_be_seen_whole():
    text = run(
        *("design", "llama-3.1-8b", "--for", "training", "--tokens", "1B", "--within", "9d", "--buy"),
        *("--accelerators", "h100-sxm", "--max-hosts", "2"),
    ).output
    assert "Builds for the cheapest run" in text
    assert "farthing train llama-3.1-8b --on" in text
    assert "one run alone takes the capital" in " ".join(text.split())
