"""Speed of the page: a server as users start it, asked over loopback by users with addresses of their own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import farthing

Row = tuple[str, str, str, str]

USERS = 200
"""At once, on loopback; each asks `ROUNDS` questions, one after another."""

ROUNDS = 3
QUESTIONS = 60
"""Of each view; no two are alike, so that no answer was kept."""

MODELS = ("llama-2-70b", "llama-3.1-8b", "llama-3.3-70b", "qwen2.5-72b", "mixtral-8x7b")
CLUSTERS = (
    "1x8:rtx-4090",
    "1x8:h100-sxm",
    "1x8:a100-sxm-80gb",
    "8x1:rtx-4090@10gbe",
    "1x4:rtx-3090",
    "2x8:h100-sxm@ib-ndr",
)


@dataclass(frozen=True)
class Got:
    """What came back: status, the server's own time and the whole time [s]."""

    status: int
    server_s: float
    whole_s: float


def page() -> list[Row]:
    """Server time of quick views and of a training search, and users at once."""
    draw = random.Random(1)
    with _server() as port:
        rows = []
        unit = _seconds(lambda: farthing.search(MODELS[0], CLUSTERS[0], batch_size=draw.randint(1, 300)))
        rows.append(("the front door alone: a search of 8 cards", f"{unit * 1e3:.1f} ms", "1.0 x", ""))
        for name, question in (
            ("inference", lambda: _inference(draw)),
            ("compare, 2 clusters", lambda: _compare(draw, 2)),
            ("compare, 6 clusters", lambda: _compare(draw, 6)),
        ):
            median, late = _timed(port, [question() for _ in range(QUESTIONS)])
            rows.append((f"{name}: median", f"{median * 1e3:.1f} ms", f"{median / unit:.1f} x", ""))
            rows.append((f"{name}: p95", f"{late * 1e3:.1f} ms", f"{late / unit:.1f} x", "50 ms"))
        for model in ("llama-2-70b", "deepseek-v3"):
            asked = [
                f"/training?model={model}&cluster=64x8:h100-sxm@ib-ndr&training_tokens={tokens}B"
                for tokens in range(1000, 1012)
            ]
            _, late = _timed(port, asked)
            name = f"training search, {model} on 512 cards: p95"
            rows.append((name, f"{late * 1e3:,.0f} ms", f"{late / unit:.0f} x", "1 s"))
        rows += _users(port, draw)
    return rows


def _inference(draw: random.Random) -> str:
    return (
        f"/inference?model={draw.choice(MODELS)}&cluster={draw.choice(CLUSTERS)}"
        f"&batch_size={draw.randint(1, 300)}&context_tokens={draw.randint(500, 4000)}"
    )


def _compare(draw: random.Random, many: int) -> str:
    clusters = ",".join(draw.sample(CLUSTERS, many))
    return f"/compare?model={draw.choice(MODELS)}&clusters={clusters}&batch_size={draw.randint(1, 300)}"


@contextlib.contextmanager
def _server() -> Iterator[int]:
    """The port of a server with its usual limits."""
    command = [sys.executable, "-m", "farthing", "web", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            port = int(re.findall(r":(\d+)/", line)[0])
            asyncio.run(_ask(port, "/", "127.0.0.1"))
            asyncio.run(_ask(port, "/inference", "127.0.0.1"))
            yield port
        finally:
            process.terminate()


async def _ask(port: int, path: str, own_address: str) -> Got:
    """One question from an address of this machine, as the page's own script asks it."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(own_address, 0))
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nHX-Request: true\r\nAccept-Encoding: gzip\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    answer = await asyncio.wait_for(reader.read(-1), 120)
    writer.close()
    head = answer.partition(b"\r\n\r\n")[0].decode()
    told = re.search(r"server-timing: total;dur=([0-9.]+)", head)
    return Got(
        status=int(head.split()[1]),
        server_s=float(told.group(1)) / 1e3 if told else 0.0,
        whole_s=time.perf_counter() - begun,
    )


def _timed(port: int, paths: list[str]) -> tuple[float, float]:
    """Median and 95th percentile of the server's time, one question after another [s]."""

    async def all_of_them() -> list[Got]:
        # An address of its own for each: one client would be asked to wait.
        return [await _ask(port, path, f"127.0.2.{place % 250 + 1}") for place, path in enumerate(paths)]

    got = asyncio.run(all_of_them())
    wrong = [one.status for one in got if one.status != 200]
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {len(got)} questions failed: {wrong[:5]}")
    times = sorted(one.server_s for one in got)
    return times[len(times) // 2], times[min(int(0.95 * len(times)), len(times) - 1)]


def _users(port: int, draw: random.Random) -> list[Row]:
    """Many users at once: what they wait, and how many are sent away."""

    async def user(place: int) -> list[Got]:
        address = f"127.0.3.{place % 250 + 1}"
        paths = [_inference(draw) if turn % 3 else _compare(draw, 2) for turn in range(ROUNDS)]
        return [await _ask(port, path, address) for path in paths]

    async def all_of_them() -> list[list[Got]]:
        return await asyncio.gather(*(user(place) for place in range(USERS)))

    begun = time.perf_counter()
    got = [one for each in asyncio.run(all_of_them()) for one in each]
    took = time.perf_counter() - begun
    failed = sum(one.status != 200 for one in got)
    waits = sorted(one.whole_s for one in got)
    return [
        (f"{USERS} users, {len(got)} questions: failed", f"{failed}", "", "0"),
        ("  questions a second", f"{len(got) / took:.0f}", "", ""),
        ("  median wait", f"{waits[len(waits) // 2]:.1f} s", "", ""),
        ("  longest wait", f"{waits[-1]:.1f} s", "", ""),
    ]


def _seconds(function: Callable[[], object]) -> float:
    """Median of some calls [s]."""
    times = []
    for _ in range(15):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    for name, figure, ratio, limit in page():
        print(f"  {name:58} {figure:>10} {ratio:>8}  {'bar: ' + limit if limit else ''}".rstrip())
