"""Every command of many plans is one that its program takes, and can be pasted."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from typing import Any

import pytest
import yaml
from tests.launch.cases import Case, all_cases, cases_of
from tests.launch.flags import FOLDER, check_value, header, options, parse, words
from tests.launch.reading import programs

from farthing.launch import LAUNCHERS
from farthing.records.launch import Launch
from farthing.report.launch import launch_text

CASES = all_cases()
each = pytest.mark.parametrize("engine", LAUNCHERS)


@each
def test_programs_take_their_options(engine: str) -> None:
    seen = Counter[str]()
    for case in cases_of(engine):
        for command in case.launch.commands:
            for program, arguments in programs(command.text):
                parse(program, arguments)
                seen[program] += 1
    assert max(seen.values()) > 20, seen


@each
def test_most_plans_have_commands(engine: str) -> None:
    found = [case.launch for case in cases_of(engine)]
    assert sum(bool(launch.commands) for launch in found) > len(found) / 5
    for launch in found:
        assert launch.commands or launch.cannot
        assert launch.engine == engine
        assert launch.version
        assert launch.documentation.startswith("https://")


@each
def test_words_are_sentences_without_repeats(engine: str) -> None:
    for case in cases_of(engine):
        launch = case.launch
        for sentences in (launch.cannot, launch.notes):
            assert len(set(sentences)) == len(sentences)
            assert all(2 * " " not in sentence and sentence.strip() == sentence for sentence in sentences)


@each
def test_placeholders_are_explained(engine: str) -> None:
    for case in cases_of(engine):
        launch, told = case.launch, " ".join(case.launch.notes)
        text = " ".join(part.text for part in (*launch.commands, *launch.files))
        for name in ("DRAFT_MODEL", "TOKENIZER", "TRAIN.py", "MODEL.gguf", "/NVME", "DATA"):
            if re.search(rf"(?<![\w./-]){re.escape(name)}(?!\w)", text):
                assert name in told, (name, told)
        if re.search(r"HOST_\d", text):
            assert "HOST_1" in told
        for variable in set(re.findall(r"\$(\w+)", text)):
            assert f"export {variable}=" in told


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
def test_servers_take_the_cards_of_the_plan(engine: str) -> None:
    """No two commands typed on one host share a port or a card."""
    for case in cases_of(engine):
        used: dict[str, list[tuple[str, str]]] = {}
        for command in case.launch.commands:
            variables, rest = words(command.text)
            if "--port" in rest and rest[0] not in ("ray", "rpc-server"):
                cards = variables.get("CUDA_VISIBLE_DEVICES", variables.get("HIP_VISIBLE_DEVICES", ""))
                used.setdefault(command.where, []).append((rest[rest.index("--port") + 1], cards))
        for pairs in used.values():
            assert len({port for port, _ in pairs}) == len(pairs)
            if len(pairs) > 1:
                assert len({cards for _, cards in pairs}) == len(pairs)


def test_json_is_a_configuration_of_deepspeed() -> None:
    for case in cases_of("deepspeed"):
        for file in case.launch.files:
            if file.name.endswith(".json"):
                for path in _paths(json.loads(file.text)):
                    if not path.startswith("optimizer.params"):
                        assert path in options("deepspeed-config"), path
            else:
                assert re.fullmatch(r"(HOST_\d+ slots=\d+\n)+", file.text)


def test_yaml_is_a_configuration_of_tensorrt_llm() -> None:
    for case in cases_of("tensorrt-llm"):
        for file in case.launch.files:
            found = yaml.safe_load(file.text)
            for path in _paths(found):
                option = options("trtllm-config")[path]
                value: Any = found
                for key in path.split("."):
                    value = value[key]
                if option.kind in ("bool", "list", "int"):
                    assert type(value).__name__ == option.kind
                elif option.choices:
                    check_value(path, option, str(value))


def test_python_is_a_configuration_of_torchtitan() -> None:
    """All keywords of its configuration classes are fields of them, with values that they allow."""
    known = options("torchtitan")
    classes = {name.rpartition(".")[0] for name in known}
    seen = set()
    for case in cases_of("torchtitan"):
        for file in case.launch.files:
            for node in ast.walk(ast.parse(file.text)):
                if not isinstance(node, ast.Call) or ast.unparse(node.func) not in classes:
                    continue
                for keyword in node.keywords:
                    path = f"{ast.unparse(node.func)}.{keyword.arg}"
                    assert path in known
                    seen.add(path)
                    if isinstance(keyword.value, ast.Constant) and known[path].choices:
                        check_value(path, known[path], str(keyword.value.value))
    assert len(seen) > 20


def _paths(values: dict[str, Any], above: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        found.append(above + key)
        if isinstance(value, dict):
            found += _paths(value, f"{above}{key}.")
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.csv")), ids=lambda path: path.stem)
def test_lists_name_their_version_and_source(path: Any) -> None:
    lines = header(path.stem).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("# Source: ")
    assert "http" in lines[1]
    assert len(options(path.stem)) > 4


@pytest.mark.parametrize(
    ("engine", "program"),
    [
        ("vllm", "vllm"),
        ("sglang", "sglang"),
        ("tensorrt-llm", "trtllm-serve"),
        ("llama.cpp", "llama-server"),
        ("megatron-lm", "megatron-lm"),
        ("deepspeed", "deepspeed"),
        ("torchtitan", "torchtitan"),
    ],
)
def test_the_version_is_that_of_the_list(engine: str, program: str) -> None:
    version = cases_of(engine)[0].launch.version
    assert version.removeprefix("main at ").split(",")[0] in header(program)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("vllm serve M --no-such-option 1", "no option"),
        ("vllm serve M --tensor-parallel-size", "takes one value"),
        ("vllm serve M --tensor-parallel-size two", "invalid literal"),
        ("vllm serve M --dtype bf16", "must be one of"),
        ("vllm serve M --headless yes", "is a switch"),
        ("vllm serve M --port 1 --port 2", "twice"),
        ("vllm serve M --speculative-config '{'", "Expecting"),
        ("torchrun pretrain_gpt.py --num-layers 2 --schedule gpipe", "no option"),
    ],
)
def test_the_parser_is_strict(text: str, wrong: str) -> None:
    program, arguments = programs(text)[-1]
    with pytest.raises((AssertionError, ValueError), match=wrong):
        parse(program, arguments)


def _shell_words(launch: Launch) -> list[str]:
    return [line for line in launch_text(launch).splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("case", CASES[::40], ids=lambda case: case.engine)
def test_the_report_can_be_pasted(case: Case) -> None:
    """A backslash ends no last line, and words are comments."""
    blocks = launch_text(case.launch).split("\n\n")
    for block in blocks:
        assert not block.rstrip().endswith("\\")
    for command in case.launch.commands:
        assert command.text in launch_text(case.launch)
    for line in _shell_words(case.launch):
        assert line == line.rstrip()
