"""``farthing prices`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

HEADER = "item,kind,usd,per,date\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FARTHING_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def listed(run: Any, *arguments: str) -> list[dict[str, Any]]:
    found = run("prices", "list", *arguments, "--json")
    assert (found.code, found.err) == (0, "")
    rows: list[dict[str, Any]] = json.loads(found.out)
    return rows


def test_the_list(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = listed(run)
    assert len(rows) > 250
    dates = [row["date"] for row in rows]
    assert dates == sorted(dates, reverse=True)
    monkeypatch.setenv("COLUMNS", "120")
    text = run("prices", "list").out
    assert text.splitlines()[0].split() == ["item", "kind", "USD", "per", "date", "provider", "source"]
    assert f"{len(rows)} prices of" in text
    assert "stale" in text


def test_filters(run: Any) -> None:
    assert {row["item"] for row in listed(run, "rtx-4090", "H100-SXM")} == {"rtx-4090", "h100-sxm"}
    assert {row["kind"] for row in listed(run, "--kind", "used")} == {"used"}
    since = listed(run, "--since", "2026-06")
    assert since
    assert all(row["date"] >= "2026-06" for row in since)
    old, all_rows = listed(run, "--stale"), listed(run)
    assert 0 < len(old) < len(all_rows)
    assert all(row["stale"] for row in old)
    assert len([row for row in all_rows if row["stale"]]) == len(old)
    nothing = run("prices", "list", "m2-ultra")
    assert (nothing.code, nothing.out) == (0, "no such prices are known\n")
    assert listed(run, "m2-ultra") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "rtx-4900"), "rtx-4090"),
        (("list", "--kind", "hire"), "rental"),
        (("list", "--since", "yesterday"), "write it like 2026-11-02"),
        (("list", "--since", "2926-01-01"), "future"),
        (("use", "nowhere.csv"), "cannot read nowhere.csv"),
        (("use",), "FILE.csv"),
    ],
)
def test_bad_input(run: Any, arguments: tuple[str, ...], words: str) -> None:
    found = run("prices", *arguments)
    assert (found.code, found.out) == (2, "")
    assert found.err.count("\n") == 1
    assert words in found.err


def test_own_prices_come_and_go(run: Any, folder: Path) -> None:
    Path("mine.csv").write_text(HEADER + "rtx-4090,used,1500,unit,2026-11-02\n", "utf-8")
    used = run("prices", "use", "mine.csv")
    assert (used.code, used.err) == (0, "")
    assert "1 price of 1 item" in used.out
    assert "$1,500 (2026-11-02)" in run("infer", "llama-3.1-8b", "--on", "rtx-4090").out.replace(".00", "")
    (row,) = [row for row in listed(run, "rtx-4090") if row["kind"] in ("used", "purchase")]
    assert (row["usd"], row["source"]) == (1500, "mine.csv")
    Path("mine.csv").write_text(HEADER + "rtx-4090,used,-1,unit,2026-11-02\n", "utf-8")
    bad = run("prices", "use", "mine.csv")
    assert (bad.code, bad.out) == (1, "")
    assert "mine.csv: record 'line 2', field 'usd'" in bad.err
    assert listed(run, "rtx-4090", "--kind", "used") == [row]
    assert json.loads(run("prices", "forget", "--json").out) == {"forgotten": [str(folder / "prices.csv")]}
    assert "no prices of your own" in run("prices", "forget").out
    assert row not in listed(run, "rtx-4090")


def test_use_as_json(run: Any, folder: Path) -> None:
    Path("mine.csv").write_text(HEADER + "rtx-4090,used,1500,unit,2020-01-02\n", "utf-8")
    found = json.loads(run("prices", "use", "mine.csv", "--json").out)
    assert found["file"] == str(folder / "prices.csv")
    assert [(row["item"], row["stale"]) for row in found["prices"]] == [("rtx-4090", True)]


def test_a_broken_file_of_own_prices_is_named_by_whoever_needs_it(run: Any, folder: Path) -> None:
    folder.mkdir()
    (folder / "prices.csv").write_text(HEADER + "rtx-4090,us", "utf-8")
    for line in (("prices", "list"), ("gpu", "show", "t4"), ("infer", "llama-3.1-8b", "--on", "rtx-4090")):
        found = run(*line)
        assert (found.code, found.out) == (1, "")
        assert "prices.csv" in found.err
        assert "farthing prices forget" in found.err
    assert run("prices", "forget").code == 0
    assert run("gpu", "show", "t4").code == 0


def test_a_refresh(process: Any, publish: Any, folder: Path) -> None:
    publish(
        "runpod",
        {"instance_name": "NVIDIA H100 80GB HBM3", "gpu_name": "H100", "price": 2.4},
        {"instance_name": "NVIDIA P100", "gpu_name": "P100", "gpu_memory": 16.0, "price": 0.2},
    )
    found = process("prices", "update")
    assert (found.code, found.err) == (0, ""), "gpuhunt's own words about missing clouds are not shown"
    for words in ("1 for 1 accelerators", "RunPod", "not reached", "P100 16 GiB", "rentals.csv"):
        assert words in found.out
    again = process("prices", "update", "--json")
    assert json.loads(again.out)["offers"] == 1
    assert "2.4" in process("prices", "list", "h100-sxm", "--since", "2026-11-20").out


def test_a_failed_refresh(process: Any, tmp_path: Path) -> None:
    nowhere = (tmp_path / "nowhere").as_uri()
    for arguments in ((), ("--json",)):
        found = process("prices", "update", *arguments, GPUHUNT_CATALOG_URL=nowhere)
        assert (found.code, found.out) == (1, "")
        assert found.err.count("\n") == 1
        assert "stay in use" in found.err
