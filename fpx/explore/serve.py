"""The same program in a browser: textual-serve on an address of this machine."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from aiohttp import web
from textual_serve.server import Server

from fpx.errors import InputError
from fpx.words import reason

LOOPBACK = "127.0.0.1"
"""The address that no other machine reaches."""

_GRACE = 2  # seconds in which programs behind pages may end


class ExploreServer(Server):
    """textual-serve with a page that loads nothing from elsewhere, for pages of its own alone.

    Args:
        command: what each page runs.
        listening: a socket that listens already.
    """

    def __init__(self, command: Sequence[str], listening: socket.socket) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(
            f"exec {shlex.join(command)}",
            host=host,
            port=port,
            title="fpx explore",
            public_url=f"http://{_bracketed(host)}:{port}",
            templates_path=Path(__file__).parent,
        )
        self._socket = listening

    def initialize_logging(self) -> None:
        """None: stdout has the address and nothing else."""

    async def on_startup(self, app: web.Application) -> None:
        """Prints the address."""
        print(f"{self.public_url} (Ctrl-C ends it)", flush=True)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Starts the program for a page of this server; refuses those of others.

        Any page that a browser has open may try to connect here, and with a name of its own for
        this address it would even look like ours.
        """
        known = {f"{LOOPBACK}:{self.port}", f"localhost:{self.port}"}
        ours = request.headers.get("Origin") == f"http://{request.host}"
        if not ours or (self.host == LOOPBACK and request.host not in known):
            raise web.HTTPForbidden(text="only the page of fpx explore may connect here")
        return await super().handle_websocket(request)

    async def run(self) -> NoReturn:
        """Serves until Ctrl-C, which ends the process.

        A page that is just being opened or closed would keep it for long otherwise.
        """
        runner = web.AppRunner(await self._make_app(), shutdown_timeout=_GRACE)
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.wait([asyncio.create_task(runner.cleanup())], timeout=_GRACE)
            os._exit(0)


def serve(command: Sequence[str], host: str) -> None:
    """Serves the program on a free port of an address, until Ctrl-C.

    Args:
        command: what each page runs.
        host: the address.

    Raises:
        InputError: nothing can listen there.
    """
    try:
        family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, 0), family=family)
    except OSError as error:
        raise InputError(f"--host {host}: nothing can listen there: {reason(error)}") from None
    with listening:
        asyncio.run(ExploreServer(command, listening).run())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
