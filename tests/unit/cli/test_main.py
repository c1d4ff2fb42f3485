"""Errors become one line and an exit code; the manual is current."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from farthing import __version__
from farthing.cli import main as module
from farthing.cli.main import COMMANDS, cli, main
from farthing.cli.reference import reference
from farthing.errors import CatalogError, Infeasible, InvalidInput

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InvalidInput("no\nsense"), 2, "no sense"),
        (Infeasible("too large"), 3, "too large"),
        (CatalogError("a.csv", "x", "y", "bad"), 1, "a.csv"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (RecursionError(), 2, "nested too deeply"),
        (ZeroDivisionError("oops"), 1, "internal error: ZeroDivisionError: oops; please report it"),
        (click.ClickException("odd"), 1, "odd"),
    ],
)
def test_errors(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setitem(cli.commands, "broken", broken)
    assert main(["broken"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    # Click ends the line that ^C was typed on.
    lines = [line for line in printed.err.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("farthing: error: ")
    assert said in lines[0]


def test_debug_adds_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setitem(cli.commands, "broken", broken)
    assert main(["--debug", "broken"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_process_has_its_own_arguments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module.sys, "argv", ["farthing", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"farthing {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["gpu", "-h"], *([name, "--help"] for name in COMMANDS)]
)
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Usage: farthing")
    assert printed.err == ""


def test_all_commands_are_there() -> None:
    context = click.Context(cli)
    assert cli.list_commands(context) == list(COMMANDS)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str()


def test_every_command_takes_json_and_debug() -> None:
    from farthing.cli.reference import commands

    for name, command, _ in commands():
        if not isinstance(command, click.Group):
            spelled = {spelling for param in command.params for spelling in param.opts}
            # The page answers in JSON itself, under /api.
            wanted = {"--debug"} if command.name == "web" else {"--json", "--debug"}
            assert wanted <= spelled, name


@pytest.mark.parametrize(
    ("word", "said"),
    [("trian", "did you mean train"), ("gpus", "did you mean gpu"), ("zzz", "commands: infer")],
)
def test_an_unknown_command(word: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("group", ["gpu", "simulate", "prices"])
def test_a_group_alone_shows_its_help(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([group]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert shown.err.startswith(f"Usage: farthing {group} ")
    assert len(shown.err.splitlines()) > 5


def test_the_manual_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == reference(), "run: make docs"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_FARTHING_COMPLETE" in script
    assert f"{shell}_complete" in script
