"""``farthing.launch``, its report, and ``--launch`` of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

import farthing
from farthing import api
from farthing.cli.launch import complete_launcher
from farthing.cli.main import main
from farthing.cli.train import train
from farthing.errors import InvalidInput, UnknownName
from farthing.launch import LAUNCHERS
from farthing.records.launch import Launch, LaunchCommand, LaunchFile
from farthing.report.launch import launch_text

SERVED = farthing.infer("llama-2-7b", "1x1:h100-sxm")
TRAINED = farthing.train("llama-2-7b", "1x8:h100-sxm", zero_stage=3)


def test_a_served_plan_becomes_commands() -> None:
    found = api.launch(" vLLM ", "llama-2-7b", "1x1:h100-sxm", workload=SERVED.workload, plan=SERVED.plan)
    assert found.engine == "vllm"
    assert found.commands[0].text.startswith("vllm serve ")


def test_the_name_stays_a_function_beside_its_package() -> None:
    """A subpackage that is imported sets itself on its parent; the function must not vanish under it."""
    script = (
        "import farthing, farthing.launch.vllm\n"
        "from farthing.launch import LAUNCHERS\n"
        "assert callable(farthing.launch) and farthing.launch is farthing.api.launch\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_unknown_engines_are_named() -> None:
    with pytest.raises(UnknownName, match="did you mean vllm"):
        api.launch("vllmm", "llama-2-7b", "1x1:h100-sxm", workload=SERVED.workload, plan=SERVED.plan)
    with pytest.raises(UnknownName, match="commands are known for vllm, sglang, tensorrt-llm"):
        api.launch("maxtext", "llama-2-7b", "1x1:h100-sxm", workload=SERVED.workload, plan=SERVED.plan)


def test_engines_and_plans_must_fit() -> None:
    where = ("llama-2-7b", "1x8:h100-sxm")
    with pytest.raises(InvalidInput, match=r"vllm serves models.*megatron-lm"):
        api.launch("vllm", *where, workload=TRAINED.workload, plan=TRAINED.plan)
    with pytest.raises(InvalidInput, match=r"deepspeed trains models.*vllm"):
        api.launch("deepspeed", *where, workload=SERVED.workload, plan=SERVED.plan)
    with pytest.raises(InvalidInput, match="both of training or both of inference"):
        api.launch("vllm", *where, workload=SERVED.workload, plan=TRAINED.plan)


def test_the_cluster_must_have_the_cards() -> None:
    with pytest.raises(InvalidInput, match="8"):
        api.launch("megatron-lm", "llama-2-7b", "1x4:h100-sxm", workload=TRAINED.workload, plan=TRAINED.plan)


def test_launchers_are_engines_of_the_catalogue() -> None:
    assert set(LAUNCHERS) <= set(api.engines())
    assert set(api.launchers("training")) | set(api.launchers("inference")) == set(api.launchers())
    for name in api.launchers("training"):
        assert api.engines()[name].kind == "training"
    for name in api.launchers("inference"):
        assert api.engines()[name].kind == "serving"


def test_the_command_line_shows_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["infer", "llama-2-7b", "--on", "1x1:h100-sxm", "--launch", "sglang"])
    out = capsys.readouterr().out
    assert code == 0
    assert "python3 -m sglang.launch_server \\\n" in out


def test_json_has_both_only_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "llama-2-7b", "--on", "1x8:h100-sxm", "--zero", "3", "--json"]
    assert main(command) == 0
    alone = json.loads(capsys.readouterr().out)
    assert main([*command, "--launch", "torchtitan"]) == 0
    both = json.loads(capsys.readouterr().out)
    assert both.pop("launch")["files"][0]["name"] == "farthing_run.py"
    assert both.keys() >= alone.keys()
    assert "launch" not in alone


def test_an_unknown_engine_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["infer", "llama-2-7b", "--on", "1x1:h100-sxm", "--launch", "vlm"]) == 2
    assert "did you mean vllm" in capsys.readouterr().err


def test_completion_offers_engines_of_the_task() -> None:
    context = click.Context(train, info_name="train")
    found = [item.value for item in complete_launcher(context, train.params[0], "")]
    assert found == ["megatron-lm", "torchtitan", "deepspeed"]


def test_the_report_pasted_into_a_shell_writes_the_files(tmp_path: Path) -> None:
    launch = Launch(
        engine="vllm",
        version="1",
        documentation="https://example.org",
        files=(LaunchFile(name="a.json", text='{"a": "$HOME `x`"}\n'),),
        commands=(LaunchCommand(where="this host", text="cat \\\n  a.json"),),
        cannot=("it's a 'quoted' word; rm -rf $HOME",),
        notes=("a note " * 40,),
    )
    text = launch_text(launch)
    assert all(len(line) <= 100 for line in text.splitlines())
    done = subprocess.run(
        ["sh", "-eu"], input=text, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == '{"a": "$HOME `x`"}\n'
    assert done.stderr == ""


def test_the_report_says_where_nothing_runs() -> None:
    launch = Launch(engine="vllm", version="1", documentation="https://example.org", cannot=("no",))
    assert "# vllm cannot run this plan.\n\n# cannot:\n# - no\n" in launch_text(launch)
