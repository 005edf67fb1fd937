"""SSH signatures: verify them in the process, make them with ``ssh-keygen``, and find the key to make them with.

It judges keys and bytes only. Which account holds a key, and what a signature is worth, is decided elsewhere; the
environment and the home folder come as arguments.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from maa_gitops.errors import RepositoryError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
"""The types of public key that an account may hold."""

SIGNATURE_LIMIT = 64 * 1024
"""Characters of an armoured signature; a longer one is not valid."""

_KEY_LINE_LIMIT = 16 * 1024
_KEY_LINE = re.compile(r"([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]+={0,2})(?: [^\x00-\x1f\x7f]*)?")
_RSA_BITS = (3072, 16384)
_RSA_EXPONENT_BITS = 64
_COORDINATE_BYTES = {b"nistp256": 32, b"nistp384": 48, b"nistp521": 66}
_ED25519_PRIME = 2**255 - 19
_ED25519_D = -121665 * pow(121666, -1, _ED25519_PRIME) % _ED25519_PRIME
_USER_PRESENT = 0x01

_HEADER = "-----BEGIN SSH SIGNATURE-----\n"
_FOOTER = "-----END SSH SIGNATURE-----\n"
_ARMOUR_WIDTH = 70
_MAGIC = b"SSHSIG"
_VERSION = (1).to_bytes(4)
_DIGESTS = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}

_OLDEST_OPENSSH = (8, 2)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_CHOOSE_KEY = "maa --key FILE …, or: git config user.signingkey FILE"


@dataclass(frozen=True, slots=True)
class _Key:
    """A public key ready for use; ``application`` is set for keys that live on a FIDO token."""

    kind: bytes
    public: "Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey"
    application: bytes | None = None


# --- public keys


def canonical_key(text: str) -> str | None:
    """Return the one spelling of an OpenSSH public key line, ``type base64``, or None if it is not a usable key."""
    try:
        return _canonical(text)
    except ValueError:
        return None


def key_problem(text: str) -> str | None:
    """Say in a few words why a key line is refused; None if ``canonical_key`` takes it."""
    try:
        _canonical(text)
    except ValueError as error:
        return str(error)
    return None


def fingerprint(canonical: str) -> str:
    """Return ``SHA256:…`` of a canonical key, as ``ssh-keygen -l`` prints it."""
    digest = hashlib.sha256(base64.b64decode(canonical.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _canonical(text: str) -> str:
    line = _KEY_LINE.fullmatch(text) if len(text) <= _KEY_LINE_LIMIT else None
    if line is None:
        raise ValueError("not an OpenSSH public key line; expected: type, base64, comment")
    kind, encoded = line.group(1), line.group(2)
    if "-cert-v0" in kind:
        raise ValueError("a certificate; expected the public key itself")
    if kind not in KEY_TYPES:
        raise ValueError(f"key type {kind} is not accepted; expected one of: {', '.join(KEY_TYPES)}")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError("its base64 is broken") from None
    if base64.b64encode(blob).decode() != encoded:
        raise ValueError("its base64 is not in canonical form")
    if _load(blob).kind != kind.encode():
        raise ValueError(f"it is not of the type that it names, {kind}")
    return f"{kind} {encoded}"


@lru_cache(maxsize=256)
def _load(blob: bytes) -> _Key:
    """Read a public key in SSH's wire format; a ValueError says in a person's words what is wrong with it."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        match _strings(blob):
            case [b"ssh-ed25519" as kind, point]:
                return _Key(kind, _ed25519(point))
            case [b"sk-ssh-ed25519@openssh.com" as kind, point, application]:
                return _Key(kind, _ed25519(point), _application(application))
            case [kind, curve, point] if curve in _COORDINATE_BYTES and kind == b"ecdsa-sha2-" + curve:
                return _Key(kind, _ecdsa(curve, point))
            case [b"sk-ecdsa-sha2-nistp256@openssh.com" as kind, b"nistp256" as curve, point, application]:
                return _Key(kind, _ecdsa(curve, point), _application(application))
            case [b"ssh-rsa" as kind, exponent, modulus]:
                return _Key(kind, _rsa(_mpint(exponent), _mpint(modulus)))
    except UnsupportedAlgorithm:
        raise ValueError("the cryptography library of this machine does not support it") from None
    raise ValueError("its content is not that of its type")


def _ed25519(point: bytes) -> "Ed25519PublicKey":
    """Refuse other encodings of a point, points off the curve, and those of small order: anyone can sign for these."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    y = int.from_bytes(point, "little") & ~(1 << 255)
    if len(point) != 32 or y >= _ED25519_PRIME:
        raise ValueError("it is not a point in canonical form")
    u, v = y * y - 1, _ED25519_D * y * y + 1  # x squared is u / v; Source: RFC 8032, section 5.1.3
    if pow(u * v, _ED25519_PRIME // 2, _ED25519_PRIME) > 1:
        raise ValueError("it is not a point on its curve")
    if y * u * (_ED25519_D * y**4 + 2 * y * y - 1) % _ED25519_PRIME == 0:
        raise ValueError("it is a point of small order, with which anyone can sign")
    return Ed25519PublicKey.from_public_bytes(point)


def _ecdsa(name: bytes, point: bytes) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    curves = {b"nistp256": ec.SECP256R1(), b"nistp384": ec.SECP384R1(), b"nistp521": ec.SECP521R1()}
    if len(point) != 1 + 2 * _COORDINATE_BYTES[name] or point[0] != 4:
        raise ValueError("its point is not in uncompressed form")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curves[name], point)
    except ValueError:
        raise ValueError("it is not a point on its curve") from None


def _rsa(exponent: int, modulus: int) -> "RSAPublicKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    least, most = _RSA_BITS
    bits = modulus.bit_length()
    if bits < least:
        raise ValueError(f"RSA key of {bits} bits; at least {least} are needed")
    if bits > most:
        raise ValueError(f"RSA key of {bits} bits; at most {most} are accepted")
    if modulus % 2 == 0 or exponent % 2 == 0 or exponent < 3 or exponent.bit_length() > _RSA_EXPONENT_BITS:
        raise ValueError("RSA key with a modulus or an exponent that no RSA key has")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _application(data: bytes) -> bytes:
    """Hold to SSH's own applications, so that no token's log-in to a web site can pass for a signature."""
    if not data.startswith(b"ssh:") or b"\0" in data:
        raise ValueError("its FIDO application is not SSH's; expected it to start with ssh:")
    return data


# --- the wire format. Source: RFC 4251, section 5


def _strings(data: bytes) -> list[bytes]:
    """Split data that is length-prefixed strings and nothing else."""
    found = []
    start = 0
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4])
        if end > len(data):
            raise ValueError("it is cut short")
        found.append(data[start + 4 : end])
        start = end
    return found


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def _mpint(data: bytes) -> int:
    """Read a number that is positive and in its one shortest form."""
    value = int.from_bytes(data)
    if value == 0 or data != value.to_bytes(value.bit_length() // 8 + 1):
        raise ValueError("it has a number that is not positive or not in canonical form")
    return value


# --- verifying. Source: OpenSSH, PROTOCOL.sshsig and PROTOCOL.u2f


def verify(signature: str, payload: bytes, namespace: str) -> str | None:
    """Return the canonical key under which a signature of the payload is valid in the namespace, else None.

    The signature is the text that ``ssh-keygen -Y sign`` prints, to the byte. Nothing that it may hold raises. What
    others can make of a valid signature without its key: of an ECDSA one its twin ``(r, n - s)``, of the rest nothing.
    """
    try:
        return _signing_key_of(signature, payload, namespace)
    except ValueError:
        return None


def _signing_key_of(signature: str, payload: bytes, namespace: str) -> str:
    blob = _unarmoured(signature)
    preamble = _MAGIC + _VERSION
    if not blob.startswith(preamble):
        raise ValueError("not version 1 of SSHSIG")
    key_blob, signed_namespace, reserved, algorithm, proof = _strings(blob[len(preamble) :])
    if signed_namespace != namespace.encode() or reserved or algorithm not in _DIGESTS:
        raise ValueError("another namespace, something reserved, or another hash")
    digest = _DIGESTS[algorithm](payload).digest()
    signed = _MAGIC + b"".join(map(_string, (signed_namespace, reserved, algorithm, digest)))
    key = _load(key_blob)
    _check(key, proof, signed)
    return f"{key.kind.decode()} {base64.b64encode(key_blob).decode()}"


def _unarmoured(text: str) -> bytes:
    """Decode the one spelling that ssh-keygen prints."""
    if len(text) > SIGNATURE_LIMIT:
        raise ValueError("too long")
    body = text.removeprefix(_HEADER).removesuffix(_FOOTER)
    blob = base64.b64decode(body.replace("\n", ""), validate=True)
    if _armoured(blob) != text:
        raise ValueError("not as ssh-keygen prints it")
    return blob


def _armoured(blob: bytes) -> str:
    encoded = base64.b64encode(blob).decode()
    lines = [encoded[start : start + _ARMOUR_WIDTH] for start in range(0, len(encoded), _ARMOUR_WIDTH)]
    return "".join([_HEADER, *(line + "\n" for line in lines), _FOOTER])


def _check(key: _Key, proof: bytes, signed: bytes) -> None:
    """Raise ValueError unless the proof is the key's signature of the signed bytes."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if key.application is not None:
        proof, flags_and_counter = proof[:-5], proof[-5:]
        if len(flags_and_counter) < 5 or not flags_and_counter[0] & _USER_PRESENT:
            raise ValueError("nobody touched the token")
        signed = hashlib.sha256(key.application).digest() + flags_and_counter + hashlib.sha256(signed).digest()
    algorithm, value = _strings(proof)
    try:
        _check_bare(key, algorithm, value, signed)
    except (InvalidSignature, UnsupportedAlgorithm):
        raise ValueError("the signature is not valid") from None


def _check_bare(key: _Key, algorithm: bytes, value: bytes, signed: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

    if isinstance(key.public, rsa.RSAPublicKey):
        rsa_hashes = {b"rsa-sha2-256": hashes.SHA256(), b"rsa-sha2-512": hashes.SHA512()}
        if algorithm not in rsa_hashes:
            raise ValueError("RSA with another hash than SHA-2")
        key.public.verify(value, signed, padding.PKCS1v15(), rsa_hashes[algorithm])
        return
    if algorithm != key.kind:
        raise ValueError("a signature of another type than the key")
    if isinstance(key.public, ed25519.Ed25519PublicKey):
        key.public.verify(value, signed)
        return
    r, s = map(_mpint, _strings(value))
    curve_hashes = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    algorithm_of_curve = ec.ECDSA(curve_hashes[key.public.curve.key_size])
    key.public.verify(utils.encode_dss_signature(r, s), signed, algorithm_of_curve)


# --- signing


@dataclass(frozen=True, slots=True)
class Signer:
    """A key to sign with. ``key_file`` is its private file, or its public one when the agent holds the private half."""

    public_key: str
    key_file: Path
    environment: Mapping[str, str] = field(repr=False)

    def sign(self, payload: bytes, namespace: str) -> str:
        """Sign with ``ssh-keygen -Y sign``; what it returns has been verified under ``public_key``.

        It may ask on the terminal for a passphrase or for a touch of the token.

        Raises:
            RepositoryError: ssh-keygen is missing, too old or did not sign, or another key signed.
        """
        # A file instead of standard input, so that standard input stays the terminal on which ssh-keygen asks.
        with TemporaryDirectory(prefix="maa-") as folder:
            message = Path(folder, "payload")
            message.write_bytes(payload)
            arguments = ["-q", "-Y", "sign", "-n", namespace, "-f", str(self.key_file), str(message)]
            # ssh-keygen asks for the touch of a token on standard error only if that is a terminal.
            _ssh_keygen(arguments, str(self.key_file), self.environment, own_messages=self.public_key.startswith("sk-"))
            signature = _read(Path(folder, "payload.sig"))
        if verify(signature, payload, namespace) != self.public_key:
            raise RepositoryError(
                f"what ssh-keygen signed with {self.key_file} is not valid under {fingerprint(self.public_key)}",
                hint=f"ssh-keygen -l -f {self.key_file}, to compare; a token must be touched",
                code="signingFailed",
            )
        return signature


_COMPLAINTS = (
    ("incorrect passphrase", "its passphrase was not given or is wrong", "ssh-add {private}"),
    ("bad permissions", "others may read it", "chmod 600 {private}"),
    ("are too open", "others may read it", "chmod 600 {private}"),
    ("agent refused operation", "the agent refused", "unlock the agent, or confirm when it asks"),
    ("No private key found", "its private half is neither beside it nor in the agent", "ssh-add FILE"),
    ("Couldn't load public key", "its public half is not beside it", "ssh-keygen -y -f {private} > {private}.pub"),
    (
        "doesn't match private",
        "the public key beside it is another one's",
        "ssh-keygen -y -f {private} > {private}.pub",
    ),
    ("error in libcrypto", "it is not a private key", None),
    ("invalid format", "it is not a private key", None),
)


def _ssh_keygen(
    arguments: list[str],
    name: str,
    environment: Mapping[str, str],
    *,
    own_messages: bool = False,
    hint: str | None = None,
) -> str:
    """Run ssh-keygen and return its output; ``name`` and ``hint`` are what an error says of the key."""
    done = subprocess.run(
        [_find_ssh_keygen(environment.get("PATH", os.defpath)), *arguments],
        stdin=None if os.isatty(0) else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if own_messages else subprocess.PIPE,
        env=dict(environment),
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    complaint = (done.stderr or "").strip() or "ssh-keygen did not sign"
    unknown = ("", complaint.splitlines()[-1], None)
    _, reason, usual_hint = next((known for known in _COMPLAINTS if known[0] in complaint), unknown)
    raise RepositoryError(
        f"cannot sign with {name}: {reason}",
        hint=hint or (usual_hint or _CHOOSE_KEY).format(private=name.removesuffix(".pub")),
        code="signingFailed",
    )


@cache
def _find_ssh_keygen(search_path: str) -> str:
    """Look ``ssh-keygen`` up in the absolute folders of a search path; a relative one may lie in a repository."""
    folders = [folder for folder in search_path.split(os.pathsep) if Path(folder).is_absolute()]
    program = shutil.which("ssh-keygen", path=os.pathsep.join(folders))
    if program is None:
        raise RepositoryError("ssh-keygen is not installed", hint="install OpenSSH 8.2 or later", code="noSshKeygen")
    # ssh-keygen has no option that tells its version.
    version = re.match(r"OpenSSH_\D*(\d+)\.(\d+)", _answer(program, "ssh", "-V", {}))
    if version is not None and (int(version[1]), int(version[2])) < _OLDEST_OPENSSH:
        raise RepositoryError(
            f"OpenSSH {version[1]}.{version[2]} is too old to sign with",
            hint="install OpenSSH 8.2 or later",
            code="noSshKeygen",
        )
    return program


def _answer(ssh_keygen: str, program: str, option: str, environment: Mapping[str, str]) -> str:
    """Return all that a program beside ssh-keygen prints; nothing if it is not there."""
    path = Path(ssh_keygen).with_name(program)
    if not path.exists():
        return ""
    return subprocess.run(
        [path, option],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        text=True,
        errors="replace",
        check=False,
    ).stdout


# --- choosing the key


@dataclass(frozen=True, slots=True)
class KeySources:
    """Where the key to sign with may come from; the first that is given counts.

    ``option`` is what ``--key`` names, ``text`` a private key's text (``MAA_SIGNING_KEY``), ``configured`` git's
    ``user.signingkey``: a file, or a public key in the agent, which may stand after ``key::``.
    """

    option: str | None
    text: str | None = field(repr=False)
    configured: str | None
    home: Path
    environment: Mapping[str, str] = field(repr=False)


@contextmanager
def signing_key(sources: KeySources, *, held: Collection[str] | None) -> Iterator[Signer]:
    """Give the signer of the key that the sources name, else of the only key at hand that is in ``held``.

    ``held`` are the canonical keys of accounts, None takes any; a key that is named need not be in it. What the signer
    needs on disk is readable by its owner only, and gone when the context ends.

    Raises:
        RepositoryError: there is no such key, there are several, or it cannot be used.
    """
    with TemporaryDirectory(prefix="maa-") as folder:
        yield _choose(sources, held, Path(folder))


def _choose(sources: KeySources, held: Collection[str] | None, folder: Path) -> Signer:
    if sources.option is not None:
        return _from_file(_expanded(sources.option, sources.home), sources.environment)
    if sources.text is not None:
        return _from_text(sources.text, sources.environment, folder)
    if not sources.configured:
        return _only_key_at_hand(sources, held, folder)
    literal = sources.configured.removeprefix("key::")
    if literal != sources.configured or literal.startswith("ssh-") or canonical_key(literal) is not None:
        return _from_agent(literal, sources.environment, folder)
    return _from_file(_expanded(sources.configured, sources.home), sources.environment)


def _from_file(path: Path, environment: Mapping[str, str]) -> Signer:
    """Take a private key's file, or a public one's whose private half is beside it or in the agent."""
    text = _read(path)
    if _PRIVATE_KEY.match(text):
        public = path.with_name(path.name + ".pub")
        text = _read(public) if public.exists() else _ssh_keygen(["-y", "-f", str(path)], str(path), environment)
    return Signer(_usable(text, str(path)), path, environment)


def _from_text(text: str, environment: Mapping[str, str], folder: Path) -> Signer:
    path = folder / "key"
    path.touch(mode=0o600)
    # Stores of secrets drop the last line feed or add carriage returns; OpenSSH wants neither.
    path.write_text("\n".join(text.strip().splitlines()) + "\n", encoding="utf-8", errors="replace")
    hint = "set it to the text of a private key without a passphrase"
    public = _ssh_keygen(["-y", "-f", str(path)], "MAA_SIGNING_KEY", environment, hint=hint)
    path.with_suffix(".pub").write_text(public, encoding="utf-8")
    return Signer(_usable(public, "MAA_SIGNING_KEY"), path, environment)


def _from_agent(line: str, environment: Mapping[str, str], folder: Path) -> Signer:
    key = _usable(line, "user.signingkey")
    if key not in _keys_in_agent(environment):
        raise RepositoryError(
            f"user.signingkey is {fingerprint(key)}, which is not in the SSH agent",
            hint="ssh-add FILE",
            code="noSigningKey",
        )
    return Signer(key, _public_file(key, folder), environment)


def _only_key_at_hand(sources: KeySources, held: Collection[str] | None, folder: Path) -> Signer:
    at_hand: dict[str, Path | None] = dict.fromkeys(_keys_in_agent(sources.environment))
    at_hand.update(_keys_in_folder(sources.home / ".ssh"))
    usable = sorted(key for key in at_hand if held is None or key in held)
    if len(usable) == 1:
        key = usable[0]
        return Signer(key, at_hand[key] or _public_file(key, folder), sources.environment)
    what = "SSH key" if held is None else "SSH key that an account holds"
    found = ", ".join(f"{fingerprint(key)} ({at_hand[key] or 'agent'})" for key in usable)
    raise RepositoryError(
        f"expected one {what} in the agent or in {sources.home / '.ssh'}, found {found or 'none'}",
        hint=_CHOOSE_KEY,
        code="noSigningKey",
    )


def _keys_in_agent(environment: Mapping[str, str]) -> list[str]:
    if not environment.get("SSH_AUTH_SOCK"):
        return []
    ssh_keygen = _find_ssh_keygen(environment.get("PATH", os.defpath))
    lines = _answer(ssh_keygen, "ssh-add", "-L", environment).splitlines()
    return [key for key in map(canonical_key, lines) if key is not None]


def _keys_in_folder(folder: Path) -> dict[str, Path]:
    """Find the keys whose two halves lie beside each other; what cannot be read is passed over."""
    found = {}
    for public in sorted(folder.glob("*.pub")):
        private = public.with_suffix("")
        if private.is_file():
            with suppress(RepositoryError):
                found[_usable(_read(public), str(public))] = private
    return found


def _usable(text: str, name: str) -> str:
    """Return the canonical key of the first line of a public key's file."""
    line = text.strip().partition("\n")[0].strip()
    key = canonical_key(line)
    if key is None:
        raise RepositoryError(f"cannot sign with {name}: {key_problem(line)}", hint=_CHOOSE_KEY, code="noSigningKey")
    return key


def _public_file(key: str, folder: Path) -> Path:
    """Write a public key where ssh-keygen can read it; the private half is the agent's."""
    path = folder / "key.pub"
    path.write_text(key + "\n", encoding="utf-8")
    return path


def _expanded(name: str, home: Path) -> Path:
    return home / name[2:] if name.startswith("~/") else Path(name)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise RepositoryError(f"cannot read {path}: {error.strerror}", hint=_CHOOSE_KEY, code="noSigningKey") from error
