"""SSH signatures: what is a key, what is a valid signature, and which key signs.

The oracle is OpenSSH itself. No test sees the developer's own keys, agent or home.
"""

import base64
import hashlib
import os
import pty
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from maa_gitops.errors import RepositoryError
from maa_gitops.signing import (
    SIGNATURE_LIMIT,
    KeySources,
    Signer,
    canonical_key,
    fingerprint,
    key_problem,
    signing_key,
    verify,
)

NAMESPACE = "maa-gitops"
PAYLOAD = b'{"account":"alice","action":"approve"}'
# Nothing of these tests asks the developer anything: whatever would, gets a dialog that is cancelled at once.
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "SSH_ASKPASS": str(shutil.which("false")),
    "SSH_ASKPASS_REQUIRE": "force",
    "DISPLAY": ":none",
}
TYPES = {
    "ed25519": ["-t", "ed25519"],
    "ecdsa256": ["-t", "ecdsa", "-b", "256"],
    "ecdsa384": ["-t", "ecdsa", "-b", "384"],
    "ecdsa521": ["-t", "ecdsa", "-b", "521"],
    "rsa3072": ["-t", "rsa", "-b", "3072"],
}
SK_TYPES = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")

type_of_key = pytest.mark.parametrize("name", TYPES)
whatever = settings(deadline=None)
type_of_token = pytest.mark.parametrize("kind", SK_TYPES)


def run(*arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] = ENVIRONMENT) -> bytes:
    """Run a program of OpenSSH that must succeed and return its output."""
    return subprocess.run(arguments, input=stdin, env=dict(environment), check=True, capture_output=True).stdout


def make_key(path: Path, *options: str, passphrase: str = "") -> Path:
    """Make a key pair with a comment and return the private file."""
    run("ssh-keygen", "-q", *options, "-N", passphrase, "-C", "alice@contoso.com", "-f", path)
    return path


def public_of(path: Path) -> str:
    """Return the canonical key beside a private file."""
    kind, encoded, _comment = path.with_name(path.name + ".pub").read_text().split(" ", 2)
    return f"{kind} {encoded}"


def openssh_sign(path: Path, *options: str, namespace: str = NAMESPACE, payload: bytes = PAYLOAD) -> str:
    """Sign as a person would by hand."""
    return run("ssh-keygen", "-Y", "sign", "-n", namespace, *options, "-f", path, stdin=payload).decode()


def openssh_accepts(folder: Path, signature: str, key: str, *, payload: bytes = PAYLOAD, options: str = "") -> bool:
    """Ask ``ssh-keygen -Y verify`` whether the signature is the key's."""
    folder.joinpath("signature").write_bytes(signature.encode(errors="surrogateescape"))
    folder.joinpath("allowed").write_text(f"alice {options} {key}\n")
    question = ["ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-I", "alice"]
    question += ["-f", str(folder / "allowed"), "-s", str(folder / "signature")]
    return subprocess.run(question, input=payload, env=ENVIRONMENT, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One key pair of each type."""
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name, *options) for name, options in TYPES.items()}


@pytest.fixture(scope="session")
def signatures(keys: dict[str, Path]) -> dict[str, str]:
    """One signature of the payload by each key, made by OpenSSH."""
    return {name: openssh_sign(path) for name, path in keys.items()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an empty folder for keys."""
    tmp_path.joinpath("home", ".ssh").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an agent of the test's own."""
    socket = tmp_path_factory.mktemp("a") / "s"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is listening when it tells its socket
        yield ENVIRONMENT | {"SSH_AUTH_SOCK": str(socket)}
        process.terminate()


def sources(home: Path, **given: object) -> KeySources:
    """Key sources that give nothing but what is named."""
    return replace(KeySources(None, None, None, home, ENVIRONMENT), **given)  # type: ignore[arg-type]


# --- building keys and signatures by hand, from the protocol's text


def string(data: bytes) -> bytes:
    """Encode an SSH string."""
    return len(data).to_bytes(4) + data


def mpint(number: int) -> bytes:
    """Encode a positive SSH mpint."""
    return string(number.to_bytes(number.bit_length() // 8 + 1))


def key_line(*parts: bytes) -> str:
    """Write strings as a public key line of the type that the first one names."""
    blob = b"".join(map(string, parts))
    return f"{parts[0].decode()} {base64.b64encode(blob).decode()}"


def armoured(blob: bytes) -> str:
    """Write a signature blob as ssh-keygen does."""
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def blob_of(signature: str) -> bytes:
    """Undo the armour."""
    return base64.b64decode("".join(signature.splitlines()[1:-1]))


def signed_data(hash_name: str = "sha512", namespace: str = NAMESPACE, reserved: bytes = b"") -> bytes:
    """Return what a key signs for the payload."""
    digest = hashlib.new(hash_name, PAYLOAD).digest()
    parts = (namespace.encode(), reserved, hash_name.encode(), digest)
    return b"SSHSIG" + b"".join(map(string, parts))


def sshsig(
    key: str, proof: bytes, *, hash_name: str = "sha512", namespace: str = NAMESPACE, reserved: bytes = b""
) -> str:
    """Assemble a signature of the payload."""
    blob = base64.b64decode(key.split()[1])
    parts = (blob, namespace.encode(), reserved, hash_name.encode(), proof)
    return armoured(b"SSHSIG" + (1).to_bytes(4) + b"".join(map(string, parts)))


def split_sshsig(signature: str) -> list[bytes]:
    """Return the five strings of a signature."""
    rest, parts = blob_of(signature)[10:], []
    while rest:
        size = 4 + int.from_bytes(rest[:4])
        parts.append(rest[4:size])
        rest = rest[size:]
    return parts


def token(kind: str, application: bytes = b"ssh:") -> tuple[str, Callable[[bytes], bytes]]:
    """Return the key of a FIDO token in software, and what its hardware does: sign bytes."""
    if kind == SK_TYPES[0]:
        soft = ed25519.Ed25519PrivateKey.generate()
        raw = soft.public_key().public_bytes_raw()
        return key_line(kind.encode(), raw, application), soft.sign
    curve_key = ec.generate_private_key(ec.SECP256R1())
    encoding = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    point = curve_key.public_key().public_bytes(*encoding)

    def touch(message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(curve_key.sign(message, ec.ECDSA(hashes.SHA256())))
        return mpint(r) + mpint(s)

    return key_line(kind.encode(), b"nistp256", point, application), touch


def token_signature(
    kind: str, *, flags: int = 1, application: bytes = b"ssh:", signed_for: bytes | None = None
) -> tuple[str, str]:
    """Return a token's key and its signature of the payload. Source: OpenSSH, PROTOCOL.u2f."""
    key, touch = token(kind, application)
    tail = bytes([flags]) + (7).to_bytes(4)
    parts = hashlib.sha256(signed_for or application).digest(), tail, hashlib.sha256(signed_data()).digest()
    return key, sshsig(key, string(kind.encode()) + string(touch(b"".join(parts))) + tail)


# --- public keys


@type_of_key
def test_a_key_of_openssh_is_taken_without_its_comment(keys: dict[str, Path], name: str) -> None:
    """The canonical form is type and base64, with or without a comment behind."""
    line = keys[name].with_suffix(".pub").read_text().rstrip("\n")
    bare = public_of(keys[name])
    assert [canonical_key(line), canonical_key(bare), key_problem(line)] == [bare, bare, None]


@type_of_key
def test_the_fingerprint_is_the_one_that_openssh_prints(keys: dict[str, Path], name: str) -> None:
    """A person can compare it with ``ssh-keygen -l``."""
    printed = run("ssh-keygen", "-l", "-f", keys[name]).decode().split()[1]
    assert fingerprint(public_of(keys[name])) == printed


@type_of_token
def test_a7_the_application_is_part_of_a_tokens_key(kind: str) -> None:
    """A token's key is taken whole; with SSH's applications only."""
    assert canonical_key(token(kind)[0]) is not None
    assert canonical_key(token(kind, b"ssh:work")[0]) is not None
    assert canonical_key(token(kind, b"https://contoso.com")[0]) is None
    assert canonical_key(token(kind, b"ssh:\0")[0]) is None


def test_rsa_keys_need_3072_bits(tmp_path: Path) -> None:
    """A smaller RSA key is refused, and the reason tells both sizes."""
    weak = make_key(tmp_path / "weak", "-t", "rsa", "-b", "2048")
    assert canonical_key(public_of(weak)) is None
    assert key_problem(public_of(weak)) == "RSA key of 2048 bits; at least 3072 are needed"


NO_RSA_KEY = "RSA key with a modulus or an exponent that no RSA key has"
NO_NUMBER = "it has a number that is not positive or not in canonical form"


@pytest.mark.parametrize(
    ("bits", "exponent", "odd", "problem"),
    [
        (3072, 65537, 1, None),
        (16384, 65537, 1, None),
        (3072, 3, 1, None),
        (3071, 65537, 1, "RSA key of 3071 bits; at least 3072 are needed"),
        (16385, 65537, 1, "RSA key of 16385 bits; at most 16384 are accepted"),
        (3072, 0, 1, NO_NUMBER),
        (3072, 1, 1, NO_RSA_KEY),
        (3072, 65536, 1, NO_RSA_KEY),
        (3072, 2**64 + 1, 1, NO_RSA_KEY),
        (3072, 65537, 0, NO_RSA_KEY),
    ],
)
def test_rsa_numbers_are_bounded(bits: int, exponent: int, odd: int, problem: str | None) -> None:
    """Sizes from 3072 to 16384 bits, odd exponents from 3 to 64 bits, an odd modulus."""
    line = key_line(b"ssh-rsa", mpint(exponent)[4:], mpint((1 << bits - 1) + odd)[4:])
    assert (canonical_key(line) is None, key_problem(line)) == (problem is not None, problem)


def curve_line(curve: ec.EllipticCurve, name: bytes, *, compressed: bool = False, spoil: bool = False) -> str:
    """Write an ECDSA key line whose point may be compressed or off the curve."""
    form = serialization.PublicFormat.CompressedPoint if compressed else serialization.PublicFormat.UncompressedPoint
    point = ec.generate_private_key(curve).public_key().public_bytes(serialization.Encoding.X962, form)
    return key_line(b"ecdsa-sha2-" + name, name, point[:-1] + bytes([point[-1] ^ spoil]))


P256_X = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
P256_Y = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
HYBRID_POINT = b"\x07" + P256_X.to_bytes(32) + P256_Y.to_bytes(32)


def test_an_ecdsa_point_is_uncompressed_and_on_its_curve() -> None:
    """One encoding of a point, of the curve that the type names."""
    p256, p384 = ec.SECP256R1(), ec.SECP384R1()
    assert canonical_key(curve_line(p256, b"nistp256")) is not None
    assert canonical_key(key_line(b"ecdsa-sha2-nistp256", b"nistp256", b"\x04" + HYBRID_POINT[1:])) is not None
    for refused in (
        curve_line(p256, b"nistp256", compressed=True),
        curve_line(p256, b"nistp256", spoil=True),
        curve_line(p384, b"nistp256"),
        curve_line(ec.SECP256K1(), b"nistp256"),
        key_line(b"ecdsa-sha2-nistp256", b"nistp256", b"\0"),
        key_line(b"ecdsa-sha2-nistp256", b"nistp256", HYBRID_POINT),
        key_line(b"ecdsa-sha2-nistp256", b"nistp384", b"\x04" + bytes(96)),
        key_line(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp384", b"\x04" + bytes(96), b"ssh:"),
    ):
        assert canonical_key(refused) is None


PRIME = 2**255 - 19
SMALL_ORDER = [
    (0).to_bytes(32, "little"),
    (1).to_bytes(32, "little"),
    (PRIME - 1).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_of_small_order_is_no_key(point: bytes, sign: int) -> None:
    """Anyone could sign under such an ed25519 key."""
    line = key_line(b"ssh-ed25519", point[:-1] + bytes([point[-1] | sign]))
    assert key_problem(line) == "it is a point of small order, with which anyone can sign"


@pytest.mark.parametrize("y", [3, 4, 9])
def test_a7_a_point_has_one_encoding(y: int) -> None:
    """The same ed25519 point with its prime added is refused."""
    assert canonical_key(key_line(b"ssh-ed25519", y.to_bytes(32, "little"))) is not None
    assert canonical_key(key_line(b"ssh-ed25519", (y + PRIME).to_bytes(32, "little"))) is None


def test_an_ed25519_key_is_32_bytes_on_the_curve() -> None:
    """Other lengths and points off the curve are refused."""
    for point in (b"", bytes(31), bytes(33), (2).to_bytes(32, "little")):
        assert canonical_key(key_line(b"ssh-ed25519", point)) is None


def refused_lines(line: str, rsa_line: str) -> Iterator[str]:
    """Everything that is not a key line though it looks like one."""
    kind, encoded = line.split()
    blob = base64.b64decode(encoded)
    point = blob[-32:]
    yield from ("", " ", kind, encoded, f"{kind} ", f" {line}", f"{kind}  {encoded}", f"{kind}\t{encoded}")
    yield from (f"{line}\n", f"{line}\r", f"{line} a\nb", f"{line}\0", f"{line} \x1b[2J", f"{line}\n{line}")
    yield from (
        f"cert-authority {line}",
        f"* {line}",
        f'command="x" {line}',
        f'namespaces="git" {line}',
        f"key::{line}",
    )
    yield from (
        f"{kind.upper()} {encoded}",
        f"ssh-rsa {encoded}",
        f"sk-{kind}@openssh.com {encoded}",
        f"ssh-dss {encoded}",
    )
    yield from (f"{kind} {encoded}=", f"{kind} {encoded[:-1]}", f"{kind} {encoded}AAAA", f"{kind} {encoded[:-4]}")
    yield from (f"{kind} {encoded}é", f"{kind} {'A' * 20000}", f"{kind} {encoded} {'c' * 20000}")
    yield key_line(b"ssh-ed25519", point, b"")
    yield key_line(b"ssh-ed25519")
    yield f"{kind} {base64.b64encode(blob + b'abc').decode()}"
    yield f"{kind}-cert-v01@openssh.com {encoded}"
    modulus = base64.b64decode(rsa_line.split()[1])[-384:]
    three = (b"ssh-rsa", b"\1\0\1", b"\0" + modulus)
    assert key_line(*three) == rsa_line
    yield key_line(b"ssh-rsa", b"\0\1\0\1", b"\0" + modulus)
    yield key_line(b"ssh-rsa", b"\1\0\1", b"\0\0" + modulus)
    yield key_line(b"ssh-rsa", b"\1\0\1", modulus)
    yield key_line(b"ssh-rsa", b"", b"\0" + modulus)
    yield key_line(b"ssh-rsa", b"\0", b"\0" + modulus)
    yield key_line(b"ssh-rsa", b"\1\0\1", b"")


def test_a7_a8_a_key_has_one_spelling_and_nothing_around_it(keys: dict[str, Path]) -> None:
    """Options, wildcards, other whitespace, padding, trailing bytes and other numbers are refused with a reason."""
    for line in refused_lines(public_of(keys["ed25519"]), public_of(keys["rsa3072"])):
        assert canonical_key(line) is None, line
        assert key_problem(line), line


def test_a7_base64_has_no_bits_to_spare(keys: dict[str, Path]) -> None:
    """Of the last letters that decode to the same bytes only one is taken."""
    line = public_of(keys["ecdsa256"])
    twin = line.rstrip("=")
    twin = twin[:-1] + chr(ord(twin[-1]) + 1) + "=" * (len(line) - len(twin))
    assert base64.b64decode(twin.split()[1]) == base64.b64decode(line.split()[1])
    assert (canonical_key(line), canonical_key(twin)) == (line, None)


def test_a7_a_certificate_is_no_key(tmp_path: Path, keys: dict[str, Path]) -> None:
    """A certificate for a key would be a second name of it."""
    public = tmp_path / "id.pub"
    public.write_text(public_of(keys["ed25519"]) + "\n")
    run("ssh-keygen", "-q", "-s", keys["ecdsa256"], "-I", "alice", public)
    line = tmp_path.joinpath("id-cert.pub").read_text().strip()
    assert key_problem(line) == "a certificate; expected the public key itself"
    assert canonical_key(line) is None


@whatever
@given(st.text() | st.from_regex(r"ssh-[a-z0-9]+ [A-Za-z0-9+/]{0,200}={0,2}( .*)?", fullmatch=True))
def test_no_text_makes_reading_a_key_fail(text: str) -> None:
    """Any text is a key or has a problem; what is canonical stays as it is."""
    canonical = canonical_key(text)
    assert (canonical is None) == (key_problem(text) is not None)
    assert canonical is None or canonical_key(canonical) == canonical


@whatever
@given(st.sampled_from([b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ssh-rsa"]), st.lists(st.binary(max_size=70)))
def test_no_key_content_makes_reading_fail(kind: bytes, parts: list[bytes]) -> None:
    """Any strings behind a type are a key or have a problem."""
    line = key_line(kind, *parts)
    assert canonical_key(line) in {None, line}


# --- verifying


@type_of_key
def test_what_openssh_signs_is_valid(keys: dict[str, Path], signatures: dict[str, str], name: str) -> None:
    """The signature gives the key that made it."""
    assert verify(signatures[name], PAYLOAD, NAMESPACE) == public_of(keys[name])


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_both_hashes_of_sshsig_are_valid(keys: dict[str, Path], hash_name: str) -> None:
    """SSHSIG knows two hashes of the payload."""
    signature = openssh_sign(keys["ed25519"], "-O", f"hashalg={hash_name}")
    assert verify(signature, PAYLOAD, NAMESPACE) == public_of(keys["ed25519"])


@pytest.mark.parametrize("payload", [b"", b"\0\xff", b"x" * 1_000_000])
def test_any_bytes_can_be_signed(keys: dict[str, Path], payload: bytes) -> None:
    """The payload is bytes and need not be text."""
    signature = openssh_sign(keys["ed25519"], payload=payload)
    assert verify(signature, payload, NAMESPACE) == public_of(keys["ed25519"])


def test_the_armour_is_that_of_openssh_at_every_length(keys: dict[str, Path]) -> None:
    """A last line of full width is followed by the footer, with no line between."""
    blob = len(blob_of(openssh_sign(keys["ed25519"], namespace="n")))
    full = next(size for size in range(1, 999) if (blob - 1 + size) % 105 == 0)
    for size in (full - 1, full, full + 1):
        signature = openssh_sign(keys["ed25519"], namespace="n" * size)
        assert verify(signature, PAYLOAD, "n" * size) == public_of(keys["ed25519"])


@pytest.mark.parametrize("namespace", ["git", "file", "maa-gitops-receipt", "maa-gitop", "", "maa-gitops\0", "\ud800"])
def test_a12_a_signature_holds_in_its_own_namespace_only(signatures: dict[str, str], namespace: str) -> None:
    """A signature made for another purpose is never a decision."""
    assert verify(signatures["ed25519"], PAYLOAD, namespace) is None


def test_a12_a_git_signature_is_no_decision(keys: dict[str, Path]) -> None:
    """What ``git commit -S`` signs cannot be replayed."""
    assert verify(openssh_sign(keys["ed25519"], namespace="git"), PAYLOAD, NAMESPACE) is None


def mutants(text: str) -> Iterator[str]:
    """Change, delete and insert at every place of a text."""
    for place, letter in enumerate(text):
        before, after = text[:place], text[place + 1 :]
        yield before + after
        for other in {chr(ord(letter) ^ 1), "A", "=", "\n"} - {letter}:
            yield before + other + after
        for extra in ("\n", " ", "A"):
            yield before + extra + letter + after


@type_of_key
def test_a9_no_change_of_the_armour_is_valid(signatures: dict[str, str], name: str) -> None:
    """A letter changed, missing or added anywhere voids the signature."""
    assert [text for text in mutants(signatures[name]) if verify(text, PAYLOAD, NAMESPACE) is not None] == []


def blob_mutants(blob: bytes) -> Iterator[bytes]:
    """Flip bits of, delete and double every byte, and cut at every place."""
    for place, byte in enumerate(blob):
        for mask in (0x01, 0x80, 0xFF):
            yield blob[:place] + bytes([byte ^ mask]) + blob[place + 1 :]
        yield blob[:place] + blob[place + 1 :]
        yield blob[:place] + bytes([byte]) + blob[place:]
        yield blob[:place]


@type_of_key
def test_a9_no_change_of_the_content_is_valid(signatures: dict[str, str], name: str) -> None:
    """A bit changed anywhere inside voids the signature, in perfect armour too."""
    changed = [armoured(blob) for blob in blob_mutants(blob_of(signatures[name]))]
    assert [text for text in changed if verify(text, PAYLOAD, NAMESPACE) is not None] == []


@type_of_key
def test_a9_no_change_of_the_payload_is_valid(signatures: dict[str, str], name: str) -> None:
    """One byte of difference voids the signature."""
    assert [other for other in blob_mutants(PAYLOAD) if verify(signatures[name], other, NAMESPACE) is not None] == []


def test_a10_exactly_one_block_as_openssh_prints_it(signatures: dict[str, str]) -> None:
    """Two blocks, other line ends, other wrapping and anything around the block are refused."""
    text = signatures["ed25519"]
    header, *body, footer = text.splitlines()
    rewrapped = "\n".join([header, "".join(body), footer, ""])
    others = [
        text + text,
        text + signatures["ecdsa256"],
        signatures["ecdsa256"] + text,
        text.replace("\n", "\r\n"),
        text.replace("\n", "\r"),
        text.rstrip("\n"),
        text + "\n",
        "\n" + text,
        " " + text,
        text + " ",
        "﻿" + text,
        text.replace("\n", " \n"),
        text.replace("\n", "\n "),
        text.replace("\n", "\n\n"),
        rewrapped,
        text.replace("SSH", "PGP"),
        "".join(body),
        "\n".join(body),
        "",
        "\ud800",
    ]
    assert [verify(other, PAYLOAD, NAMESPACE) for other in others] == [None] * len(others)


def ed25519_case(**form: str | bytes) -> str:
    """Return a good signature by a fresh key over the form of SSHSIG that is asked for."""
    soft = ed25519.Ed25519PrivateKey.generate()
    key = key_line(b"ssh-ed25519", soft.public_key().public_bytes_raw())
    proof = string(b"ssh-ed25519") + string(soft.sign(signed_data(**form)))  # type: ignore[arg-type]
    return sshsig(key, proof, **form)  # type: ignore[arg-type]


def test_d15_a_long_signature_is_refused() -> None:
    """The size is bounded, well signed or not."""
    for size, valid in ((40_000, True), (50_000, False)):
        signature = ed25519_case(namespace="n" * size)
        assert (len(signature) <= SIGNATURE_LIMIT) == valid
        assert (verify(signature, PAYLOAD, "n" * size) is not None) == valid


def test_only_the_forms_of_sshsig_are_valid() -> None:
    """Another hash, a filled reserved field, another magic or version: not valid though well signed."""
    good = ed25519_case()
    blob = blob_of(good)
    others = [
        ed25519_case(hash_name="sha1"),
        ed25519_case(hash_name="sha384"),
        ed25519_case(reserved=b"x"),
        armoured(b"SSHSIH" + blob[6:]),
        armoured(blob[:9] + b"\2" + blob[10:]),
        armoured(blob[:10]),
        armoured(blob + string(b"")),
        armoured(b""),
    ]
    assert verify(good, PAYLOAD, NAMESPACE) is not None
    assert [verify(other, PAYLOAD, NAMESPACE) for other in others] == [None] * len(others)


def load_private(path: Path) -> object:
    """Load a private key file with the library."""
    return serialization.load_ssh_private_key(path.read_bytes(), None)


def test_rsa_signs_with_sha2_only(keys: dict[str, Path], tmp_path: Path) -> None:
    """SHA-1, by its own name or another, is refused; both SHA-2 forms are valid."""
    private, key = load_private(keys["rsa3072"]), public_of(keys["rsa3072"])
    assert isinstance(private, rsa.RSAPrivateKey)

    def case(algorithm: bytes, hash_: hashes.HashAlgorithm) -> str:
        value = private.sign(signed_data(), padding.PKCS1v15(), hash_)
        return sshsig(key, string(algorithm) + string(value))

    for valid in (case(b"rsa-sha2-256", hashes.SHA256()), case(b"rsa-sha2-512", hashes.SHA512())):
        assert (verify(valid, PAYLOAD, NAMESPACE), openssh_accepts(tmp_path, valid, key)) == (key, True)
    refused = [
        case(b"ssh-rsa", hashes.SHA1()),
        case(b"rsa-sha2-256", hashes.SHA1()),
        case(b"rsa-sha2-512", hashes.SHA256()),
        case(b"ssh-rsa", hashes.SHA512()),
        case(b"ssh-ed25519", hashes.SHA512()),
    ]
    assert [verify(text, PAYLOAD, NAMESPACE) for text in refused] == [None] * len(refused)


def test_a_weak_rsa_key_signs_nothing(tmp_path: Path) -> None:
    """A key that no account could hold makes no valid signature, though OpenSSH takes it."""
    weak = make_key(tmp_path / "weak", "-t", "rsa", "-b", "2048")
    signature = openssh_sign(weak)
    assert openssh_accepts(tmp_path, signature, public_of(weak))
    assert verify(signature, PAYLOAD, NAMESPACE) is None


def ecdsa_parts(keys: dict[str, Path], signature: str) -> tuple[str, bytes, int, int]:
    """Return key, algorithm and the two numbers of an ECDSA signature."""
    proof = split_sshsig(signature)[4]
    algorithm, value = proof[4:23], proof[27:]
    size = 4 + int.from_bytes(value[:4])
    return public_of(keys["ecdsa256"]), algorithm, int.from_bytes(value[4:size]), int.from_bytes(value[size + 4 :])


def test_ecdsa_numbers_are_canonical_and_in_range(keys: dict[str, Path], signatures: dict[str, str]) -> None:
    """Padded, negative, zero, surplus and too large numbers are refused."""
    key, algorithm, r, s = ecdsa_parts(keys, signatures["ecdsa256"])
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    rebuilt = sshsig(key, string(algorithm) + string(mpint(r) + mpint(s)))
    assert rebuilt == signatures["ecdsa256"]
    values = [
        string(b"\0" + mpint(r)[4:]) + mpint(s),
        mpint(r) + string(b"\0" + mpint(s)[4:]),
        string(r.to_bytes(32)) + string(s.to_bytes(32)) + b"\0\0\0\0",
        mpint(r) + mpint(s) + mpint(s),
        mpint(r),
        b"",
        mpint(r) + string(b""),
        mpint(r) + string(b"\0"),
        string(b"\0") + mpint(s),
        mpint(r + order) + mpint(s),
        mpint(r) + mpint(s + order),
        mpint(s) + mpint(r),
        mpint(2**8000) + mpint(s),
    ]
    others = [sshsig(key, string(algorithm) + string(value)) for value in values]
    others.append(sshsig(key, string(b"ecdsa-sha2-nistp384") + string(mpint(r) + mpint(s))))
    assert [verify(other, PAYLOAD, NAMESPACE) for other in others] == [None] * len(others)


def test_ecdsa_has_one_twin_by_its_mathematics(
    keys: dict[str, Path], signatures: dict[str, str], tmp_path: Path
) -> None:
    """Anyone can turn (r, s) into (r, n - s); it says the same of the same bytes, so both are valid, as for OpenSSH."""
    key, algorithm, r, s = ecdsa_parts(keys, signatures["ecdsa256"])
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = sshsig(key, string(algorithm) + string(mpint(r) + mpint(order - s)))
    assert (verify(twin, PAYLOAD, NAMESPACE), openssh_accepts(tmp_path, twin, key)) == (key, True)


def test_ed25519_has_no_twin(keys: dict[str, Path], signatures: dict[str, str]) -> None:
    """The scalar with the group's order added is refused."""
    proof = split_sshsig(signatures["ed25519"])[4]
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(proof[-32:], "little")
    twin = sshsig(public_of(keys["ed25519"]), proof[:-32] + (scalar + order).to_bytes(32, "little"))
    assert sshsig(public_of(keys["ed25519"]), proof) == signatures["ed25519"]
    assert verify(twin, PAYLOAD, NAMESPACE) is None


def test_a11_a_key_of_small_order_makes_no_signature_valid() -> None:
    """Under the neutral point a signature of zeros would hold for every payload."""
    key = key_line(b"ssh-ed25519", SMALL_ORDER[1])
    forged = sshsig(key, string(b"ssh-ed25519") + string(SMALL_ORDER[1] + bytes(32)))
    assert verify(forged, PAYLOAD, NAMESPACE) is None


@type_of_token
def test_a_touched_token_signs(kind: str, tmp_path: Path) -> None:
    """A FIDO signature by the protocol's formula is valid, here and for OpenSSH."""
    for flags in (0x01, 0x05, 0x81):
        key, signature = token_signature(kind, flags=flags)
        assert verify(signature, PAYLOAD, NAMESPACE) == key
        assert openssh_accepts(tmp_path, signature, key)


@type_of_token
def test_an_untouched_token_does_not_sign(kind: str) -> None:
    """Without the bit for user presence it is refused, whatever the other bits; OpenSSH takes it."""
    for flags in (0x00, 0x04, 0x80):
        _, signature = token_signature(kind, flags=flags)
        assert verify(signature, PAYLOAD, NAMESPACE) is None


@type_of_token
def test_a_token_signs_for_its_own_application(kind: str) -> None:
    """The application that was signed is the key's; a web site's is never taken."""
    assert verify(token_signature(kind, application=b"ssh:work")[1], PAYLOAD, NAMESPACE) is not None
    assert verify(token_signature(kind, signed_for=b"ssh:work")[1], PAYLOAD, NAMESPACE) is None
    assert verify(token_signature(kind, application=b"https://contoso.com")[1], PAYLOAD, NAMESPACE) is None


@type_of_token
def test_a9_no_change_of_a_tokens_signature_is_valid(kind: str) -> None:
    """Flags and counter are signed, too."""
    _, signature = token_signature(kind)
    changed = [armoured(blob) for blob in blob_mutants(blob_of(signature))]
    changed += mutants(signature)
    assert [text for text in changed if verify(text, PAYLOAD, NAMESPACE) is not None] == []


@type_of_token
def test_a_bare_signature_is_no_tokens(kind: str) -> None:
    """A token's signature without flags and counter, or signed directly, is refused."""
    key, touch = token(kind)
    direct = string(kind.encode()) + string(touch(signed_data()))
    others = [sshsig(key, proof) for proof in (direct, direct + b"\1\0\0\0\1", b"\1\0\0\0", b"\1\0\0\0\1", b"")]
    assert [verify(other, PAYLOAD, NAMESPACE) for other in others] == [None] * len(others)


def test_a11_what_is_valid_here_is_valid_for_openssh(
    keys: dict[str, Path], signatures: dict[str, str], tmp_path: Path
) -> None:
    """Of a sample of good and changed signatures none is taken that OpenSSH refuses."""
    choose = random.Random(7)
    for name, signature in signatures.items():
        changed = list(mutants(signature)) + [armoured(blob) for blob in blob_mutants(blob_of(signature))]
        sample = [signature, *choose.sample(changed, 28)]
        verdicts = [
            (verify(text, PAYLOAD, NAMESPACE), openssh_accepts(tmp_path, text, public_of(keys[name])))
            for text in sample
        ]
        assert verdicts[0] == (public_of(keys[name]), True)
        assert [verdict for verdict in verdicts if verdict[0] is not None and not verdict[1]] == []


@whatever
@given(st.text() | st.text("ABab01+/=\n-").map(lambda body: armoured(b"").replace("\n-----END", f"\n{body}-----END")))
def test_a11_no_text_makes_verifying_fail(text: str) -> None:
    """Arbitrary text, in armour or not, is not valid and raises nothing."""
    assert verify(text, PAYLOAD, NAMESPACE) is None


key_blobs = st.builds(
    lambda kind, parts: b"".join(map(string, [kind, *parts])),
    st.sampled_from([b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ssh-rsa", *(kind.encode() for kind in SK_TYPES)]),
    st.lists(st.binary(max_size=70) | st.sampled_from([b"nistp256", b"ssh:", b"\1\0\1", b"\0" + b"\xff" * 384])),
)
proofs = st.builds(
    lambda kind, value, tail: string(kind) + string(value) + tail,
    st.sampled_from([b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"rsa-sha2-512", *(kind.encode() for kind in SK_TYPES)]),
    st.binary(max_size=70) | st.binary(min_size=384, max_size=384) | st.just(mpint(5) + mpint(7)),
    st.binary(max_size=6),
)


@whatever
@given(
    st.lists(
        st.one_of(key_blobs, proofs, st.sampled_from([NAMESPACE.encode(), b"", b"sha512", b"sha256"]), st.binary()),
        max_size=6,
    )
)
def test_a11_no_structure_makes_verifying_fail(parts: list[bytes]) -> None:
    """Well-formed strings of any content are not valid and raise nothing."""
    blob = b"SSHSIG" + (1).to_bytes(4) + b"".join(map(string, parts))
    assert verify(armoured(blob), PAYLOAD, NAMESPACE) is None


ODD_RSA_KEY = b"".join(map(string, [b"ssh-rsa", b"\3", b"\0" + b"\xff" * 384]))
GOOD_KEYS = [ODD_RSA_KEY, *(base64.b64decode(token(kind)[0].split()[1]) for kind in SK_TYPES)]


@whatever
@given(st.sampled_from(GOOD_KEYS) | key_blobs | st.binary(), proofs | st.binary())
def test_a11_no_key_or_proof_makes_verifying_fail(key: bytes, proof: bytes) -> None:
    """A broken key, or a broken proof under a good key, is not valid and raises nothing."""
    middle = string(NAMESPACE.encode()) + string(b"") + string(b"sha512")
    text = armoured(b"SSHSIG" + (1).to_bytes(4) + string(key) + middle + string(proof))
    assert verify(text, PAYLOAD, NAMESPACE) is None


def test_a11_an_algorithm_that_is_not_there_is_not_valid(
    keys: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the library lacks an algorithm, keys are refused and signatures not valid."""

    def refuse(_data: bytes) -> None:
        raise UnsupportedAlgorithm("not in this build")

    private = make_key(tmp_path / "id", "-t", "ed25519")
    monkeypatch.setattr(ed25519.Ed25519PublicKey, "from_public_bytes", refuse)
    assert verify(openssh_sign(private), PAYLOAD, NAMESPACE) is None
    assert key_problem(public_of(private)) == "the cryptography library of this machine does not support it"


def test_the_module_is_cheap_to_import() -> None:
    """The cryptography library is loaded when the first key is read."""
    program = "import sys, maa_gitops.signing; print('cryptography' in sys.modules)"
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    assert run(sys.executable, "-c", program, environment=environment) == b"False\n"


# --- signing


@type_of_key
def test_what_a_signer_signs_is_valid_for_openssh(keys: dict[str, Path], tmp_path: Path, name: str) -> None:
    """The signature is OpenSSH's own text and its own check says yes."""
    key = public_of(keys[name])
    signature = Signer(key, keys[name], ENVIRONMENT).sign(PAYLOAD, NAMESPACE)
    assert openssh_accepts(tmp_path, signature, key)
    assert verify(signature, PAYLOAD, NAMESPACE) == key


def test_a_signature_by_another_key_is_not_given_out(tmp_path: Path, keys: dict[str, Path]) -> None:
    """What was signed is verified before it is used."""
    with pytest.raises(RepositoryError, match="is not valid under SHA256:") as caught:
        Signer(public_of(keys["ecdsa256"]), keys["ed25519"], ENVIRONMENT).sign(PAYLOAD, NAMESPACE)
    assert caught.value.hint == f"ssh-keygen -l -f {keys['ed25519']}, to compare; a token must be touched"


def failure(key_file: Path, key: str, environment: Mapping[str, str] = ENVIRONMENT) -> RepositoryError:
    """Return the error of a signer that cannot sign."""
    with pytest.raises(RepositoryError) as caught:
        Signer(key, key_file, environment).sign(PAYLOAD, NAMESPACE)
    assert caught.value.code == "signingFailed"
    assert "\n" not in caught.value.message
    return caught.value


def test_errors_of_ssh_keygen_become_one_line_and_a_hint(tmp_path: Path) -> None:
    """Passphrase, permissions, a lost private half and files that are no keys each say what to do."""
    locked = make_key(tmp_path / "locked", "-t", "ed25519", passphrase="secret")
    key = public_of(locked)
    for half in (locked, locked.with_suffix(".pub")):
        error = failure(half, key)
        assert error.message == f"cannot sign with {half}: its passphrase was not given or is wrong"
        assert error.hint == f"ssh-add {locked}"

    lone = tmp_path / "lone.pub"
    lone.write_text(f"{key}\n")
    error = failure(lone, key)
    assert error.message == f"cannot sign with {lone}: its private half is neither beside it nor in the agent"
    assert error.hint == "ssh-add FILE"

    locked.chmod(0o644)
    error = failure(locked, key)
    assert error.message == f"cannot sign with {locked}: others may read it"
    assert error.hint == f"chmod 600 {locked}"

    error = failure(tmp_path / "absent", key)
    assert error.message == f"cannot sign with {tmp_path / 'absent'}: its public half is not beside it"


def test_what_is_not_known_of_ssh_keygen_is_passed_on(tmp_path: Path) -> None:
    """The last line that it printed is the reason; with none there is a line all the same."""
    for script, reason in (("echo one >&2; echo two >&2", "two"), ("true", "ssh-keygen did not sign")):
        folder = fake_openssh(tmp_path / reason.replace(" ", "-"), ssh_keygen=f"{script}; exit 1")
        error = failure(tmp_path / "id", "ssh-ed25519 AAAA", {"PATH": str(folder)})
        assert error.message == f"cannot sign with {tmp_path / 'id'}: {reason}"


def test_a_passphrase_is_asked_on_the_terminal(tmp_path: Path) -> None:
    """An encrypted key works at a terminal, on a desktop without a passphrase dialog too."""
    locked = make_key(tmp_path / "locked", "-t", "ed25519", passphrase="secret")
    program = (
        "import fcntl, sys, termios; from pathlib import Path; from maa_gitops.signing import Signer\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "signer = Signer(sys.argv[1], Path(sys.argv[2]), {'PATH': sys.argv[3], 'DISPLAY': ':99'})\n"
        f"print(signer.sign({PAYLOAD!r}, {NAMESPACE!r}), end='')\n"
    )
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program, public_of(locked), locked, ENVIRONMENT["PATH"]],
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        start_new_session=True,
    ) as process:
        os.close(end)
        asked = b""
        while b"passphrase" not in asked:
            asked += os.read(terminal, 100)
        os.write(terminal, b"secret\n")
        signature, complaint = process.communicate()
    os.close(terminal)
    assert complaint == b""
    assert verify(signature.decode(), PAYLOAD, NAMESPACE) == public_of(locked)


def test_a_token_may_speak_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The prompt to touch a token is not held back, so its errors show as they are."""
    key, _ = token(SK_TYPES[0])
    folder = fake_openssh(tmp_path, ssh_keygen="echo Confirm user presence >&2; exit 1")
    error = failure(tmp_path / "id", key, {"PATH": str(folder)})
    assert error.message.endswith("ssh-keygen did not sign")
    assert capfd.readouterr().err == "Confirm user presence\n"


def fake_openssh(folder: Path, *, ssh_keygen: str = "exit 0", ssh: str | None = None) -> Path:
    """Make a folder with programs that stand for OpenSSH's."""
    folder.mkdir(exist_ok=True)
    for name, script in (("ssh-keygen", ssh_keygen), ("ssh", ssh)):
        if script is not None:
            folder.joinpath(name).write_text(f"#!/bin/sh\n{script}\n")
            folder.joinpath(name).chmod(0o755)
    return folder


def test_a_missing_ssh_keygen_says_what_to_install(tmp_path: Path) -> None:
    """Without OpenSSH there is one line and a hint."""
    with pytest.raises(RepositoryError) as caught:
        Signer("ssh-ed25519 AAAA", tmp_path, {"PATH": str(tmp_path)}).sign(PAYLOAD, NAMESPACE)
    assert (caught.value.message, caught.value.hint) == (
        "ssh-keygen is not installed",
        "install OpenSSH 8.2 or later",
    )


@pytest.mark.parametrize(
    ("banner", "too_old"),
    [
        ("OpenSSH_8.1p1, LibreSSL 2.7.3", True),
        ("OpenSSH_7.9p1 Debian-10", True),
        ("OpenSSH_for_Windows_8.1p1, LibreSSL 3.0.2", True),
        ("OpenSSH_8.2p1 Ubuntu-4ubuntu0.11", False),
        ("OpenSSH_10.0p2 Debian-7", False),
        ("dropbear", False),
    ],
)
def test_an_old_openssh_is_refused_by_its_version(tmp_path: Path, banner: str, *, too_old: bool) -> None:
    """From 8.2 on it can sign; a version that cannot be told is tried."""
    folder = fake_openssh(tmp_path, ssh_keygen="echo tried >&2; exit 1", ssh=f"echo '{banner}' >&2")
    with pytest.raises(RepositoryError, match="is too old to sign with" if too_old else "tried"):
        Signer("ssh-ed25519 AAAA", tmp_path, {"PATH": str(folder)}).sign(PAYLOAD, NAMESPACE)


def test_d10_a_program_of_the_repository_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative folders of the search path are passed over."""
    fake_openssh(tmp_path / "bin", ssh_keygen="echo evil >&2; exit 1")
    monkeypatch.chdir(tmp_path / "bin")
    for search_path in ("../bin", ".", ":", ""):
        with pytest.raises(RepositoryError, match="ssh-keygen is not installed"):
            Signer("ssh-ed25519 AAAA", tmp_path, {"PATH": search_path}).sign(PAYLOAD, NAMESPACE)


# --- choosing the key


def chosen(key_sources: KeySources, held: frozenset[str] | None = frozenset()) -> str:
    """Return the key that the sources give, after it has signed."""
    with signing_key(key_sources, held=held) as signer:
        assert verify(signer.sign(PAYLOAD, NAMESPACE), PAYLOAD, NAMESPACE) == signer.public_key
        return signer.public_key


def refusal(key_sources: KeySources, held: frozenset[str] | None = frozenset()) -> RepositoryError:
    """Return the error when the sources give no key."""
    with pytest.raises(RepositoryError) as caught, signing_key(key_sources, held=held):
        pass
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("suffix", ["", ".pub"])
def test_the_option_names_either_half(keys: dict[str, Path], home: Path, suffix: str) -> None:
    """``--key`` takes a private file or the public one beside it, held by an account or not."""
    assert chosen(sources(home, option=f"{keys['ecdsa384']}{suffix}")) == public_of(keys["ecdsa384"])


def test_the_first_source_counts(keys: dict[str, Path], home: Path) -> None:
    """The option goes before the text, the text before git's setting, that before what is at hand."""
    make_key(home / ".ssh" / "id_ed25519", "-t", "ed25519")
    option, text, configured = str(keys["ed25519"]), keys["ecdsa256"].read_text(), str(keys["ecdsa384"])
    assert chosen(sources(home, option=option, text=text, configured=configured)) == public_of(keys["ed25519"])
    assert chosen(sources(home, text=text, configured=configured)) == public_of(keys["ecdsa256"])
    assert chosen(sources(home, configured=configured)) == public_of(keys["ecdsa384"])
    assert chosen(sources(home, configured=""), None) == public_of(home / ".ssh" / "id_ed25519")


def test_a_private_file_needs_no_public_one(keys: dict[str, Path], tmp_path: Path, home: Path) -> None:
    """The public half is derived."""
    lone = tmp_path / "lone"
    lone.touch(mode=0o600)
    lone.write_bytes(keys["ed25519"].read_bytes())
    assert chosen(sources(home, option=str(lone))) == public_of(keys["ed25519"])


def test_a_public_file_of_another_key_is_found_out(keys: dict[str, Path], tmp_path: Path, home: Path) -> None:
    """A stale public half beside a private file ends in an error, never in a signature under another name."""
    private = make_key(tmp_path / "id", "-t", "ed25519")
    tmp_path.joinpath("id.pub").write_text(public_of(keys["ed25519"]) + "\n")
    with signing_key(sources(home, option=str(private)), held=None) as signer:
        assert signer.public_key == public_of(keys["ed25519"])
        with pytest.raises(RepositoryError, match="another one's") as caught:
            signer.sign(PAYLOAD, NAMESPACE)
    assert caught.value.hint == f"ssh-keygen -y -f {private} > {private}.pub"


def test_files_that_are_no_keys_are_refused(tmp_path: Path, home: Path) -> None:
    """A missing file, a folder, other text and a weak key are told from each other."""
    readme = tmp_path / "README.md"
    readme.write_text("# Contoso\n")
    weak = make_key(tmp_path / "weak", "-t", "rsa", "-b", "2048")
    broken = tmp_path / "broken"
    broken.touch(mode=0o600)
    broken.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    expected = {
        tmp_path / "absent": f"cannot read {tmp_path / 'absent'}: No such file or directory",
        tmp_path: f"cannot read {tmp_path}: Is a directory",
        readme: f"cannot sign with {readme}: not an OpenSSH public key line; expected: type, base64, comment",
        weak: f"cannot sign with {weak}: RSA key of 2048 bits; at least 3072 are needed",
        broken: f"cannot sign with {broken}: it is not a private key",
    }
    assert {path: refusal(sources(home, option=str(path))).message for path in expected} == expected


@pytest.mark.parametrize("form", ["{}", "{}\n\n", "\n{}"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_text_of_a_private_key_signs(keys: dict[str, Path], home: Path, form: str, line_end: str) -> None:
    """What a store of secrets does to line ends does no harm."""
    text = form.format(keys["ed25519"].read_text().strip()).replace("\n", line_end)
    assert chosen(sources(home, text=text)) == public_of(keys["ed25519"])


def test_the_text_may_be_in_pem(tmp_path: Path, home: Path) -> None:
    """The older form of private keys does not hold the public half; it is derived."""
    private = make_key(tmp_path / "pem", "-t", "ecdsa", "-m", "PEM")
    assert private.read_text().startswith("-----BEGIN EC PRIVATE KEY-----")
    assert chosen(sources(home, text=private.read_text())) == public_of(private)


def test_the_text_is_on_disk_only_while_needed(keys: dict[str, Path], home: Path) -> None:
    """A file that only its owner can read, gone afterwards, after a failure too."""
    given = sources(home, text=keys["ed25519"].read_text())
    context = signing_key(given, held=None)
    path = context.__enter__().key_file
    modes = path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777
    assert modes == (0o600, 0o700)
    assert not context.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not path.parent.exists()


@pytest.mark.parametrize("text", ["", "hello", "\udcff", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----"])
def test_a_text_that_is_no_private_key_is_refused(home: Path, text: str) -> None:
    """No other source steps in, and the text is not shown."""
    make_key(home / ".ssh" / "id_ed25519", "-t", "ed25519")
    error = refusal(sources(home, text=text), None)
    assert error.message == "cannot sign with MAA_SIGNING_KEY: it is not a private key"
    assert error.hint == "set it to the text of a private key without a passphrase"


def test_a_text_with_a_passphrase_is_refused(tmp_path: Path, home: Path) -> None:
    """Nobody is there to type it."""
    locked = make_key(tmp_path / "locked", "-t", "ed25519", passphrase="secret")
    error = refusal(sources(home, text=locked.read_text()))
    assert error.message == "cannot sign with MAA_SIGNING_KEY: its passphrase was not given or is wrong"


def test_secrets_are_not_in_the_representation(home: Path) -> None:
    """A key's text and the environment cannot get into a traceback."""
    assert "hunter2" not in repr(sources(home, text="hunter2", environment={"TOKEN": "hunter2"}))
    assert "hunter2" not in repr(Signer("ssh-ed25519 AAAA", home, {"TOKEN": "hunter2"}))


def test_git_may_name_a_file_in_the_home(home: Path) -> None:
    """``~`` is the home that was given."""
    private = make_key(home / ".ssh" / "work", "-t", "ed25519")
    assert chosen(sources(home, configured="~/.ssh/work")) == public_of(private)
    assert chosen(sources(home, configured="~/.ssh/work.pub")) == public_of(private)


def test_git_may_name_a_key_in_the_agent(agent: dict[str, str], keys: dict[str, Path], home: Path) -> None:
    """A literal key, as git writes it, is signed with by the agent."""
    for name in ("ed25519", "ecdsa521", "rsa3072"):
        run("ssh-add", keys[name], environment=agent)
    for literal in (
        f"key::{public_of(keys['ecdsa521'])}",
        f"key::{public_of(keys['ecdsa521'])} laptop",
        f"{public_of(keys['ecdsa521'])} laptop",
    ):
        assert chosen(sources(home, configured=literal, environment=agent)) == public_of(keys["ecdsa521"])
    assert chosen(sources(home, configured=public_of(keys["rsa3072"]), environment=agent)).startswith("ssh-rsa ")


def test_a_literal_key_must_be_in_the_agent(agent: dict[str, str], keys: dict[str, Path], home: Path) -> None:
    """A key that the agent does not hold, or no agent at all, says so."""
    literal = public_of(keys["ed25519"])
    message = f"user.signingkey is {fingerprint(literal)}, which is not in the SSH agent"
    for environment in (agent, ENVIRONMENT, ENVIRONMENT | {"SSH_AUTH_SOCK": str(home / "none")}):
        assert refusal(sources(home, configured=literal, environment=environment)).message == message


@pytest.mark.parametrize("literal", ["key::", "key::nonsense", "ssh-ed25519", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB"])
def test_a_broken_literal_key_is_refused(home: Path, literal: str) -> None:
    """What git would take for a literal key is never looked for as a file."""
    assert refusal(sources(home, configured=literal)).message.startswith("cannot sign with user.signingkey: ")


def test_a_public_file_finds_its_private_half_in_the_agent(
    agent: dict[str, str], keys: dict[str, Path], tmp_path: Path, home: Path
) -> None:
    """The file is all that is on disk, as with a forwarded agent."""
    run("ssh-add", keys["ed25519"], environment=agent)
    public = tmp_path / "forwarded.pub"
    public.write_text(public_of(keys["ed25519"]) + " laptop\n")
    assert chosen(sources(home, option=str(public), environment=agent)) == public_of(keys["ed25519"])


def test_an_agent_may_refuse(agent: dict[str, str], keys: dict[str, Path], home: Path) -> None:
    """A key that must be confirmed, and is not, signs nothing."""
    run("ssh-add", "-c", keys["ed25519"], environment=agent)
    given = sources(home, configured=public_of(keys["ed25519"]), environment=agent)
    with signing_key(given, held=None) as signer, pytest.raises(RepositoryError, match="the agent refused") as caught:
        signer.sign(PAYLOAD, NAMESPACE)
    assert caught.value.hint == "unlock the agent, or confirm when it asks"


def test_the_only_key_that_an_account_holds_is_taken(agent: dict[str, str], keys: dict[str, Path], home: Path) -> None:
    """Out of the agent and the folder, whatever else is there."""
    run("ssh-add", keys["ed25519"], keys["ecdsa256"], environment=agent)
    on_disk = make_key(home / ".ssh" / "id_ecdsa", "-t", "ecdsa")
    given = sources(home, environment=agent)
    assert chosen(given, frozenset([public_of(keys["ed25519"]), "ssh-ed25519 AAAA"])) == public_of(keys["ed25519"])
    assert chosen(given, frozenset([public_of(on_disk)])) == public_of(on_disk)


def test_a_key_in_the_agent_and_on_disk_is_one(agent: dict[str, str], home: Path) -> None:
    """The usual set-up: the file is loaded into the agent."""
    on_disk = make_key(home / ".ssh" / "id_ed25519", "-t", "ed25519")
    run("ssh-add", on_disk, environment=agent)
    assert chosen(sources(home, environment=agent), None) == public_of(on_disk)


def test_none_or_several_keys_ask_for_one(agent: dict[str, str], keys: dict[str, Path], home: Path) -> None:
    """The message lists what was found; the hint says how to name one."""
    run("ssh-add", keys["ed25519"], environment=agent)
    on_disk = make_key(home / ".ssh" / "id_ecdsa", "-t", "ecdsa")
    held = frozenset([public_of(keys["ed25519"]), public_of(on_disk)])
    several = refusal(sources(home, environment=agent), held)
    assert several.hint == "maa --key FILE …, or: git config user.signingkey FILE"
    found = {
        f"{fingerprint(public_of(keys['ed25519']))} (agent)",
        f"{fingerprint(public_of(on_disk))} ({on_disk})",
    }
    start, _, listed = several.message.partition(", found ")
    assert (start, set(listed.split(", "))) == (
        f"expected one SSH key that an account holds in the agent or in {home / '.ssh'}",
        found,
    )
    assert refusal(sources(home, environment=agent), None).message.startswith("expected one SSH key in the agent")
    assert refusal(sources(home, environment=agent)).message.endswith(", found none")
    assert refusal(sources(home / "none")).message.endswith(", found none")


def test_files_that_cannot_sign_are_passed_over(keys: dict[str, Path], home: Path) -> None:
    """A public key without its private half, other text, a folder and a weak key do not disturb the choice."""
    folder = home / ".ssh"
    good = make_key(folder / "id_ed25519", "-t", "ed25519")
    folder.joinpath("lone.pub").write_text(public_of(keys["ecdsa256"]) + "\n")
    make_key(folder / "weak", "-t", "rsa", "-b", "2048")
    folder.joinpath("notes").touch()
    folder.joinpath("notes.pub").write_bytes(b"\xff\xfe")
    folder.joinpath("dir").touch()
    folder.joinpath("dir.pub").mkdir()
    assert chosen(sources(home), None) == public_of(good)


def test_without_ssh_add_the_agent_is_passed_over(tmp_path: Path, home: Path) -> None:
    """An installation that lacks the program has no keys to offer from the agent."""
    folder = fake_openssh(tmp_path / "bin")
    environment = {"PATH": str(folder), "SSH_AUTH_SOCK": str(tmp_path / "socket")}
    assert refusal(sources(home, environment=environment), None).message.endswith(", found none")
