"""Verifying signatures in the process. Source: OpenSSH, PROTOCOL.sshsig and PROTOCOL.u2f."""

import base64
import hashlib

from maa_gitops.signing.keys import Key, load_key
from maa_gitops.signing.wire import mpint, string, strings

SIGNATURE_LIMIT = 64 * 1024
"""Characters of an armoured signature; a longer one is not valid."""

_USER_PRESENT = 0x01
_HEADER = "-----BEGIN SSH SIGNATURE-----\n"
_FOOTER = "-----END SSH SIGNATURE-----\n"
_ARMOUR_WIDTH = 70
_MAGIC = b"SSHSIG"
_VERSION = (1).to_bytes(4)
_DIGESTS = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


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
    key_blob, signed_namespace, reserved, algorithm, proof = strings(blob[len(preamble) :])
    if signed_namespace != namespace.encode() or reserved or algorithm not in _DIGESTS:
        raise ValueError("another namespace, something reserved, or another hash")
    digest = _DIGESTS[algorithm](payload).digest()
    signed = _MAGIC + b"".join(map(string, (signed_namespace, reserved, algorithm, digest)))
    key = load_key(key_blob)
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


def _check(key: Key, proof: bytes, signed: bytes) -> None:
    """Raise ValueError unless the proof is the key's signature of the signed bytes."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if key.application is not None:
        proof, flags_and_counter = proof[:-5], proof[-5:]
        if len(flags_and_counter) < 5 or not flags_and_counter[0] & _USER_PRESENT:
            raise ValueError("nobody touched the token")
        signed = hashlib.sha256(key.application).digest() + flags_and_counter + hashlib.sha256(signed).digest()
    algorithm, value = strings(proof)
    try:
        _check_bare(key, algorithm, value, signed)
    except (InvalidSignature, UnsupportedAlgorithm):
        raise ValueError("the signature is not valid") from None


def _check_bare(key: Key, algorithm: bytes, value: bytes, signed: bytes) -> None:
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
    r, s = map(mpint, strings(value))
    curve_hashes = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    algorithm_of_curve = ec.ECDSA(curve_hashes[key.public.curve.key_size])
    key.public.verify(utils.encode_dss_signature(r, s), signed, algorithm_of_curve)
