"""Serves the page until it is stopped."""

from __future__ import annotations

import socket

import uvicorn

from farthing.errors import FarthingError
from farthing.web.app import create_app
from farthing.web.settings import Settings


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve on a socket that listens, until an interrupt."""
    config = uvicorn.Config(
        create_app(settings),
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
    uvicorn.Server(config).run(sockets=[listener])


def listening(settings: Settings) -> socket.socket:
    """A socket that listens: what hinders it is told before anything starts.

    Raises
    ------
    FarthingError
        The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        made.listen(2048)
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise FarthingError(
            f"cannot listen on {settings.host} port {settings.port}: {reason}; name another with --port"
        ) from None
    return made
