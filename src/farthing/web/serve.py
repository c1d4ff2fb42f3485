"""Serves the page until it is stopped."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from farthing.errors import FarthingError
from farthing.web.app import create_app
from farthing.web.settings import Settings


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve on a socket that listens, until an interrupt."""
    app = create_app(settings)

    class Protocol(_Impatient):
        head_s = settings.head_s

    config = uvicorn.Config(
        app,
        http=Protocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips=["127.0.0.1", "::1"],
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32 * 1024,
        limit_concurrency=2048,
        lifespan="on",
    )
    _Server(config, app).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells those who wait before it closes their connections."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer no more, then close."""
        self._app.state.workers.abandon()
        await super().shutdown(sockets)


class _Impatient(H11Protocol):
    """Closes connections on which the head of a request does not come in time."""

    head_s = 10.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on, as long as there is a part of a head alone."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._late is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._late = self.loop.call_later(self.head_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def listening(settings: Settings) -> socket.socket:
    """A socket that listens: what hinders it is told before anything starts.

    Raises
    ------
    FarthingError
        The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Of TCP by name: asyncio then sends small answers at once.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        made.listen(2048)
    except socket.gaierror:
        made.close()
        raise FarthingError(f"cannot listen on {settings.host}: no such address here; see --host") from None
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise FarthingError(
            f"cannot listen on {settings.host} port {settings.port}: {reason}; name another with --port"
        ) from None
    return made
