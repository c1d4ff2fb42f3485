"""Writes the glossary of the package from docs/terms.md, which people read and edit.

With ``--check`` only says whether it is current.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from farthing.catalog import glossary

PAGE = Path(__file__).with_name("terms.md")
FILE = Path(glossary.__file__).parent / "data" / glossary.FILE
COLUMNS = ("name", "section", "meaning", "unit", "vllm", "megatron", "torchtitan")


def entries(page: str) -> Iterator[dict[str, str]]:
    """A row for each name in the first column of the page's tables; headings inside of tables are none."""
    section = ""
    for line in page.splitlines():
        if line.startswith("## "):
            section = line[3:]
        if not line.startswith("|") or not set(line) - set("|- ") or line.startswith(("| term |", "| **")):
            continue
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        cells += [""] * (len(COLUMNS) - 2 - len(cells))
        for one in re.findall(r"`([^`]+)`", name) or name.split(", "):
            yield dict(zip(COLUMNS, (one, section, *cells), strict=True))


def table(page: str) -> str:
    """The glossary as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(entries(page))
    return text.getvalue()


def main() -> int:
    """Write it; with ``--check`` say whether it is current."""
    found = table(PAGE.read_text("utf-8"))
    if "--check" in sys.argv[1:]:
        current = FILE.read_text("utf-8") == found
        print(f"{FILE.name} is {'current' if current else 'out of date: run make docs'}")
        return 0 if current else 1
    FILE.write_text(found, "utf-8")
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
