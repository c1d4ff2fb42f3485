"""Imports point one way, files stay small, and the usual traps stay out of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import farthing

ROOT = Path(farthing.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LINES = 800

SEES = {
    "errors": set(),
    "units": {"errors"},
    "records": {"errors", "units"},
    "predict": {"records", "errors", "units"},
    "catalog": {"records", "errors", "units"},
    "estimate": {"catalog", "predict", "records", "errors", "units"},
    "report": {"records", "errors", "units"},
    "article": {"catalog", "predict", "records", "errors", "units"},
    "launch": {"catalog", "predict", "records", "errors", "units"},
    "simulations": {"estimate", "records", "errors", "units"},
    "curves": {"estimate", "records", "errors", "units"},
    "measurements": {"records", "errors", "units"},
    "catalogue": {"estimate", "catalog", "records", "errors", "units"},
    "api": {
        "curves",
        "simulations",
        "measurements",
        "catalogue",
        "estimate",
        "launch",
        "catalog",
        "predict",
        "records",
        "errors",
        "units",
        "article",
    },
    "search": {"estimate", "catalog", "predict", "records", "errors", "units"},
    "design": {"search", "estimate", "catalog", "predict", "records", "errors", "units"},
    "simulate": {"estimate", "catalog", "predict", "records", "errors", "units"},
    "evidence": {"api", "simulate", "estimate", "catalog", "predict", "records", "errors", "units"},
    "calibrate": {"api", "evidence", "estimate", "catalog", "predict", "records", "errors", "units"},
    "sweeps": {"api", "records", "errors", "units"},
    "planning": {"api", "records", "errors", "units"},
    "cli": {"api", "planning", "sweeps", "web", "report", "article", "catalog", "records", "errors", "units"},
    "web": {"api", "planning", "report", "article", "records", "errors", "units"},
}
"""What each part of the package may import beside itself."""

LATE = {
    "api": {"evidence", "calibrate", "search", "design", "sweeps"},
    "simulations": {"simulate"},
    "measurements": {"evidence"},
}
"""What a part may import inside functions alone: evidence is gathered, and searches, designs and sweeps are
answered, through the door that shows them."""

EDGES = {"cli", "web"}
"""Parts that talk to people: they alone print."""


def part_of(path: Path) -> str:
    """The package or module right under ``farthing`` that a file belongs to."""
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def imported(path: Path) -> Iterator[str]:
    """Parts of farthing that a file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import by full name"
            names = [node.module or ""]
            if node.module == "farthing":
                names = [f"farthing.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("farthing."):
                yield name.split(".")[1]


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        assert set(imported(path)) <= {"api", "planning", "errors"}
        return
    if part == "__main__":  # python -m farthing
        assert set(imported(path)) <= {"cli"}
        return
    assert part in SEES, f"{part} has no place in the order of imports: give it one here and say why"
    allowed = SEES[part] | LATE.get(part, set()) | {part, "__version__"}
    wrong = set(imported(path)) - allowed
    assert not wrong, f"{part} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("part", LATE)
def test_late_imports_are_inside_functions(part: str) -> None:
    top = ast.Module([node for node in tree(ROOT / f"{part}.py").body if not _is_late(node)], [])
    names = [node.module or "" for node in ast.walk(top) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.removeprefix("farthing.").split(".")[0] in LATE[part]]


def _is_late(node: ast.AST) -> bool:
    """In a function or a class, or for checkers of types alone."""
    checked = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return checked or isinstance(node, (ast.FunctionDef, ast.ClassDef))


def test_the_order_has_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(SEES):
        ready = {part for part, seen in SEES.items() if part not in done and seen <= done}
        assert ready, set(SEES) - done
        done |= ready


def test_the_check_sees_imports(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text(
        "import farthing.catalog.load\nfrom farthing import units\n"
        "def late():\n    from farthing.api import infer\n"
    )
    assert set(imported(sample)) == {"catalog", "units", "api"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_small_and_named_for_their_subject(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LINES
    assert path.stem not in ("utils", "util", "helpers", "helper", "common", "base", "misc")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_are_silent_and_catch_by_name(path: Path) -> None:
    edge = part_of(path) in EDGES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert edge or node.func.id != "print", place(path, node)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert edge or "logging" not in names, place(path, node)
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, place(path, node)
            only_pass = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
            broad = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            assert not (broad and only_pass), place(path, node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_asserts_only_narrow_types(path: Path) -> None:
    """``python -O`` drops an assert: what a caller can get wrong must raise. ``x is not None`` may stay."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assert):
            test = node.test
            narrows = (
                isinstance(test, ast.Compare)
                and len(test.ops) == 1
                and isinstance(test.ops[0], ast.IsNot)
                and isinstance(test.comparators[0], ast.Constant)
                and test.comparators[0].value is None
            )
            assert narrows, place(path, node)
