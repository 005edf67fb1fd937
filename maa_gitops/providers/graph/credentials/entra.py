"""Microsoft Entra: which cloud a Graph belongs to, and tokens for an application that proves who it is.

Source: Microsoft identity platform, "OAuth 2.0 client credentials flow" and "National clouds".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from urllib.parse import quote, urlencode, urlsplit

from maa_gitops.errors import RemoteError
from maa_gitops.http import is_loopback
from maa_gitops.providers.graph.credentials.granting import Asking, Granted, granted, said, token_in

LOGIN = "MAA_GRAPH_LOGIN_URL"
"""The variable that names another place than Entra, for tests: on this machine, or it is refused."""

GRAPH = "https://graph.microsoft.com/beta"
"""Where a target is that names no address."""

JOB_PERMISSION = "permissions: {id-token: write}"
"""What a job of GitHub Actions needs to state its identity."""

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cloud:
    """One of Microsoft's clouds: what tokens are for, where they are granted, whom a foreign identity must address."""

    resource: str
    login: str
    audience: str


_WORLD = Cloud("https://graph.microsoft.com", "https://login.microsoftonline.com", "api://AzureADTokenExchange")
_US = Cloud("https://graph.microsoft.us", "https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov")
_CHINA = Cloud(
    "https://microsoftgraph.chinacloudapi.cn",
    "https://login.partner.microsoftonline.cn",
    "api://AzureADTokenExchangeChina",
)
_CLOUDS = {
    "graph.microsoft.com": _WORLD,
    "graph.microsoft.us": _US,
    "dod-graph.microsoft.us": replace(_US, resource="https://dod-graph.microsoft.us"),
    "microsoftgraph.chinacloudapi.cn": _CHINA,
}


def cloud_of(url: str, environment: Mapping[str, str]) -> Cloud:
    """Find the cloud that a Graph belongs to; what is on this machine passes for the Graph of the worldwide one.

    Raises:
        RemoteError: it is no Graph of Microsoft's, to which alone a token may go; or the login is not on this machine.
    """
    parts = urlsplit(url)
    found = _WORLD if is_loopback(url) else _CLOUDS.get(parts.netloc) if parts.scheme == "https" else None
    if found is None:
        raise _unusable(f"'{url}' is no Microsoft Graph; there is: {', '.join(_CLOUDS)}", hint=f"url: {GRAPH}")
    login = environment.get(LOGIN)
    if not login:
        return found
    if not is_loopback(login):
        raise _unusable(f"{LOGIN} is for tests: it must be an address of this machine")
    return replace(found, login=login.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Application:
    """The application in Entra as which the tool acts; ``client`` is its id."""

    asking: Asking
    cloud: Cloud
    tenant: str
    client: str

    @property
    def address(self) -> str:
        """Where its tokens are granted, and whom its assertions address."""
        return f"{self.cloud.login}/{quote(self.tenant, safe='')}/oauth2/v2.0/token"

    def by_secret(self, secret: str) -> Granted:
        """Get a token for the application's secret."""
        return self._granted({"client_secret": secret})

    def by_assertion(self, assertion: str) -> Granted:
        """Get a token for a signed statement about who this is."""
        return self._granted({"client_assertion_type": _ASSERTION, "client_assertion": assertion})

    def _granted(self, proof: Mapping[str, str]) -> Granted:
        """Raise RemoteError, with Entra's own words and what to do about them, if it refuses."""
        scope = f"{self.cloud.resource}/.default"
        form = {"grant_type": "client_credentials", "client_id": self.client, "scope": scope, **proof}
        answer = self.asking.ask(self.address, {}, form)
        found = granted(answer)
        if found is None:
            words = said(answer)
            text = f"Microsoft Entra gives application {self.client} no token: {words}"
            raise RemoteError(text, hint=self._hint(words), code="graphUnauthorized")
        return found

    def _hint(self, words: str) -> str | None:
        """What to do about the usual errors. Source: "Microsoft Entra authentication and authorization error codes"."""
        hints = {
            "AADSTS7000215": "AZURE_CLIENT_SECRET must be the value of the secret, not its id",
            "AADSTS7000222": "the secret has expired: make a new one, or use credential: githubOidc, which needs none",
            "AADSTS700016": f"clientId must be the application (client) id of an application in tenant {self.tenant}",
            "AADSTS700027": "upload the certificate to the application, or sign in with the one that it has",
            "AADSTS70021": "the application needs a federated credential with exactly this subject, letter by letter;"
            f" issuer https://token.actions.githubusercontent.com, audience {self.cloud.audience}",
            "AADSTS90002": "tenantId must be the directory (tenant) id",
            "AADSTS900023": "tenantId must be the directory (tenant) id",
        }
        return next((hint for code, hint in hints.items() if code in words), None)


def github_assertion(asking: Asking, url: str, token: str, audience: str) -> str:
    """Let GitHub state which job of which repository this is, at the address and with the token that the job was given.

    Raises:
        RemoteError: it refuses.
    """
    address = f"{url}{'&' if '?' in url else '?'}{urlencode({'audience': audience})}"
    answer = asking.ask(address, {"Authorization": f"Bearer {token}"})
    found = token_in(answer, "value")
    if found is None:
        text = f"GitHub does not state this job's identity: {said(answer)}"
        raise RemoteError(text, hint=JOB_PERMISSION, code="graphUnauthorized")
    return found


def certificate_assertion(file: Path, client: str, audience: str) -> str:
    """Sign a statement about who this is with the key in a PEM file, for which Entra knows the certificate in it.

    Raises:
        RemoteError: msal is not installed, or the file cannot be used.
    """
    try:
        from msal.oauth2cli import JwtAssertionCreator
    except ImportError as error:
        text = "credential clientCertificate needs the package msal, which is not installed"
        raise _unusable(text, hint="pip install 'maa-gitops[graph]'") from error
    from jwt.exceptions import PyJWTError

    try:
        pem = file.read_text(encoding="utf-8", errors="replace")
        key, certificate = _KEY.search(pem), _CERTIFICATE.search(pem)
        if key is None or certificate is None:
            raise ValueError(f"it holds no {'private key' if key is None else 'certificate'}")
        thumbprint = sha256(PEM_cert_to_DER_cert(certificate[0])).hexdigest()
        creator = JwtAssertionCreator(key[0], algorithm="PS256", sha256_thumbprint=thumbprint)
        signed: bytes = creator.create_normal_assertion(audience, issuer=client)
        return signed.decode("ascii")
    except (OSError, ValueError, TypeError, PyJWTError) as error:
        text = f"the client certificate in {file} cannot be used: {error}"
        raise _unusable(text, hint="a PEM file with an RSA key, not encrypted, and its certificate") from error


def _unusable(text: str, *, hint: str | None = None) -> RemoteError:
    return RemoteError(text, hint=hint, code="graphCredential")
