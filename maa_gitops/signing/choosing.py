"""Which key to sign with: as named, as git is configured, or the only one at hand that an account holds."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from maa_gitops.errors import RepositoryError
from maa_gitops.signing.keys import canonical_key, fingerprint, key_problem
from maa_gitops.signing.making import CHOOSE_KEY, Signer, answer, find_ssh_keygen, read_file, ssh_keygen

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


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
    text = read_file(path)
    if _PRIVATE_KEY.match(text):
        public = path.with_name(path.name + ".pub")
        text = read_file(public) if public.exists() else ssh_keygen(["-y", "-f", str(path)], str(path), environment)
    return Signer(_usable(text, str(path)), path, environment)


def _from_text(text: str, environment: Mapping[str, str], folder: Path) -> Signer:
    path = folder / "key"
    path.touch(mode=0o600)
    # Stores of secrets drop the last line feed or add carriage returns; OpenSSH wants neither.
    path.write_text("\n".join(text.strip().splitlines()) + "\n", encoding="utf-8", errors="replace")
    hint = "set it to the text of a private key without a passphrase"
    public = ssh_keygen(["-y", "-f", str(path)], "MAA_SIGNING_KEY", environment, hint=hint)
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
        hint=CHOOSE_KEY,
        code="noSigningKey",
    )


def _keys_in_agent(environment: Mapping[str, str]) -> list[str]:
    if not environment.get("SSH_AUTH_SOCK"):
        return []
    program = find_ssh_keygen(environment.get("PATH", os.defpath))
    lines = answer(program, "ssh-add", "-L", environment).splitlines()
    return [key for key in map(canonical_key, lines) if key is not None]


def _keys_in_folder(folder: Path) -> dict[str, Path]:
    """Find the keys whose two halves lie beside each other; what cannot be read is passed over."""
    found = {}
    for public in sorted(folder.glob("*.pub")):
        private = public.with_suffix("")
        if private.is_file():
            with suppress(RepositoryError):
                found[_usable(read_file(public), str(public))] = private
    return found


def _usable(text: str, name: str) -> str:
    """Return the canonical key of the first line of a public key's file."""
    line = text.strip().partition("\n")[0].strip()
    key = canonical_key(line)
    if key is None:
        raise RepositoryError(f"cannot sign with {name}: {key_problem(line)}", hint=CHOOSE_KEY, code="noSigningKey")
    return key


def _public_file(key: str, folder: Path) -> Path:
    """Write a public key where ssh-keygen can read it; the private half is the agent's."""
    path = folder / "key.pub"
    path.write_text(key + "\n", encoding="utf-8")
    return path


def _expanded(name: str, home: Path) -> Path:
    return home / name[2:] if name.startswith("~/") else Path(name)
