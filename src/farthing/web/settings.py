"""How the page is served."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the page is served.

    Attributes
    ----------
    host, port
        Where it listens.
    prefix
        Path under which a reverse proxy shows it, e.g. ``/farthing``; empty where there is none.
    names
        Names of this host that requests may ask for; others are refused, so that no foreign page can reach
        the service through a name that it points here. ``*`` takes any.
    workers
        Processes that answer quick questions, and as many that answer slow ones; 0 answers in the server's
        own process.
    quick_s, slow_s
        Longest time of an answer [s]; then its process is ended.
    waiting
        Questions that may wait; more are refused with 503, and so are slow ones beyond ``slow_waiting``.
    head_s
        Longest time in which the head of a request may come [s].
    requests_per_s, burst
        Of one client: steady rate, and how many at once; more are refused with 429. A slow question counts
        as `slow_counts`. A rate of 0 is no limit.
    body_bytes, body_s
        Largest body of a request [byte], and the longest time in which it may come [s].
    behind_proxy
        Believe a reverse proxy on this host about its clients' addresses.
    """

    host: str = "127.0.0.1"
    port: int = 8300
    prefix: str = ""
    names: tuple[str, ...] = (*LOOPBACK, "[::1]")
    workers: int = field(default_factory=lambda: min(os.cpu_count() or 1, 8))
    quick_s: float = 20.0
    slow_s: float = 120.0
    waiting: int = 400
    slow_waiting: int = 40
    head_s: float = 10.0
    requests_per_s: float = 20.0
    burst: float = 100.0
    slow_counts: float = 5.0
    body_bytes: int = 64 * 1024
    body_s: float = 10.0
    behind_proxy: bool = False
