"""``farthing web``: the page, served on this machine."""

from __future__ import annotations

import contextlib
import re
import sys

import click

from farthing.cli.options import LAST, Command, Count, Number, option
from farthing.errors import InvalidInput

_SERVER = "Server"
_LIMITS = "Limits"


@click.command("web", cls=Command, short_help="The page: all of this in a browser.")
@option(
    _SERVER,
    "port",
    "--port",
    type=Count(0, 65535),
    default=8300,
    help="Port; 0 takes a free one.  [default: 8300]",
)
@option(
    _SERVER,
    "host",
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address to listen on; any but 127.0.0.1 lets others in.  [default: 127.0.0.1]",
)
@option(
    _SERVER,
    "names",
    "--name",
    multiple=True,
    metavar="NAME",
    help="A name that the page is asked for under, such as plans.example.org. Repeatable.  "
    "[default: localhost; any, with another --host]",
)
@option(
    _SERVER,
    "prefix",
    "--prefix",
    default="",
    metavar="PATH",
    help="Path under which a reverse proxy shows the page, such as /farthing.",
)
@option(
    _SERVER,
    "behind_proxy",
    "--behind-proxy",
    is_flag=True,
    help="Believe a proxy on this machine about its clients.",
)
@option(_SERVER, "browser", "--open", is_flag=True, help="Open the page in a browser.")
@option(
    _LIMITS,
    "workers",
    "--workers",
    type=Count(1, 256),
    help="Processes that answer.  [default: one a core, at most 8]",
)
@option(
    _LIMITS,
    "requests_per_s",
    "--rate",
    type=Number(0, 1e6),
    default=20.0,
    help="Requests a second of one client; 0 is no limit.  [default: 20]",
)
@option(LAST, "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def web(
    port: int,
    host: str,
    names: tuple[str, ...],
    prefix: str,
    behind_proxy: bool,
    browser: bool,
    workers: int | None,
    requests_per_s: float,
) -> None:
    """Serve the page: inference, training, designs, comparisons, simulations, accuracy, and the catalogue.

    It does what the commands do, and gives every answer as JSON, CSV, a command and a Python call; the API is
    under /api. It listens on this machine alone, keeps nothing, and needs no network. An interrupt (Ctrl-C)
    ends it.

    \b
    Examples:
      farthing web
      farthing web --port 9000 --open
      farthing web --prefix /farthing --behind-proxy --name plans.example.org
    """
    try:
        import fastapi  # noqa: F401
        import jinja2  # noqa: F401
        import pebble  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InvalidInput(f"the page needs {error.name}: pip install 'farthing[web]'") from None
    from farthing.cli.output import write
    from farthing.web.serve import listening, serve
    from farthing.web.settings import LOOPBACK, Settings

    if prefix and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix):
        raise InvalidInput(
            f"--prefix {prefix!r} must be a plain path that begins with / and does not end with one, such as "
            "/farthing"
        )
    alone = host in LOOPBACK
    settings = Settings(
        host=host,
        port=port,
        prefix=prefix,
        names=(*LOOPBACK, "[::1]", *names) if names or alone else ("*",),
        behind_proxy=behind_proxy,
        requests_per_s=requests_per_s,
        **({"workers": workers} if workers else {}),
    )
    if not alone:
        print(
            f"farthing: warning: {host} lets other machines in: there is no password and no encryption; put "
            "a reverse proxy before it, or leave out --host",
            file=sys.stderr,
        )
    with listening(settings) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}{prefix}/"
        write(f"farthing is at {address} (Ctrl-C ends it)\n")
        if browser:
            click.launch(address)
        # An interrupt is how it ends.
        with contextlib.suppress(KeyboardInterrupt):
            serve(settings, listener)
