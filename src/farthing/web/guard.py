"""What stands before every request: limits of rate, size and time, and headers of every answer."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farthing.web.pages import refusal
from farthing.web.problem import Problem
from farthing.web.settings import Settings
from farthing.web.views import VIEWS

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

LONGEST_QUERY: Final = 8 * 1024
"""Bytes of an address; longer ones are refused."""

CLIENTS: Final = 10_000
"""Clients whose rate is remembered; the one that was quiet for longest is forgotten first."""


class Rate:
    """How much each client may still ask: a bucket that fills steadily.

    Parameters
    ----------
    per_s, burst
        What flows in each second, and what the bucket holds; a rate of 0 is no limit.

    Examples
    --------
    >>> rate = Rate(per_s=1.0, burst=2.0)
    >>> [rate.wait_s("a", 1.0, now=0.0) for _ in range(3)], rate.wait_s("b", 1.0, now=0.0)
    ([0.0, 0.0, 1.0], 0.0)
    >>> rate.wait_s("a", 1.0, now=1.0)
    0.0
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self.per_s = per_s
        self.burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str, amount: float, now: float | None = None) -> float:
        """Take an amount; 0, or the seconds after which there is enough."""
        if not self.per_s:
            return 0.0
        moment = time.monotonic() if now is None else now
        left, since = self._left.pop(client, (self.burst, moment))
        left = min(left + (moment - since) * self.per_s, self.burst)
        enough = left >= amount
        self._left[client] = (left - amount if enough else left, moment)
        if len(self._left) > CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if enough else (amount - left) / self.per_s


class Guard:
    """Refuses what is too large or too slow in coming, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self._rate = Rate(settings.requests_per_s, settings.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = self._with_prefix(scope)
        begun = time.perf_counter()

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                headers["server-timing"] = f"total;dur={(time.perf_counter() - begun) * 1e3:.1f}"
            await send(message)

        problem, body = await self._checked(scope, receive)
        if problem is not None:
            await refusal(problem, Headers(scope=scope), self.settings.prefix)(scope, receive, guarded)
            return
        told = False

        async def whole() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, whole, guarded)

    async def _checked(self, scope: Scope, receive: Receive) -> tuple[Problem | None, bytes]:
        """What is wrong with a request before anyone looks at what it asks; else its body."""
        if not self._is_named(Headers(scope=scope).get("host", "")):
            message = "this server does not answer to that name; start it with --name NAME"
            return Problem("wrong-host", message), b""
        wait_s = self._wait_s(scope)
        if wait_s:
            message = f"too many questions from one place; ask again in {max(1, round(wait_s))} s"
            return Problem("too-many", message, wait_s), b""
        if len(scope.get("query_string", b"")) > LONGEST_QUERY:
            return Problem("too-long", "the address is too long; send the question as a JSON body"), b""
        most = self.settings.body_bytes
        too_large = Problem("too-large", f"the body is larger than {most:,} bytes; send less")
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told) > most:
            return too_large, b""
        try:
            body = await asyncio.wait_for(self._body(receive), self.settings.body_s)
        except TimeoutError:
            return Problem("too-slow", "the body did not come in time; send it at once"), b""
        return (too_large, b"") if body is None else (None, body)

    def _is_named(self, host: str) -> bool:
        """Whether a request asks for one of the server's names, whatever the port."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        return "*" in self.settings.names or name.lower() in self.settings.names

    def _with_prefix(self, scope: Scope) -> Scope:
        """The request as under the prefix, whether or not a proxy took it off."""
        prefix = self.settings.prefix
        if not prefix:
            return scope
        path = scope["path"]
        whole = path if path == prefix or path.startswith(f"{prefix}/") else prefix + path
        return {**scope, "root_path": prefix, "path": whole}

    def _wait_s(self, scope: Scope) -> float:
        """Seconds that a client has to wait; assets are free."""
        path = scope["path"].removeprefix(self.settings.prefix)
        if path.startswith("/static/"):
            return 0.0
        name = path.removeprefix("/api").strip("/").partition("/")[0].removesuffix(".csv")
        slow = name in VIEWS and VIEWS[name].slow
        client = (scope.get("client") or ("",))[0]
        return self._rate.wait_s(client, self.settings.slow_counts if slow else 1.0)

    async def _body(self, receive: Receive) -> bytes | None:
        """The body of a request; None where it is too large."""
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b""
            part = message.get("body", b"")
            size += len(part)
            if size > self.settings.body_bytes:
                return None
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
