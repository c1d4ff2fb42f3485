"""The engines themselves take the commands: their own parsers and readers, where they are installed.

``make check-launch`` installs them in an environment of its own and runs these tests there.
"""

from __future__ import annotations

import functools
import io
import json
import os
import sys
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.launch.cases import Case, cases_of
from tests.launch.engine_parsers import PARSERS, NotInstalled, load, megatron_arguments, rows
from tests.launch.flags import options, words
from tests.launch.reading import programs

from farthing.launch.training import cards

COUNT = 150

REFUSED = ("is not a multiple of", "knows Adam and SGD", "states only in its distributed optimizer")
"""After these words of a launch Megatron-LM itself refuses the commands."""


def installed(program: str) -> Any:
    try:
        return PARSERS[program]()
    except NotInstalled as error:
        pytest.skip(str(error))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("engine", "program"),
    [
        ("vllm", "vllm"),
        ("sglang", "sglang"),
        ("megatron-lm", "megatron-lm"),
        ("deepspeed", "deepspeed"),
        ("megatron-lm", "torchrun"),
        ("torchtitan", "torchrun"),
    ],
)
def test_the_engine_takes_its_commands(engine: str, program: str) -> None:
    parser = installed(program)
    seen = 0
    for case in cases_of(engine, COUNT):
        for command in case.launch.commands:
            for name, arguments in programs(command.text):
                if name != program:
                    continue
                last = {"vllm": ["MODEL"], "deepspeed": ["TRAIN.py"], "torchrun": ["x.py"]}.get(program, [])
                told = io.StringIO()
                try:
                    with redirect_stderr(told):
                        parser.parse_args([*arguments, *last])
                except SystemExit:
                    pytest.fail(f"{told.getvalue()[-300:]}\n{command.text}")
                seen += 1
    assert seen > COUNT / 5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("program", PARSERS)
def test_the_list_of_options_is_the_engines(program: str) -> None:
    installed(program)
    real = {(option, nargs) for names, nargs, _, _ in rows(program) for option in names.split()}
    listed = {(option, known.nargs) for option, known in options(program).items()}
    assert listed == real


@pytest.mark.filterwarnings("ignore")
def test_megatron_validates_its_options() -> None:
    """Its own checks of what goes together, as before a run on Hopper cards."""
    try:
        arguments = megatron_arguments()
        torch = load("torch")
    except NotInstalled as error:
        pytest.skip(str(error))
    hopper = mock.Mock(major=9, minor=0)
    seen = Counter[str]()
    for case in cases_of("megatron-lm", COUNT):
        for command in case.launch.commands[:1]:
            if any(told in sentence for sentence in case.launch.cannot for told in REFUSED):
                continue
            variables, _ = words(command.text)
            environment = {"WORLD_SIZE": str(cards(case.plan)), "RANK": "0", **variables}
            environment.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "")
            with (
                mock.patch.dict(os.environ, environment),
                mock.patch.object(torch.cuda, "get_device_capability", return_value=(9, 0)),
                mock.patch.object(torch.cuda, "get_device_properties", return_value=hopper),
                mock.patch.object(sys, "argv", ["pretrain_gpt.py", *programs(command.text)[1][1]]),
                redirect_stdout(io.StringIO()),
            ):
                try:
                    arguments.validate_args(arguments.parse_args())
                except (AssertionError, ValueError, RuntimeError) as error:
                    # Kernels that only a machine with cards has.
                    if "Transformer Engine" not in str(error):
                        pytest.fail(f"{error}\n{command.text}")
                else:
                    seen["run"] += 1
    assert seen["run"] > COUNT / 4


@pytest.mark.filterwarnings("ignore")
def test_deepspeed_reads_its_configuration() -> None:
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    try:
        config = load("deepspeed.runtime.config")
    except NotInstalled as error:
        pytest.skip(str(error))
    seen = 0
    for case in cases_of("deepspeed", COUNT):
        for file in case.launch.files:
            if not file.name.endswith(".json") or "is not a multiple" in " ".join(case.launch.cannot):
                continue
            replicas = mock.Mock(spec=["get_data_parallel_world_size"])
            replicas.get_data_parallel_world_size.return_value = case.plan.dp
            with mock.patch.object(config.dist, "get_rank", return_value=0):
                found = config.DeepSpeedConfig(json.loads(file.text), mpu=replicas)
            check = load("deepspeed.module_inject.auto_ep_config").validate_autoep_config
            if case.plan.pp == 1 and "not beside both" not in " ".join(case.launch.cannot):
                check(found.expert_parallel_config, cards(case.plan), 1, case.plan.tp, case.plan.cp)
            assert int(found.zero_config.stage) == case.plan.zero_stage
            assert found.world_size == case.plan.dp
            assert found.gradient_accumulation_steps * case.plan.micro_batch_size * case.plan.dp == (
                case.workload.global_batch_size
            )
            seen += 1
    assert seen > COUNT / 5


@functools.cache
def titan() -> Any:
    return load("torchtitan.config").ConfigManager()


@pytest.mark.filterwarnings("ignore")
def test_titan_builds_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        manager = titan()
        load("torchtitan.trainer")
    except NotInstalled as error:
        pytest.skip(str(error))
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = 0
    for number, case in enumerate(cases_of("torchtitan", COUNT)):
        if not case.launch.files or _needs_torchao(case):
            continue
        (tmp_path / f"run_{number}.py").write_text(case.launch.files[0].text, "utf-8")
        found = manager.parse_args(["--module", f"run_{number}", "--config", "run"])
        assert len(found.model_spec.model.layers) == case.model.layers
        assert found.parallelism.pipeline_parallel_degree == case.plan.pp
        parts = found.parallelism.module_fqns_per_model_part
        if parts:
            assert sum(name.startswith("layers.") for part in parts for name in part) == case.model.layers
        seen += 1
    assert seen > COUNT / 10


def _needs_torchao(case: Case) -> bool:
    return "8LinearConverter" in case.launch.files[0].text or "NVFP4" in case.launch.files[0].text
