"""Public prediction functions say what they take, what they return in which unit, whence, and show it."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import farthing.predict
from farthing.catalog.references import references
from farthing.units import unit_of

NOT_FORMULAS = {"trace"}
"""Modules about derivations, not about hardware."""

UNITS = ("byte", "s", "FLOP", "USD", "W", "J", "token")


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in pkgutil.iter_modules(farthing.predict.__path__):
        if module.name in NOT_FORMULAS:
            continue
        source = importlib.import_module(f"farthing.predict.{module.name}")
        for name, found in inspect.getmembers(source, callable):
            inner = inspect.unwrap(found)
            if inspect.isfunction(inner) and inner.__module__ == source.__name__ and name[0] != "_":
                yield f"{module.name}.{name}", found


FUNCTIONS = dict(functions())
each = pytest.mark.parametrize("name", sorted(FUNCTIONS))


def sections(text: str) -> dict[str, str]:
    """Body of each numpydoc section by its title; the summary under an empty title."""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", inspect.cleandoc(text), flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(name: str) -> dict[str, str]:
    return sections(FUNCTIONS[name].__doc__ or "")


def test_there_are_functions() -> None:
    assert len(FUNCTIONS) > 60


@each
def test_parameters(name: str) -> None:
    parameters = list(inspect.signature(inspect.unwrap(FUNCTIONS[name])).parameters)
    headers = re.findall(r"^(\S.*)$", documented(name).get("Parameters", ""), flags=re.MULTILINE)
    told = [word.strip("*` ") for header in headers for word in header.split(",")]
    assert sorted(told) == sorted(parameters)


@each
def test_returns(name: str) -> None:
    body = documented(name).get("Returns", "")
    assert body.strip(), "say what it returns"
    unit = unit_of(name)
    if unit in UNITS or unit.split("/")[0] in UNITS:
        stated = re.findall(r"\[([^\]]+)\]", body)
        assert {unit, f"{unit}/token"} & set(stated), f"state the unit: [{unit}]"


@each
def test_references(name: str) -> None:
    body = documented(name).get("References", "")
    keys = re.findall(r"[a-z]+-\d{4}(?:-[a-z0-9]+)*", body)
    assert body.strip() == "Plain arithmetic." or keys
    assert set(keys) <= set(references())


@each
def test_formula_references(name: str) -> None:
    key = getattr(FUNCTIONS[name], "reference", "")
    assert not key or key in references()
    if key:
        assert key in documented(name)["References"], "the docstring names the formula's reference too"


@each
def test_examples(name: str) -> None:
    examples = doctest.DocTestParser().get_examples(documented(name).get("Examples", ""))
    assert any(example.want for example in examples)
