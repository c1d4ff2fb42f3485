"""Writes docs/cli.md from the commands' own help; with --check only says whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

from farthing.cli.reference import reference

FILE = Path(__file__).with_name("cli.md")


def main() -> int:
    """Write the page; 1 where ``--check`` finds it out of date."""
    text = reference()
    if "--check" in sys.argv[1:]:
        current = FILE.is_file() and FILE.read_text("utf-8") == text
        print(f"{FILE.name} is {'current' if current else 'out of date: run python docs/generate_cli.py'}")
        return 0 if current else 1
    FILE.write_text(text, "utf-8")
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
