"""The options of commands that draw."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from tests.unit.report.sample_charts import CHARTS

from farthing.cli.options import Command, output_options
from farthing.cli.plots import check_plots, plot_options, show_charts
from farthing.errors import InvalidInput


@click.command(cls=Command)
@plot_options
@output_options
def draw(chart: bool, plots: tuple[Path, ...], as_json: bool) -> None:
    """Draw charts."""
    check_plots(chart, plots, as_json)
    show_charts(CHARTS, chart, plots, as_json)


def call(*arguments: str) -> None:
    draw.main(args=list(arguments), standalone_mode=False)


def test_charts_go_to_the_terminal_and_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "a.svg", tmp_path / "b.json"
    call("--chart", "--plot", str(one), "--plot", str(two))
    text = capsys.readouterr().out
    assert all(chart.title in text for chart in CHARTS)
    assert text.endswith(f"wrote {one}\nwrote {two}\n")
    assert one.stat().st_size > 0 < two.stat().st_size


def test_files_beside_json_are_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("--json", "--plot", str(tmp_path / "a.json"))
    assert capsys.readouterr().out == ""
    assert (tmp_path / "a.json").is_file()


def test_nothing_is_drawn_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    call()
    assert capsys.readouterr().out == ""


def test_what_cannot_be_drawn_is_refused_before(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--chart or --json, not both"):
        call("--chart", "--json")
    with pytest.raises(InvalidInput, match="twice"):
        call("--plot", "a.svg", "--plot", "a.svg")
    with pytest.raises(InvalidInput, match=r"cannot draw 'a\.gif'"):
        call("--plot", str(tmp_path / "good.svg"), "--plot", "a.gif")
    assert not list(tmp_path.iterdir())
