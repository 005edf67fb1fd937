"""Tokens for Microsoft Graph: which credential is used, what is said to whom for one, and what never is."""

import base64
import json
import os
import select
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from maa_gitops.errors import RemoteError
from maa_gitops.http import Connection, insecure
from maa_gitops.providers.graph.credentials import KINDS, Credential, credential
from maa_gitops.providers.graph.credentials.entra import Cloud, cloud_of
from maa_gitops.providers.graph.credentials.granting import Asking, Granted, Renewed
from maa_gitops.providers.graph.credentials.machine import IMDS, azure_cli, machine_identity

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "99999999-8888-7777-6666-555555555555"
SECRET = "ThisIsTheSecret~1+/&="
JOB_TOKEN = "ThisIsTheJobsToken"
SCOPE = "https://graph.microsoft.com/.default"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OPTIONS = {"tenantId": TENANT, "clientId": CLIENT}
GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


# --- who is asked ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(slots=True)
class Granter:
    """A server that plays Entra, GitHub's token service, and both places that know of managed identities.

    Tokens are numbered. ``then`` are answers that come first: a status, a body, headers.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    then: list[tuple[int, object, Mapping[str, str]]] = field(default_factory=list)

    def will(self, status: int, body: object, **headers: str) -> None:
        """Give an answer that comes before the usual ones."""
        self.then.append((status, body, headers))

    def answer(self, asked: Asked) -> tuple[int, object, Mapping[str, str]]:
        """Answer a request."""
        self.asked.append(asked)
        if self.then:
            return self.then.pop(0)
        number = len(self.asked)
        match asked.path:
            case "/oidc":
                return 200, {"value": f"assertion-{number}"}, {}
            case "/identity" | "/imds":
                return 200, {"access_token": f"token-{number}", "expires_in": "3599", "token_type": "Bearer"}, {}
            case path if path == f"/{TENANT}/oauth2/v2.0/token":
                return 200, {"access_token": f"token-{number}", "expires_in": 3599, "token_type": "Bearer"}, {}
            case _:
                return 404, b"not here", {}

    @property
    def github(self) -> dict[str, str]:
        """The variables of a job that may state its identity."""
        return dict(zip(GITHUB, (f"{self.url}/oidc?api-version=2.0", JOB_TOKEN), strict=True))

    @property
    def identity(self) -> dict[str, str]:
        """The variables of an app with a managed identity."""
        return {"IDENTITY_ENDPOINT": f"{self.url}/identity", "IDENTITY_HEADER": SECRET}


def handler(granter: Granter) -> type[BaseHTTPRequestHandler]:
    """The handler of a granter's connections."""

    class Handler(BaseHTTPRequestHandler):
        """One connection, for one request."""

        def do_GET(self) -> None:
            """Answer."""
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            form = dict(parse_qsl(self.rfile.read(length).decode(), strict_parsing=True)) if length else {}
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query))
            status, body, more = granter.answer(Asked(self.command, parts.path, query, headers, form))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(data)), **more}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            """Answer as well."""
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Write nothing to the terminal."""

    return Handler


@pytest.fixture
def granter() -> Iterator[Granter]:
    """All who grant tokens."""
    made = Granter()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(made)) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    """The seconds that would have been waited."""
    return []


@pytest.fixture
def make(granter: Granter, waits: list[float]) -> Callable[..., Credential]:
    """Choose a credential: the environment, options as keywords; Entra is the granter."""

    def made(environment: Mapping[str, str], clock: Callable[[], float] = lambda: 0.0, **options: str) -> Credential:
        surroundings = {"PATH": "/nowhere", "MAA_GRAPH_LOGIN_URL": granter.url, **environment}
        return credential({**OPTIONS, **options}, surroundings, Connection(), wait=waits.append, clock=clock)

    return made


Make = Callable[..., Credential]


def refusal(ask: Callable[[], object]) -> RemoteError:
    """The error that asking comes to; it, and what it came from, tell no secret."""
    with pytest.raises(RemoteError) as caught:
        ask()
    found: BaseException | None = caught.value
    while found is not None:
        assert not any(word in f"{found} {found!r} {vars(found)}" for word in (SECRET, JOB_TOKEN, "PRIVATE KEY"))
        found = found.__cause__ or found.__context__
    return caught.value


# --- what is said for a token ----------------------------------------------------------------------------------------


def test_a_secret(granter: Granter, make: Make) -> None:
    """One form, to the token address of the tenant."""
    assert make({"AZURE_CLIENT_SECRET": SECRET}).token() == "token-1"
    asked = granter.asked[0]
    assert (asked.method, asked.path) == ("POST", f"/{TENANT}/oauth2/v2.0/token")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.form == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "scope": SCOPE,
        "client_secret": SECRET,
    }


def test_a_job_of_github(granter: Granter, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub states who the job is, to Entra alone; Entra takes that for a proof. It works without msal."""
    monkeypatch.setitem(sys.modules, "msal", None)
    assert make(granter.github).token() == "token-2"
    stated, asked = granter.asked
    assert (stated.method, stated.path) == ("GET", "/oidc")
    assert stated.query == {"api-version": "2.0", "audience": "api://AzureADTokenExchange"}
    assert stated.headers["authorization"] == f"Bearer {JOB_TOKEN}"
    assert asked.form == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "scope": SCOPE,
        "client_assertion_type": ASSERTION,
        "client_assertion": "assertion-1",
    }
    assert "authorization" not in asked.headers


def test_a_new_token_takes_a_new_statement(granter: Granter, make: Make) -> None:
    """What GitHub states lasts for minutes only."""
    found = make(granter.github)
    assert [found.token(), found.token(fresh=True)] == ["token-2", "token-4"]
    assert granter.asked[3].form["client_assertion"] == "assertion-3"


def test_github_refuses_to_state(granter: Granter, make: Make) -> None:
    """The usual reason is a permission of the job."""
    granter.will(403, {"message": "Resource not accessible"})
    error = refusal(make(granter.github).token)
    assert error.message == "GitHub does not state this job's identity: Resource not accessible"
    assert (error.code, error.hint) == ("graphUnauthorized", "permissions: {id-token: write}")


@pytest.mark.parametrize("client", [CLIENT, None])
def test_the_identity_of_an_app(granter: Granter, make: Make, client: str | None) -> None:
    """The surroundings name the address and a secret for it; which identity, is said if it is known."""
    assert make(granter.identity, clientId=client or "").token() == "token-1"
    asked = granter.asked[0]
    assert (asked.method, asked.path, asked.headers["x-identity-header"]) == ("GET", "/identity", SECRET)
    named = {"client_id": client} if client else {}
    assert asked.query == {"api-version": "2019-08-01", "resource": "https://graph.microsoft.com", **named}


@pytest.mark.parametrize("client", [CLIENT, None])
def test_the_identity_of_a_machine(granter: Granter, waits: list[float], client: str | None) -> None:
    """A machine of Azure asks next door, where it is told to come again while the identity is being made."""
    for status in (404, 410):
        granter.will(status, {"error": "later"})
    asking = Asking(Connection(), waits.append)
    granted = machine_identity(asking, "https://graph.microsoft.com", client, f"{granter.url}/imds")
    assert (granted.token, granted.seconds, len(waits)) == ("token-3", 3299, 2)
    asked = granter.asked[2]
    named = {"client_id": client} if client else {}
    assert asked.query == {"api-version": "2018-02-01", "resource": "https://graph.microsoft.com", **named}
    assert asked.headers["metadata"] == "true"


def test_the_identity_of_a_machine_is_asked_for_by_name(make: Make) -> None:
    """Elsewhere the address would be somebody else's; where it is, plain HTTP is the exception."""
    found = make({}, credential="managedIdentity")
    assert isinstance(found, Renewed)
    assert getattr(found.source, "func", None) is machine_identity
    assert insecure(IMDS) is not None
    assert insecure(IMDS, link_local=True) is None


def test_a_machine_that_has_no_identity(granter: Granter, waits: list[float]) -> None:
    """A refusal is told in its own words; that nobody answers means that this is no such machine."""
    asking = Asking(Connection(), waits.append)
    granter.will(400, {"error": "invalid_request", "error_description": "Identity not found"})
    error = refusal(lambda: machine_identity(asking, "https://graph.microsoft.com", None, f"{granter.url}/imds"))
    assert error.message == "the managed identity gets no token: invalid_request: Identity not found"
    error = refusal(lambda: machine_identity(asking, "https://graph.microsoft.com", None, "http://127.0.0.1:1/imds"))
    assert error.hint == "only a virtual machine of Azure has a managed identity; elsewhere name another credential"


# --- the certificate -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    """A key, its certificate, and both as PEM."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    key_pem: str
    certificate_pem: str


def pem_of(key: Any, password: bytes | None = None) -> str:
    """A private key as PEM."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A key as an administrator would make it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "contoso")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=9999))
    certificate = builder.sign(key, hashes.SHA256())
    return Pair(key, certificate, pem_of(key), certificate.public_bytes(serialization.Encoding.PEM).decode())


def decoded(part: str) -> bytes:
    """Read a part of a JSON web token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize("variable", ["MAA_GRAPH_CLIENT_CERTIFICATE", "AZURE_CLIENT_CERTIFICATE_PATH"])
def test_a_certificate(granter: Granter, make: Make, tmp_path: Path, pair: Pair, variable: str) -> None:
    """What is sent is a statement signed with its key: who, to whom, once, and for minutes."""
    file = tmp_path / "app.pem"
    file.write_text(f"Bag Attributes\n    friendlyName: Schlüssel\n{pair.key_pem}{pair.certificate_pem}")
    assert make({variable: str(file)}).token() == "token-1"
    form = dict(granter.asked[0].form)
    header, claims, signature = form.pop("client_assertion").split(".")
    assert form == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "scope": SCOPE,
        "client_assertion_type": ASSERTION,
    }
    thumbprint = sha256(pair.certificate.public_bytes(serialization.Encoding.DER)).digest()
    read = json.loads(decoded(header))
    assert (read["alg"], decoded(read["x5t#S256"])) == ("PS256", thumbprint)
    stated = json.loads(decoded(claims))
    assert (stated["iss"], stated["sub"]) == (CLIENT, CLIENT)
    assert stated["aud"] == f"{granter.url}/{TENANT}/oauth2/v2.0/token"
    assert 0 < stated["exp"] - stated["iat"] <= 600
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
    pair.key.public_key().verify(decoded(signature), f"{header}.{claims}".encode(), scheme, hashes.SHA256())


def test_each_statement_is_a_new_one(granter: Granter, make: Make, tmp_path: Path, pair: Pair) -> None:
    """It bears a number that is used once; the order within the file does not matter."""
    file = tmp_path / "app.pem"
    file.write_text(pair.certificate_pem + pair.key_pem)
    found = make({"MAA_GRAPH_CLIENT_CERTIFICATE": str(file)})
    assert [found.token(), found.token(fresh=True)] == ["token-1", "token-2"]
    claims = [json.loads(decoded(asked.form["client_assertion"].split(".")[1])) for asked in granter.asked]
    assert claims[0]["jti"] != claims[1]["jti"]


def test_a_file_that_is_no_certificate(granter: Granter, make: Make, tmp_path: Path, pair: Pair) -> None:
    """The message says which file, and nothing of what it holds."""
    half = pair.key_pem.splitlines()
    broken = "\n".join([*half[:5], *half[9:]])
    cases = {
        "it holds no private key": pair.certificate_pem,
        "it holds no certificate": pair.key_pem,
        "cannot be used: ": pem_of(pair.key, b"word") + pair.certificate_pem,
        " cannot be used: ": pem_of(ec.generate_private_key(ec.SECP256R1())) + pair.certificate_pem,
        "cannot be used:": broken + "\n" + pair.certificate_pem,
    }
    file = tmp_path / "app.pem"
    found = make({"MAA_GRAPH_CLIENT_CERTIFICATE": str(file)})
    errors = [refusal(found.token)]
    for words, text in cases.items():
        file.write_text(text)
        errors.append(refusal(found.token))
        assert words in errors[-1].message
    assert {error.code for error in errors} == {"graphCredential"}
    assert all(str(file) in error.message and half[3] not in error.message for error in errors)
    assert granter.asked == []


def test_a_certificate_without_msal(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is an extra; the message says how to get it."""
    monkeypatch.setitem(sys.modules, "msal", None)
    monkeypatch.delitem(sys.modules, "msal.oauth2cli", raising=False)
    error = refusal(make({"MAA_GRAPH_CLIENT_CERTIFICATE": "app.pem"}).token)
    assert (error.code, error.hint) == ("graphCredential", "pip install 'maa-gitops[graph]'")


# --- the Azure CLI ---------------------------------------------------------------------------------------------------


def azure(folder: Path, *lines: str) -> Path:
    """Put a program of the Azure CLI's name into a folder."""
    folder.mkdir(exist_ok=True)
    program = folder / "az"
    program.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    program.chmod(0o755)
    return program


def test_the_azure_cli(tmp_path: Path, make: Make, granter: Granter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for the tenant and the Graph; from the root folder, with none of our own keys, without a terminal."""
    told = tmp_path / "told"
    printed = """echo '{"accessToken": "token-of-alice", "expiresOn": "2026-11-26 12:00:00"}'"""
    azure(tmp_path / "bin", f'printf "%s\\n" "$@" "$PWD" "$HOME" "[$MAA_SIGNING_KEY]" "[$(cat)]" >{told}', printed)
    monkeypatch.chdir(tmp_path)
    environment = {"PATH": "bin:/usr/bin:/bin", "HOME": "/home/alice", "MAA_SIGNING_KEY": SECRET}
    assert make(environment).token() == "token-of-alice"
    resource = "https://graph.microsoft.com"
    arguments = ["account", "get-access-token", "--tenant", TENANT, "--resource", resource, "--output", "json"]
    assert told.read_text().splitlines() == [*arguments, "/", "/home/alice", "[]", "[]"]
    assert granter.asked == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("echo 'ERROR: run az login' >&2", "exit 1"), "ERROR: run az login"),
        (("echo WARNING >&2", "echo 'ERROR: AADSTS50078: expired' >&2", "echo >&2", "exit 1"), "AADSTS50078: expired"),
        (("exit 7",), "it ended with 7 and gave none"),
        (("echo '{}'",), "it ended with 0 and gave none"),
        (("echo 'token-of-alice'",), "it ended with 0 and gave none"),
        (("""echo '{"accessToken": "token of alice"}'""",), "it ended with 0 and gave none"),
    ],
)
def test_nobody_signed_in_with_the_azure_cli(tmp_path: Path, make: Make, lines: tuple[str, ...], words: str) -> None:
    """Its last words are told, and the command that signs in; in a job of GitHub there is a better way."""
    azure(tmp_path / "bin", *lines)
    error = refusal(make({"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}).token)
    assert error.message.startswith("the Azure CLI gives no token: ")
    assert words in error.message
    assert (error.code, error.hint) == ("graphUnauthorized", f"az login --tenant {TENANT}")
    error = refusal(make({"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "GITHUB_ACTIONS": "true"}).token)
    assert error.hint == "permissions: {id-token: write}"


def test_an_azure_cli_that_takes_too_long(tmp_path: Path) -> None:
    """It is ended with all that it started."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    program = azure(tmp_path, f"exec 3>{pipe}", "sleep 600 &", "echo started >&3", "wait")
    error = refusal(lambda: azure_cli(str(program), {"PATH": "/usr/bin:/bin"}, TENANT, "https://x", patience=0.5))
    assert (error.retry, error.message) == (True, f"{program} takes more than 0.5 s")
    poll = select.poll()
    poll.register(reading, 0)  # that nobody writes any more is always told
    assert [event for _, event in poll.poll(10_000)] == [select.POLLHUP]
    os.close(reading)


def test_an_azure_cli_that_cannot_be_started(tmp_path: Path) -> None:
    """What the system says, is told."""
    program = tmp_path / "az"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    assert "cannot be started" in refusal(lambda: azure_cli(str(program), {}, TENANT, "https://x")).message


# --- which credential is used ----------------------------------------------------------------------------------------


def test_the_environment_offers_in_an_order(tmp_path: Path, granter: Granter, make: Make, pair: Pair) -> None:
    """A secret, a certificate, a job of GitHub, a managed identity, the Azure CLI; the first that is there is used."""
    file = tmp_path / "app.pem"
    file.write_text(pair.key_pem + pair.certificate_pem)
    azure(tmp_path / "bin", """echo '{"accessToken": "token-of-alice"}'""")
    offers = [
        ({"AZURE_CLIENT_SECRET": SECRET}, "client_secret"),
        ({"MAA_GRAPH_CLIENT_CERTIFICATE": str(file)}, "client_assertion"),
        (granter.github, "/oidc"),
        (granter.identity, "/identity"),
        ({"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, None),
    ]
    for begin, (_, sign) in enumerate(offers):
        granter.asked.clear()
        token = make({name: value for offer, _ in offers[begin:] for name, value in offer.items()}).token()
        first = granter.asked[0] if granter.asked else None
        assert (token == "token-of-alice") is (sign is None)
        assert (sign is None) is (first is None)
        assert first is None or sign is None or sign in first.form or sign == first.path


def test_half_an_offer_is_none(granter: Granter, make: Make) -> None:
    """An address without its secret, or the other way round."""
    for names in (granter.github, granter.identity):
        for name, value in names.items():
            assert refusal(lambda environment={name: value}: make(environment)).code == "graphCredential"


def test_the_target_says_which(granter: Granter, make: Make) -> None:
    """Whatever else the environment offers."""
    make({"AZURE_CLIENT_SECRET": SECRET, **granter.github}, credential="githubOidc").token()
    assert granter.asked[0].path == "/oidc"


def test_our_own_variable_goes_first(granter: Granter, make: Make) -> None:
    """Who uses the other for something else can set ours."""
    make({"AZURE_CLIENT_SECRET": "another", "MAA_GRAPH_CLIENT_SECRET": SECRET}).token()
    assert granter.asked[0].form["client_secret"] == SECRET


def test_nothing_is_offered(make: Make) -> None:
    """The message lists what there could be."""
    error = refusal(lambda: make({"AZURE_CLIENT_SECRET": ""}))
    assert error.code == "graphCredential"
    assert all(f"({kind})" in error.message for kind in KINDS)
    assert error.hint is not None


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("clientSecret", "MAA_GRAPH_CLIENT_SECRET or AZURE_CLIENT_SECRET"),
        ("clientCertificate", "MAA_GRAPH_CLIENT_CERTIFICATE or AZURE_CLIENT_CERTIFICATE_PATH"),
        ("githubOidc", "ACTIONS_ID_TOKEN_REQUEST_URL"),
        ("azureCli", "the program az"),
    ],
)
def test_what_a_credential_needs(make: Make, kind: str, needed: str) -> None:
    """It is missed before anything is asked."""
    error = refusal(lambda: make({}, credential=kind))
    assert (error.code, needed in error.message) == ("graphCredential", True)


def test_an_unknown_credential(make: Make) -> None:
    """The message says what there is."""
    error = refusal(lambda: make({}, credential="password"))
    assert error.message == f"there is no credential 'password'; there is: {', '.join(KINDS)}"


def test_who_the_application_is(granter: Granter, make: Make) -> None:
    """The target says it, else the usual variable; of the tenant the target alone has a say."""
    environment = {"AZURE_CLIENT_SECRET": SECRET, "AZURE_CLIENT_ID": "other", "AZURE_TENANT_ID": "other"}
    make(environment).token()
    make(environment, clientId="").token()
    assert [asked.form["client_id"] for asked in granter.asked] == [CLIENT, "other"]
    assert "clientId" in (refusal(lambda: make({"AZURE_CLIENT_SECRET": SECRET}, clientId="")).hint or "")
    assert "tenantId" in refusal(lambda: make(environment, tenantId="")).message


# --- where tokens are for, and from ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "login", "audience"),
    [
        ("graph.microsoft.com", "login.microsoftonline.com", "api://AzureADTokenExchange"),
        ("graph.microsoft.us", "login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
        ("dod-graph.microsoft.us", "login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
        ("microsoftgraph.chinacloudapi.cn", "login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
    ],
)
def test_the_clouds(host: str, login: str, audience: str) -> None:
    """A Graph belongs to a cloud, which has its own Entra."""
    assert cloud_of(f"https://{host}/beta", {}) == Cloud(f"https://{host}", f"https://{login}", audience)


@pytest.mark.parametrize(
    "url",
    [
        "https://graph.microsoft.com.evil.example/beta",
        "https://graph.microsoft.com@evil.example/beta",
        "https://alice@graph.microsoft.com/beta",
        "https://graph.microsoft.com:8443/beta",
        "https://evil.example\\@graph.microsoft.com/beta",
        "http://graph.microsoft.com/beta",
        "http://127.0.0.1.evil.example/beta",
        "https://evil.example/beta",
        "graph.microsoft.com",
        "",
    ],
)
def test_no_token_is_got_for_another_place(url: str, granter: Granter, make: Make) -> None:
    """What is neither Microsoft's nor on this machine is refused, whatever the environment offers."""
    error = refusal(lambda: make({"AZURE_CLIENT_SECRET": SECRET, "MAA_GRAPH_TOKEN": "x"}, url=url))
    assert (error.code, granter.asked) == ("graphCredential", [])


@pytest.mark.parametrize("login", ["https://login.evil.example", "http://10.0.0.1", "login", "https://[::1"])
def test_the_login_is_moved_to_this_machine_only(make: Make, login: str) -> None:
    """The variable is for tests."""
    error = refusal(lambda: make({"AZURE_CLIENT_SECRET": SECRET, "MAA_GRAPH_LOGIN_URL": login}))
    assert error.code == "graphCredential"


def test_a_login_on_this_machine() -> None:
    """A slash at the end is dropped; everything else belongs to the cloud."""
    found = cloud_of("https://graph.microsoft.us/beta", {"MAA_GRAPH_LOGIN_URL": "http://localhost:1/"})
    assert found == Cloud("https://graph.microsoft.us", "http://localhost:1", "api://AzureADTokenExchangeUSGov")


@pytest.mark.parametrize("options", [{}, {"url": "https://graph.microsoft.com/beta"}])
def test_the_real_graph_gets_no_word(options: Mapping[str, str]) -> None:
    """What is meant for a Graph on this machine goes to no other."""
    environment = {"PATH": "/nowhere", "MAA_GRAPH_TOKEN": "mine"}
    assert refusal(lambda: credential({**OPTIONS, **options}, environment, Connection())).code == "graphCredential"
    found = credential({**OPTIONS, **options}, {**environment, "AZURE_CLIENT_SECRET": SECRET}, Connection())
    assert isinstance(found, Renewed)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/beta", "http://localhost/beta", "http://[::1]:1/beta"])
def test_a_graph_on_this_machine(url: str) -> None:
    """It gets a word, or what the variable holds; no real token, though one could be had."""

    def token(**environment: str) -> str:
        found = credential({"url": url}, {"AZURE_CLIENT_SECRET": SECRET, **environment}, Connection())
        assert found.token() == found.token(fresh=True)
        return found.token()

    assert (token(), token(MAA_GRAPH_TOKEN=""), token(MAA_GRAPH_TOKEN="mine")) == ("local", "local", "mine")
    assert refusal(lambda: token(MAA_GRAPH_TOKEN="mine\n")).code == "graphCredential"
    named = {"url": url, "credential": "clientSecret"}
    assert refusal(lambda: credential(named, {"MAA_GRAPH_TOKEN": "mine"}, Connection())).code == "graphCredential"


def test_a_graph_on_this_machine_gets_a_real_token_if_that_is_said(granter: Granter, make: Make) -> None:
    """By the target; or by a login that is on this machine too."""
    url = "http://127.0.0.1:8080/beta"
    assert make({"AZURE_CLIENT_SECRET": SECRET}, url=url, credential="clientSecret").token() == "token-1"
    assert make({"AZURE_CLIENT_SECRET": SECRET}, url=url).token() == "token-2"
    assert {asked.form["scope"] for asked in granter.asked} == {SCOPE}


# --- how long a token is used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "used"),
    [
        ({"expires_in": 3599}, 3299),
        ({"expires_in": "86399"}, 86099),
        ({"expires_in": 400}, 200),
        ({"expires_on": str(int(datetime(2026, 11, 26, 13, tzinfo=UTC).timestamp()))}, 3300),
        ({"expires_on": int(datetime(2026, 11, 26, 11, tzinfo=UTC).timestamp())}, 240),
        ({"expires_on": "11/26/2026 13:00:00 +00:00"}, 240),
        ({"expires_in": -1}, 240),
        ({"expires_in": "9" * 5000}, 240),
        ({"expires_in": True}, 240),
        ({"expires_in": None}, 240),
        ({}, 240),
    ],
)
def test_a_token_is_used_until_shortly_before_its_end(
    granter: Granter, make: Make, told: Mapping[str, object], used: float
) -> None:
    """The end counts by the clock of whoever grants it; where it is not known, not for long."""
    now = [1000.0]
    found = make({"AZURE_CLIENT_SECRET": SECRET}, clock=lambda: now[0])
    date = format_datetime(datetime(2026, 11, 26, 12, tzinfo=UTC), usegmt=True)
    granter.will(200, {"access_token": "first", **told}, Date=date)
    tokens = [found.token()]
    for passed in (used - 1, 1):
        now[0] += passed
        tokens.append(found.token())
    assert tokens == ["first", "first", "token-2"]


def test_without_a_date_an_end_is_not_guessed(granter: Granter, make: Make) -> None:
    """Our own clock does not count."""
    now = [0.0]
    found = make({"AZURE_CLIENT_SECRET": SECRET}, clock=lambda: now[0])
    granter.will(200, {"access_token": "first", "expires_on": "99999999999"})
    assert found.token() == "first"
    now[0] = 240.0
    assert found.token() == "token-2"


def test_a_token_that_was_not_accepted_is_not_used_again(granter: Granter, make: Make) -> None:
    """Not even if there is no other to be had."""
    found = make({"AZURE_CLIENT_SECRET": SECRET})
    assert found.token() == "token-1"
    granter.will(401, {"error": "invalid_client"})
    assert refusal(lambda: found.token(fresh=True)).code == "graphUnauthorized"
    assert found.token() == "token-3"


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AADSTS7000215", "AZURE_CLIENT_SECRET must be the value of the secret, not its id"),
        ("AADSTS7000222", "the secret has expired"),
        ("AADSTS700016", f"in tenant {TENANT}"),
        ("AADSTS700027", "upload the certificate"),
        ("AADSTS70021", "exactly this subject, letter by letter"),
        ("AADSTS700213", "exactly this subject, letter by letter"),
        ("AADSTS7002138", "audience api://AzureADTokenExchange"),
        ("AADSTS90002", "tenantId must be the directory (tenant) id"),
        ("AADSTS50034", None),
    ],
)
@pytest.mark.parametrize("end", [" Trace ID: 5 Correlation ID: 6", "\r\nTrace ID: 5\r\nCorrelation ID: 6"])
def test_entra_refuses(granter: Granter, make: Make, code: str, hint: str | None, end: str) -> None:
    """Its own words are told, without the numbers for its support, and what to do about the usual ones."""
    granter.will(401, {"error": "invalid_client", "error_description": f"{code}: It\tis so.{end}", "trace_id": "5"})
    error = refusal(make({"AZURE_CLIENT_SECRET": SECRET}).token)
    words = f"Microsoft Entra gives application {CLIENT} no token: invalid_client: {code}: It is so."
    assert (error.message, error.code, error.retry) == (words, "graphUnauthorized", False)
    assert (error.hint is None) is (hint is None)
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, b"<html>", "status 400"),
        (400, b"[" * 100_000, "status 400"),
        (400, b"\xff", "status 400"),
        (400, [], "status 400"),
        (400, {"error": 5, "message": "No"}, "No"),
        (400, {"error": {"code": "BadRequest", "message": "No"}}, "BadRequest: No"),
        (400, {"error": "x" * 5000}, "x" * 400),
        (302, {}, "status 302"),
        (200, {}, "status 200"),
        (200, {"access_token": ""}, "status 200"),
        (200, {"access_token": "a\nb"}, "status 200"),
        (200, {"access_token": ["a"]}, "status 200"),
        (403, {"access_token": "token"}, "status 403"),
    ],
)
def test_what_holds_no_token(granter: Granter, make: Make, status: int, body: object, words: str) -> None:
    """Nothing is built on it."""
    granter.will(status, body)
    assert refusal(make({"AZURE_CLIENT_SECRET": SECRET}).token).message.endswith(f" no token: {words}")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_is_asked_again(granter: Granter, make: Make, waits: list[float], status: int) -> None:
    """After longer and longer waits, or as long as is asked for."""
    granter.will(status, b"")
    granter.will(status, b"", Retry_After="17")
    assert make({"AZURE_CLIENT_SECRET": SECRET}).token() == "token-3"
    assert (0.5 <= waits[0] <= 1, waits[1]) == (True, 17)


def test_in_the_end_it_gives_up(granter: Granter, make: Make, waits: list[float]) -> None:
    """The error says that trying again makes sense."""
    for _ in range(9):
        granter.will(503, b"")
    error = refusal(make({"AZURE_CLIENT_SECRET": SECRET}).token)
    assert (error.code, error.retry, len(granter.asked), len(waits)) == ("graphFailed", True, 4, 3)
    assert error.message == f"{urlsplit(granter.url).netloc} failed with 503"


def test_a_long_wait_is_not_waited(granter: Granter, make: Make, waits: list[float]) -> None:
    """Whoever runs the command decides about that."""
    granter.will(429, b"", Retry_After="3600")
    assert refusal(make({"AZURE_CLIENT_SECRET": SECRET}).token).retry
    assert waits == []


def test_nobody_answers(make: Make, waits: list[float]) -> None:
    """A login that is not there is a failure."""
    error = refusal(make({"AZURE_CLIENT_SECRET": SECRET, "MAA_GRAPH_LOGIN_URL": "http://127.0.0.1:1"}).token)
    assert (error.code, error.retry, len(waits)) == ("graphFailed", True, 3)


def test_too_much_is_no_token(granter: Granter, make: Make, waits: list[float]) -> None:
    """Nor is it asked again."""
    granter.will(200, b" " * 1_048_577)
    assert refusal(make({"AZURE_CLIENT_SECRET": SECRET}).token).message.endswith("answers with too much")
    assert waits == []


def test_a_variable_that_cannot_be_sent(granter: Granter, make: Make) -> None:
    """A line feed that was copied along is refused, and nothing told of what stood before it."""
    error = refusal(make({GITHUB[0]: granter.github[GITHUB[0]], GITHUB[1]: f"{JOB_TOKEN}\n"}).token)
    assert ("Authorization" in error.message, granter.asked) == (True, [])


@pytest.mark.parametrize("url", ["http://token.actions.evil.example/x", "http://169.254.169.254/x", "token"])
def test_a_jobs_token_goes_to_no_insecure_place(make: Make, url: str) -> None:
    """By https or within this machine."""
    assert refusal(make({GITHUB[0]: url, GITHUB[1]: JOB_TOKEN}).token).code == "insecure"


def test_no_secret_is_shown(granter: Granter, make: Make) -> None:
    """A credential tells nothing of what it holds, before and after it has a token."""
    environments: tuple[dict[str, str], ...] = ({"AZURE_CLIENT_SECRET": SECRET}, granter.github, granter.identity)
    found = [make(environment) for environment in environments]
    local = credential({"url": "http://127.0.0.1/beta"}, {"MAA_GRAPH_TOKEN": SECRET}, Connection())
    for one in (*found, local):
        token = one.token()
        assert not any(word in f"{one!r} {one}" for word in (SECRET, JOB_TOKEN, token))
    assert SECRET not in repr(Granted(SECRET, 1))
