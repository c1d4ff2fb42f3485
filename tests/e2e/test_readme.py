"""The README shows what the program prints, and its commands run."""

import re
import shlex
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from farthing import api
from farthing.cli.main import cli

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```console\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
(GRID,) = re.findall(r"```toml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
COMMANDS = [
    line.removeprefix("$ farthing ").split("  #")[0].strip()
    for block in BLOCKS
    for line in block.splitlines()
    if line.startswith("$ farthing ") and "import" not in line
]


def test_the_shown_output_is_the_real_one():
    command, *shown = BLOCKS[0].strip().splitlines()
    result = CliRunner(env={"COLUMNS": "80"}).invoke(cli, shlex.split(command.removeprefix("$ farthing ")))
    assert result.exit_code == 0
    assert len(shown) > 20
    assert "\n".join(shown) in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    # Measurements of one's own: a few of the shipped ones.
    cases = files("farthing.evidence") / "cases" / "consumer.csv"
    Path("runs.csv").write_text("\n".join(cases.read_text("utf-8").splitlines()[:20]) + "\n", "utf-8")
    Path("grid.toml").write_text(GRID, "utf-8")
    trace = Path(__file__).parents[1] / "data" / "traces" / "azure_llm_2023_conv.csv"
    Path("requests.csv").write_text(trace.read_text("utf-8"), "utf-8")
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path / "config"))
    try:
        result = CliRunner().invoke(cli, shlex.split(command))
    finally:
        # Constants that the command refitted are not for other tests.
        api.forget_refit()
    assert result.exit_code == 0, result.stderr
    assert result.stdout
