"""The server: Uvicorn on a loopback port, for as long as it is wanted."""

import asyncio
import socket
from pathlib import Path

import uvicorn

from maa_gitops.embedded.app import make_app
from maa_gitops.embedded.faults import Faults, Transports
from maa_gitops.embedded.options import Options
from maa_gitops.embedded.service import Service
from maa_gitops.embedded.tenant import Tenant
from maa_gitops.errors import RemoteError
from maa_gitops.providers.store import Store

HOST = "127.0.0.1"


class Server:
    """A file that is served. It listens from the start, and answers while ``run`` runs."""

    def __init__(self, path: Path, options: Options, port: int = 0) -> None:
        """Take a port, 0: any free one.

        Raises:
            RemoteError: somebody else has it.
        """
        self._path = path
        self._options = options
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((HOST, port))
            self._socket.listen(128)
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise RemoteError(f"port {port} cannot be had: {error}", hint="--port 0 takes a free one") from error
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/beta"
        self._server: uvicorn.Server | None = None
        self._is_over = False

    def run(self) -> None:
        """Answer until ``stop``, or a signal.

        Raises:
            RemoteError: the file cannot be used.
        """
        store = Store.open(self._path)
        try:
            self._server = uvicorn.Server(self._config(Tenant(store, self._options)))
            self._server.should_exit = self._is_over
            asyncio.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._socket.close()
            store.close()

    def stop(self) -> None:
        """Let ``run`` end, even if it has not begun; from any thread."""
        self._is_over = True
        if self._server is not None:
            self._server.should_exit = True

    def _config(self, tenant: Tenant) -> uvicorn.Config:
        transports = Transports()
        app = make_app(Service(tenant))
        plan = self._options.faults
        return uvicorn.Config(
            Faults(app, plan, transports) if plan is not None else app,
            http=transports.protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical" if plan is not None else "error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
