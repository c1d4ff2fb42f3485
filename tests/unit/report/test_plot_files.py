"""Charts as files: well-formed, complete, whole or not at all, and of use without a network."""

from __future__ import annotations

import html.parser
import json
import os
import struct
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from tests.unit.report.sample_charts import CHARTS, EMPTY, FRONT, words

from farthing.errors import FarthingError, InvalidInput
from farthing.records.chart import Axis, Chart, Point, Series
from farthing.report import plot_files
from farthing.report.plot_files import write_plot
from farthing.report.vega import vega_lite

ODD = Chart(
    title="</script><b>&\u0007\x00\ud800 größe 漢字",
    kind="scatter",
    x=Axis(title="x's"),
    y=Axis(title='"y"'),
    series=(
        Series(name="<i>", points=(Point(x=1.0, y=2.0, label="{{a}} & </script>"),)),
        Series(name="long " * 60, points=(Point(x=3.0, y=2.0, label="long " * 60),)),
    ),
)


def text_of(path: Path) -> str:
    """All that a picture says in words, a space between the texts."""
    tree = ElementTree.parse(path)
    found = ["".join(node.itertext()) for node in tree.iter() if node.tag.endswith("text")]
    return " ".join(found)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_svg_is_well_formed_and_has_all_names(chart: Chart, tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    write_plot([chart], path)
    found = text_of(path)
    assert not [word for word in words(chart) if word not in found]
    root = ElementTree.parse(path).getroot()
    assert root.get("role") == "img"
    assert chart.title in (root.get("aria-label") or "")
    assert float(root.get("width") or 0) < 720


@pytest.mark.parametrize("chart", [ODD, EMPTY], ids=["odd", "empty"])
@pytest.mark.parametrize("ending", ["svg", "png", "html", "json"])
def test_odd_charts_make_sound_files(chart: Chart, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"chart.{ending}"
    write_plot([chart], path)
    assert os.listdir(tmp_path) == [path.name]
    if ending == "svg":
        ElementTree.parse(path)
    elif ending == "html":
        assert Page.of(path).scripts == 2


def test_png_is_twice_as_dense_as_svg(tmp_path: Path) -> None:
    write_plot(CHARTS, tmp_path / "chart.PNG")
    write_plot(CHARTS, tmp_path / "chart.svg")
    content = (tmp_path / "chart.PNG").read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", content[16:24])
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()
    assert width == pytest.approx(2 * float(root.get("width") or 0), abs=2)
    assert height == pytest.approx(2 * float(root.get("height") or 0), abs=2)


def test_json_is_the_specification(tmp_path: Path) -> None:
    write_plot([FRONT], tmp_path / "chart.json", dark=True)
    assert json.loads((tmp_path / "chart.json").read_text("utf-8")) == vega_lite(FRONT, dark=True)


class Page(html.parser.HTMLParser):
    """Addresses that a page loads, its title, and how many scripts it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.scripts = 0
        self.title = ""
        self._inside = ""

    @classmethod
    def of(cls, path: Path) -> Page:
        page = cls()
        page.feed(path.read_text("utf-8"))
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.scripts += tag == "script"
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]

    def handle_data(self, data: str) -> None:
        if self._inside == "title" and not self.title:
            self.title = data


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    path = tmp_path / "chart.html"
    write_plot(CHARTS, path)
    page = Page.of(path)
    assert not page.loaded
    assert page.scripts == 2
    assert page.title == CHARTS[0].title
    text = path.read_text("utf-8")
    assert "window.vegaEmbed=" in text
    assert "@import" not in text
    # Without scripts the picture stands there.
    assert "<svg " in text


@pytest.mark.parametrize("name", ["chart.gif", "chart", "chart.svg.gz", ".svg"])
def test_other_endings_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"ends in \.svg, \.png, \.html or \.json"):
        write_plot([FRONT], tmp_path / name)


def test_places_that_take_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InvalidInput, match="it is a folder; name a file"):
        write_plot([FRONT], tmp_path / "folder.svg")
    with pytest.raises(InvalidInput, match="there is no folder"):
        write_plot([FRONT], tmp_path / "none" / "chart.svg")


def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chart.json"
    path.write_text("old", "utf-8")

    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FarthingError, match="No space left"):
        write_plot([FRONT], path)
    assert os.listdir(tmp_path) == ["chart.json"]
    assert path.read_text("utf-8") == "old"


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot_files.os, "access", lambda *_: False)
    with pytest.raises(InvalidInput, match="may not be written to; name another folder"):
        write_plot([FRONT], tmp_path / "chart.json")


@pytest.mark.parametrize("ending", ["svg", "png", "html"])
def test_a_missing_extra_says_what_to_install(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(InvalidInput, match=r"pip install 'farthing\[plots\]', or name a \.json file"):
        write_plot([FRONT], tmp_path / f"chart.{ending}")
    write_plot([FRONT], tmp_path / "chart.json")


def test_no_chart_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no chart"):
        write_plot([], tmp_path / "chart.svg")
    assert not os.listdir(tmp_path)


def test_a_chart_that_a_generator_gives(tmp_path: Path) -> None:
    charts: Any = (chart for chart in CHARTS)
    write_plot(charts, tmp_path / "chart.json")
    assert len(json.loads((tmp_path / "chart.json").read_text("utf-8"))["vconcat"]) == len(CHARTS)
