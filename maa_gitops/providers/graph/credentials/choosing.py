"""Which credential a target uses: the one that its options name, else the first that the environment offers."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from maa_gitops.errors import RemoteError
from maa_gitops.http import Connection, is_loopback, is_token
from maa_gitops.providers.graph.credentials.entra import (
    GRAPH,
    JOB_PERMISSION,
    LOGIN,
    Application,
    Cloud,
    certificate_assertion,
    cloud_of,
    github_assertion,
)
from maa_gitops.providers.graph.credentials.granting import Asking, Credential, Fixed, Granted, Renewed
from maa_gitops.providers.graph.credentials.machine import app_identity, azure_cli, machine_identity

LOCAL = "local"
"""What is sent to a Graph on this machine, where nothing else is said."""

_NEAR = 10.0
"""Seconds of silence after which there is nobody at an address that is next door or nowhere."""

_SECRET = ("MAA_GRAPH_CLIENT_SECRET", "AZURE_CLIENT_SECRET")
_CERTIFICATE = ("MAA_GRAPH_CLIENT_CERTIFICATE", "AZURE_CLIENT_CERTIFICATE_PATH")
_GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
_IDENTITY = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")
_OFFERS = (
    (_SECRET, any, "clientSecret"),
    (_CERTIFICATE, any, "clientCertificate"),
    (_GITHUB, all, "githubOidc"),
    (_IDENTITY, all, "managedIdentity"),
)
"""Variables, how many of them it takes, and the credential that they offer; the first that is offered is used."""

KINDS = (*(kind for _, _, kind in _OFFERS), "azureCli")


def credential(
    options: Mapping[str, str],
    environment: Mapping[str, str],
    connection: Connection,
    *,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Credential:
    """Choose where the tokens for a target come from; nothing is asked yet.

    A Graph on this machine gets what ``MAA_GRAPH_TOKEN`` holds, or a fixed word, unless ``credential`` is named: no
    real token goes to whatever listens here. (With ``MAA_GRAPH_LOGIN_URL`` the login is on this machine as well, and
    the environment counts.) ``wait`` is told how many seconds to wait.

    Raises:
        RemoteError: ``graphCredential``, there is none, or something that it needs is missing.
    """
    url, kind = options.get("url", GRAPH), options.get("credential")
    if kind is None and is_loopback(url) and not environment.get(LOGIN):
        return Fixed(_sendable(environment.get("MAA_GRAPH_TOKEN") or LOCAL))
    cloud = cloud_of(url, environment)
    choice = _Choice(kind or _offered(environment), options, environment, Asking(connection, wait), cloud)
    return Renewed(choice.source(), clock)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A kind of credential, and what it may be made of."""

    kind: str
    options: Mapping[str, str]
    environment: Mapping[str, str] = field(repr=False)
    asking: Asking
    cloud: Cloud

    def source(self) -> Callable[[], Granted]:
        """Put together how a token is got; whatever is missing is missed now."""
        match self.kind:
            case "clientSecret":
                return partial(self._application().by_secret, self._value(_SECRET))
            case "clientCertificate":
                return self._certificate()
            case "githubOidc":
                return self._github()
            case "managedIdentity":
                return self._managed_identity()
            case "azureCli":
                return self._azure_cli()
            case _:
                raise _missing(f"there is no credential '{self.kind}'; there is: {', '.join(KINDS)}")

    def _certificate(self) -> Callable[[], Granted]:
        application, file = self._application(), Path(self._value(_CERTIFICATE))

        def source() -> Granted:
            return application.by_assertion(certificate_assertion(file, application.client, application.address))

        return source

    def _github(self) -> Callable[[], Granted]:
        application = self._application()
        url, token = (self._value((name,), hint=JOB_PERMISSION) for name in _GITHUB)

        def source() -> Granted:
            return application.by_assertion(github_assertion(self.asking, url, token, self.cloud.audience))

        return source

    def _managed_identity(self) -> Callable[[], Granted]:
        endpoint, header = (self.environment.get(name) for name in _IDENTITY)
        if endpoint and header:
            return partial(app_identity, self.asking, self.cloud.resource, self._client(), endpoint, header)
        near = Connection(agent=self.asking.connection.agent, time_out=_NEAR)
        return partial(machine_identity, replace(self.asking, connection=near), self.cloud.resource, self._client())

    def _azure_cli(self) -> Callable[[], Granted]:
        found = _azure_cli_path(self.environment)
        if found is None:
            text = f"credential {self.kind} needs the program az, which is not on PATH"
            raise _missing(text, hint="install the Azure CLI")
        return partial(azure_cli, found, self.environment, self._tenant(), self.cloud.resource)

    def _application(self) -> Application:
        client = self._client()
        if not client:
            text = f"credential {self.kind} needs the application (client) id"
            raise _missing(text, hint="write clientId: … for the target in maa.yaml, or set AZURE_CLIENT_ID")
        return Application(self.asking, self.cloud, self._tenant(), client)

    def _client(self) -> str | None:
        return self.options.get("clientId") or self.environment.get("AZURE_CLIENT_ID") or None

    def _tenant(self) -> str:
        found = self.options.get("tenantId")
        if not found:
            raise _missing("the target has no tenantId", hint="write tenantId: … for the target in maa.yaml")
        return found

    def _value(self, names: tuple[str, ...], *, hint: str | None = None) -> str:
        """What the first of these variables holds that holds anything."""
        found = next((value for name in names if (value := self.environment.get(name))), None)
        if found is None:
            raise _missing(f"credential {self.kind} needs the variable {' or '.join(names)}", hint=hint)
        return found


def _offered(environment: Mapping[str, str]) -> str:
    """The first credential that the environment offers."""
    for names, enough, kind in _OFFERS:
        if enough(environment.get(name) for name in names):
            return kind
    if _azure_cli_path(environment) is not None:
        return "azureCli"
    told = (f"{(' or ' if enough is any else ' and ').join(names)} ({kind})" for names, enough, kind in _OFFERS)
    hint = "set what one of them needs, or write credential: managedIdentity on a virtual machine of Azure"
    raise _missing(f"nothing signs in to Microsoft Graph; there could be: {', '.join(told)}, az (azureCli)", hint=hint)


def _azure_cli_path(environment: Mapping[str, str]) -> str | None:
    found = shutil.which("az", path=environment.get("PATH", os.defpath))
    return None if found is None else str(Path(found).absolute())


def _sendable(token: str) -> str:
    if not is_token(token):
        raise _missing("MAA_GRAPH_TOKEN holds characters that no token has, such as spaces or line feeds")
    return token


def _missing(text: str, *, hint: str | None = None) -> RemoteError:
    return RemoteError(text, hint=hint, code="graphCredential")
