"""Bars, shares and tables."""

from __future__ import annotations

from typing import Any

import pytest

from farthing.report import layout


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, ""), (1e-9, "▏"), (0.25, "██▌"), (0.5, "█████"), (1, "██████████"), (1.7, "██████████"), (-1, "")],
)
def test_bar(share: float, shown: str) -> None:
    assert layout.Bar(share).text(10) == shown


def test_bar_without_unicode() -> None:
    assert layout.Bar(0.5).text(10, ascii_only=True) == "#####"
    assert layout.Bar(0.01).text(10, ascii_only=True) == ""


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "0%"), (0.004, "<1%"), (0.005, "0%"), (0.006, "1%"), (0.5, "50%"), (1.2, "120%")]
)
def test_percent(share: float, shown: str) -> None:
    assert layout.percent(share) == shown


@pytest.mark.parametrize(
    ("factor", "shown"), [(1, "0"), (1.0004, "0"), (0.9996, "0"), (1.1, "+10.0%"), (0.5, "-50.0%")]
)
def test_change(factor: float, shown: str) -> None:
    assert layout.change(factor) == shown


def test_bars_line_up_and_fill_the_width(render: Any) -> None:
    text = render(layout.bars([("a", "1 s", 1.0, ""), ("longer name", "22 s", 0.5, "")]), width=60)
    first, second = text.splitlines()
    assert len(first) <= 60
    assert first.index("█") == second.index("█")
    assert 1.9 < first.count("█") / second.count("█") < 2.1


def test_numbers_are_never_cut(render: Any) -> None:
    rows = [("a-rather-long-identifier", "words that are not so important", "1,234,567", "2.50")]
    text = render(layout.columns(("id", "what", "count", "rate"), rows, left=2), width=60)
    assert "1,234,567" in text
    assert "2.50" in text
    assert "a-rather-long-identifier" in text
    assert max(map(len, text.splitlines())) <= 60


def test_items_hang(render: Any) -> None:
    lines = render(layout.items(["word " * 20]), width=40).splitlines()
    assert lines[0].startswith("  - word")
    assert all(line.startswith("    word") for line in lines[1:])
