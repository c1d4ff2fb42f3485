"""Questions put to a view in this process, and the command that asks the same."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from farthing.cli.main import main
from farthing.web.answers import Job, Reply, reply_to

Ask = Callable[..., Reply]


@pytest.fixture
def ask() -> Ask:
    """The reply of a view: ``ask("inference", "json", tp="8")``."""

    def call(view: str, form: str = "json", number: str = "", **values: Any) -> Reply:
        return reply_to(Job(view=view, form=form, values=tuple(values.items()), number=number))

    return call


@pytest.fixture
def command_json(capsys: pytest.CaptureFixture[str]) -> Callable[[str], Any]:
    """What a command that a page shows prints with ``--json``."""
    import shlex

    def call(command: str) -> Any:
        first, *words = shlex.split(command)
        assert first == "farthing"
        capsys.readouterr()
        main([*words, "--json"])
        return json.loads(capsys.readouterr().out)

    return call
