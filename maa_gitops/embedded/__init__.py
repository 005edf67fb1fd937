"""The embedded Graph: the local tenant served over HTTP in the shape of Microsoft Graph, beta; on loopback only.

It takes any bearer token for a name and gives everything to everybody: a place to try things and to test against, never
one for secrets. What it does and answers follows Graph's published reference where that says something.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from maa_gitops.errors import RemoteError

if TYPE_CHECKING:
    from maa_gitops.embedded.options import Options
    from maa_gitops.embedded.server import Server


def open_server(path: Path, options: "Options", port: int = 0) -> "Server":
    """Take a port for serving a file, which is made if it is not there.

    Raises:
        RemoteError: the file cannot be used, somebody else has the port, or what it takes to serve is not installed.
    """
    from maa_gitops.providers.store import Store

    try:
        from maa_gitops.embedded.server import Server
    except ModuleNotFoundError as error:
        text = f"serving needs {error.name}, which is not installed"
        raise RemoteError(text, hint="pip install 'maa-gitops[web]'", code="notInstalled") from error
    Store.open(path).close()
    return Server(path, options, port)


def fill_with_sample(path: Path, options: "Options") -> bool:
    """Put a small existing tenant into a file, if there is nothing in it; whether that was so.

    Raises:
        RemoteError: the file cannot be used.
    """
    from maa_gitops.embedded.seed import fill
    from maa_gitops.embedded.tenant import Tenant
    from maa_gitops.providers.store import Store

    store = Store.open(path)
    try:
        return fill(Tenant(store, options), options.clock())
    finally:
        store.close()
