"""Public keys: their one canonical spelling, and what makes one unusable."""

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from maa_gitops.signing.wire import mpint, strings

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

_KEY_LINE_LIMIT = 16 * 1024
_KEY_LINE = re.compile(r"([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]+={0,2})(?: [^\x00-\x1f\x7f]*)?")
_RSA_BITS = (3072, 16384)
_RSA_EXPONENT_BITS = 64
_COORDINATE_BYTES = {b"nistp256": 32, b"nistp384": 48, b"nistp521": 66}
_ED25519_PRIME = 2**255 - 19
_ED25519_D = -121665 * pow(121666, -1, _ED25519_PRIME) % _ED25519_PRIME


@dataclass(frozen=True, slots=True)
class Key:
    """A public key ready for use; ``application`` is set for keys that live on a FIDO token."""

    kind: bytes
    public: "Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey"
    application: bytes | None = None


def canonical_key(text: str) -> str | None:
    """Return the one spelling of an OpenSSH public key line, ``type base64``, or None if it is not a usable key."""
    try:
        return canonical_of(text)
    except ValueError:
        return None


def key_problem(text: str) -> str | None:
    """Say in a few words why a key line is refused; None if ``canonical_key`` takes it."""
    try:
        canonical_of(text)
    except ValueError as error:
        return str(error)
    return None


def fingerprint(canonical: str) -> str:
    """Return ``SHA256:…`` of a canonical key, as ``ssh-keygen -l`` prints it."""
    digest = hashlib.sha256(base64.b64decode(canonical.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def canonical_of(text: str) -> str:
    """The canonical spelling of a key line.

    Raises:
        ValueError: it is no usable key; the text says why.
    """
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
    if load_key(blob).kind != kind.encode():
        raise ValueError(f"it is not of the type that it names, {kind}")
    return f"{kind} {encoded}"


@lru_cache(maxsize=256)
def load_key(blob: bytes) -> Key:
    """Read a public key in SSH's wire format; a ValueError says in a person's words what is wrong with it."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        match strings(blob):
            case [b"ssh-ed25519" as kind, point]:
                return Key(kind, _ed25519(point))
            case [b"sk-ssh-ed25519@openssh.com" as kind, point, application]:
                return Key(kind, _ed25519(point), _application(application))
            case [kind, curve, point] if curve in _COORDINATE_BYTES and kind == b"ecdsa-sha2-" + curve:
                return Key(kind, _ecdsa(curve, point))
            case [b"sk-ecdsa-sha2-nistp256@openssh.com" as kind, b"nistp256" as curve, point, application]:
                return Key(kind, _ecdsa(curve, point), _application(application))
            case [b"ssh-rsa" as kind, exponent, modulus]:
                return Key(kind, _rsa(mpint(exponent), mpint(modulus)))
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
