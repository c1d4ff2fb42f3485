"""A bar for terminals, and silence elsewhere."""

from __future__ import annotations

import io
import os
import sys

import pytest

from farthing.cli.progress import processors, progress


class Terminal(io.StringIO):
    """Standard error on a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with progress("answering") as told:
        assert told is not None
        told(3, 7)
    assert "answering" in terminal.getvalue()
    assert "3/7" in terminal.getvalue()


def test_an_open_end_is_shown_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with progress("playing") as told:
        assert told is not None
        told(3, 0)
    assert "3/?" in terminal.getvalue()


def test_a_file_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with progress("answering") as told:
        assert told is None
    assert file.getvalue() == ""


def test_processors() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)
