"""``farthing web`` as a process: where it is, what it warns of, what it refuses."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from farthing.cli.main import main
from farthing.web import serve as serving
from farthing.web.settings import Settings


def test_it_says_where_it_is_and_ends_at_an_interrupt() -> None:
    command = [sys.executable, "-m", "farthing", "web", "--port", "0", "--workers", "1", "--prefix", "/plans"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = re.findall(r"http://127\.0\.0\.1:\d+/plans/", server.stdout.readline())[0]
        with urllib.request.urlopen(f"{address}api/inference?model=llama-2-7b&cluster=rtx-4090") as answer:
            assert answer.status == 200
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=30)
        assert server.returncode in (0, 130)
        assert "Traceback" not in said


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which the command would serve."""
    found: list[Settings] = []
    monkeypatch.setattr(serving, "serve", lambda settings, listener: found.append(settings))
    return found


def test_other_addresses_are_warned_of(asked: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--port", "0"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert "localhost" in asked[0].names
    assert main(["web", "--port", "0", "--host", "0.0.0.0"]) == 0
    assert "lets other machines in" in capsys.readouterr().err
    assert asked[1].names == ("*",)
    assert main(["web", "--port", "0", "--host", "0.0.0.0", "--name", "plans.example.org"]) == 0
    assert "plans.example.org" in asked[2].names
    assert "*" not in asked[2].names


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["web", "--port", str(port)]) == 1
    said = capsys.readouterr().err
    assert f"port {port}" in said
    assert "--port" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prefix", "plans"], "begins with /"),
        (["--prefix", "/a?b"], "plain path"),
        (["--prefix", "/plans/"], "not end"),
        (["--port", "70000"], "out of range"),
        (["--host", "no.such.host.invalid", "--port", "0"], "cannot listen"),
        (["--workers", "0"], "out of range"),
        (["--rate", "-1"], "out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], words: str, asked: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["web", *arguments]) in (1, 2)
    assert words in capsys.readouterr().err
    assert asked == []


def test_a_missing_package_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pebble", None)
    assert main(["web", "--port", "0"]) == 2
    assert "farthing[web]" in capsys.readouterr().err
