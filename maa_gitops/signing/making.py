"""Making signatures with ``ssh-keygen``, so that agents, passphrases and tokens work as people know them."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from maa_gitops.errors import RepositoryError
from maa_gitops.signing.keys import fingerprint
from maa_gitops.signing.verifying import verify

CHOOSE_KEY = "maa --key FILE …, or: git config user.signingkey FILE"
"""What to do where the key is not the right one."""

_OLDEST_OPENSSH = (8, 2)


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
            ssh_keygen(arguments, str(self.key_file), self.environment, own_messages=self.public_key.startswith("sk-"))
            signature = read_file(Path(folder, "payload.sig"))
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


def ssh_keygen(
    arguments: list[str],
    name: str,
    environment: Mapping[str, str],
    *,
    own_messages: bool = False,
    hint: str | None = None,
) -> str:
    """Run ssh-keygen and return its output; ``name`` and ``hint`` are what an error says of the key."""
    done = subprocess.run(
        [find_ssh_keygen(environment.get("PATH", os.defpath)), *arguments],
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
        hint=hint or (usual_hint or CHOOSE_KEY).format(private=name.removesuffix(".pub")),
        code="signingFailed",
    )


@cache
def find_ssh_keygen(search_path: str) -> str:
    """Look ``ssh-keygen`` up in the absolute folders of a search path; a relative one may lie in a repository."""
    folders = [folder for folder in search_path.split(os.pathsep) if Path(folder).is_absolute()]
    program = shutil.which("ssh-keygen", path=os.pathsep.join(folders))
    if program is None:
        raise RepositoryError("ssh-keygen is not installed", hint="install OpenSSH 8.2 or later", code="noSshKeygen")
    # ssh-keygen has no option that tells its version.
    version = re.match(r"OpenSSH_\D*(\d+)\.(\d+)", answer(program, "ssh", "-V", {}))
    if version is not None and (int(version[1]), int(version[2])) < _OLDEST_OPENSSH:
        raise RepositoryError(
            f"OpenSSH {version[1]}.{version[2]} is too old to sign with",
            hint="install OpenSSH 8.2 or later",
            code="noSshKeygen",
        )
    return program


def answer(ssh_keygen: str, program: str, option: str, environment: Mapping[str, str]) -> str:
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


def read_file(path: Path) -> str:
    """Read a small text file; bytes outside UTF-8 are replaced.

    Raises:
        RepositoryError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise RepositoryError(f"cannot read {path}: {error.strerror}", hint=CHOOSE_KEY, code="noSigningKey") from error
