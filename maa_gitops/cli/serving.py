"""The command that serves the local tenant as an embedded Microsoft Graph."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.cli.targets import chosen_targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from maa_gitops.embedded.options import Options
    from maa_gitops.model import ProfileType, Target


@dataclass(frozen=True, slots=True)
class _Served:
    """What is to be served: a file, in the name of a tenant with profile types of its own."""

    file: Path
    tenant: str = "contoso"
    types: "tuple[ProfileType, ...]" = ()


@click.command(epilog="Example:  maa tenant serve --file tenant.sqlite3 --sample")
@click.option("--target", "target", metavar="T", help="The local target of maa.yaml to serve; else the only one.")
@click.option(
    "--file",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Serve this file, in a repository or not; one that is not there becomes an empty tenant.",
)
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=0, help="The port; else any free one.")
@click.option("--sample", is_flag=True, help="Put a small existing tenant into the file, if nothing is in it.")
@common_options
@click.pass_obj
def serve(invocation: Invocation, target: str | None, file: Path | None, port: int, *, sample: bool) -> None:
    """Serve a local target as Microsoft Graph, on this machine only, until Ctrl-C.

    Any bearer token is taken for the name of the caller. For trying out and for tests: what is served is open to
    everybody on this machine.
    """
    from maa_gitops.embedded import fill_with_sample, open_server

    if target is not None and file is not None:
        raise click.UsageError("--target and --file say two things")
    served = _Served(invocation.directory / file) if file is not None else _of_repository(invocation, target)
    options = _options(served, invocation.now)
    server = open_server(served.file, options, port)
    if sample and not fill_with_sample(served.file, options):
        invocation.note(f"{served.file} holds something already; it stays as it is")
    try:
        _say(invocation, server.url, served.file)
        server.run()
    except KeyboardInterrupt:
        invocation.note("stopped")


def _of_repository(invocation: Invocation, name: str | None) -> _Served:
    """The file of a target of the repository.

    Raises:
        click.UsageError: the target is not local, or none is named and there is not just one.
    """
    from maa_gitops.providers.local import location

    clone = invocation.open_clone()
    settings = clone.tenant.settings
    found = _local(chosen_targets(clone, name), name)
    return _Served(location(found, clone.repository.git_dir), settings.tenant, settings.profile_types)


def _local(targets: "tuple[Target, ...]", name: str | None) -> "Target":
    local = [target for target in targets if target.provider == "local"]
    if len(local) == 1:
        return local[0]
    if name is not None:
        raise click.UsageError(f"target '{name}' is not local; maa tenant serve --file FILE serves a file of its own")
    names = ", ".join(target.name for target in local) or "none"
    raise click.UsageError(f"name one of the local targets with --target; maa.yaml has: {names}")


def _options(served: _Served, clock: "Callable[[], datetime]") -> "Options":
    from maa_gitops.embedded.options import Options

    return Options(clock=clock, name=served.tenant.capitalize(), types=served.types)


def _say(invocation: Invocation, url: str, file: Path) -> None:
    """Say where it is served, at once: whoever started it waits for the line."""
    from maa_gitops.render.plain import document

    invocation.emit(
        document(url=url, file=str(file)),
        lambda: invocation.say(f"serving {url} ({file}); stop with Ctrl-C"),
    )
    sys.stdout.flush()
