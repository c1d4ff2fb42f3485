"""Rendering of reports at a width."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType


@pytest.fixture
def render() -> Callable[..., str]:
    def call(content: RenderableType, width: int = 80) -> str:
        page = io.StringIO()
        Console(file=page, width=width, highlight=False, emoji=False, markup=False).print(content)
        return "\n".join(line.rstrip() for line in page.getvalue().splitlines())

    return call
