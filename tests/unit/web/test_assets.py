"""What comes from npm is what the manifest says, with its licence; the page's own scripts need no network."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import farthing.web

STATIC = Path(farthing.web.__file__).parent / "static"
VENDOR = STATIC / "vendor"
ASSETS = Path(__file__).parents[3] / "assets"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("file", MANIFEST["files"])
def test_a_bundle_is_the_one_that_was_built(file: str) -> None:
    assert hashlib.sha256((VENDOR / file).read_bytes()).hexdigest() == MANIFEST["files"][file]


def test_nothing_else_is_there() -> None:
    assert {file.name for file in VENDOR.iterdir()} == {*MANIFEST["files"], "manifest.json", "LICENSES.txt"}


def test_every_package_has_its_licence() -> None:
    text = (VENDOR / "LICENSES.txt").read_text("utf-8")
    for name, about in MANIFEST["packages"].items():
        assert f"{name} {about['version']} ({about['license']})" in text
        assert about["license"] in ("MIT", "ISC", "BSD-3-Clause", "0BSD")


def test_versions_are_those_that_are_pinned() -> None:
    pinned = json.loads((ASSETS / "package.json").read_text("utf-8"))["dependencies"]
    locked = json.loads((ASSETS / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in pinned.items():
        assert MANIFEST["packages"][name]["version"] == version
    for name, about in MANIFEST["packages"].items():
        assert locked[f"node_modules/{name}"]["version"] == about["version"]


OWN = sorted(file for file in STATIC.glob("*.*") if file.suffix in (".js", ".css"))


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.name)
def test_own_files_ask_no_other_host(file: Path) -> None:
    text = file.read_text("utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'`)]*", text))
    assert addresses <= {"https://"}  # what a link must begin with
    assert "eval(" not in text
    assert "new Function" not in text
