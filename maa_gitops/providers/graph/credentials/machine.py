"""Who this machine is already: the identity that its cloud gave it, or whoever signed in with the Azure CLI."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from maa_gitops.errors import RemoteError
from maa_gitops.http import Answer, is_token
from maa_gitops.providers.graph.credentials.entra import JOB_PERMISSION
from maa_gitops.providers.graph.credentials.granting import SHORT, Asking, Granted, granted, said

IMDS = "http://169.254.169.254/metadata/identity/oauth2/token"
"""Where a virtual machine of Azure asks who it is; the address leads nowhere else."""

_IMDS_BUSY = frozenset({404, 410})
_PATIENCE = 60.0
"""Seconds for the Azure CLI, which may have to renew what it knows."""


def app_identity(asking: Asking, resource: str, client: str | None, endpoint: str, header: str) -> Granted:
    """Get a token where the surroundings name an address to ask at, and a secret for it; ``client`` is which identity.

    Source: Azure, "How to use managed identities for App Service and Azure Functions".

    Raises:
        RemoteError: there is no such identity, or no answer.
    """
    address = f"{endpoint}?{_query('2019-08-01', resource, client)}"
    return _granted(asking.ask(address, {"X-IDENTITY-HEADER": header}, link_local=True))


def machine_identity(asking: Asking, resource: str, client: str | None, address: str = IMDS) -> Granted:
    """Get a token as a virtual machine; ``client`` is which identity, where it has several.

    Source: Azure, "How to use managed identities for Azure resources on an Azure VM to acquire an access token".

    Raises:
        RemoteError: this is no such machine, or it has no such identity.
    """
    address = f"{address}?{_query('2018-02-01', resource, client)}"
    try:
        answer = asking.ask(address, {"Metadata": "true"}, busy=_IMDS_BUSY, link_local=True)
    except RemoteError as error:
        hint = "only a virtual machine of Azure has a managed identity; elsewhere name another credential"
        raise RemoteError(error.message, retry=error.retry, hint=hint, code=error.code) from error
    return _granted(answer)


def azure_cli(
    program: str, environment: Mapping[str, str], tenant: str, resource: str, patience: float = _PATIENCE
) -> Granted:
    """Get a token from the Azure CLI, whose absolute path is given.

    Raises:
        RemoteError: it cannot be started, is not signed in, or takes too long.
    """
    command = [program, "account", "get-access-token", "--tenant", tenant, "--resource", resource, "--output", "json"]
    code, printed, complaint = _run(command, environment, patience)
    try:
        plain = json.loads(printed) if code == 0 else None
    except (ValueError, RecursionError):
        plain = None
    token = plain.get("accessToken") if isinstance(plain, dict) else None
    if not isinstance(token, str) or not is_token(token):
        lines = [line.strip() for line in complaint.splitlines() if line.strip()]
        words = lines[-1][:400] if lines else f"it ended with {code} and gave none"
        raise _refused(f"the Azure CLI gives no token: {words}", _cli_hint(environment, tenant))
    return Granted(token, SHORT)


def _query(version: str, resource: str, client: str | None) -> str:
    return urlencode({"api-version": version, "resource": resource, **({"client_id": client} if client else {})})


def _granted(answer: Answer) -> Granted:
    found = granted(answer)
    if found is None:
        hint = "give this machine an identity; clientId must be one that it has, or absent if it has only its own"
        raise _refused(f"the managed identity gets no token: {said(answer)}", hint)
    return found


def _cli_hint(environment: Mapping[str, str], tenant: str) -> str:
    # GitHub's machines have the program, and nobody who signed in.
    in_actions = environment.get("GITHUB_ACTIONS") == "true"
    return JOB_PERMISSION if in_actions else f"az login --tenant {tenant}"


def _run(command: Sequence[str], environment: Mapping[str, str], patience: float) -> tuple[int, bytes, str]:
    """Run a program to its end; returns its code, what it printed and what it complained of.

    It runs in the root folder: Python, in which the Azure CLI is written, would take modules from the tenant
    repository. None of our own keys is in its environment.

    Raises:
        RemoteError: it cannot be started, or takes too long; then all that it started is ended.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("MAA_")}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, env=kept, cwd="/", stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise _refused(f"{command[0]} cannot be started: {error}", None) from error
    with process:
        try:
            printed, complaint = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired as error:
            raise RemoteError(f"{command[0]} takes more than {patience:g} s", retry=True, code="graphFailed") from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, printed, complaint.decode("utf-8", "replace")


def _refused(text: str, hint: str | None) -> RemoteError:
    return RemoteError(text, hint=hint, code="graphUnauthorized")
