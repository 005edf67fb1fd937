"""One run of the command line: its options, the clock and the environment, and how results are put out.

The only place that reads the clock, the environment and the terminal.
"""

import json
import os
import sys
from codecs import lookup
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maa_gitops.errors import NotAllowedError
from maa_gitops.render.escape import safe, safe_json, safe_line

if TYPE_CHECKING:
    from rich.console import Console

    from maa_gitops.git import Repository
    from maa_gitops.model import Account, Tenant
    from maa_gitops.signing import KeySources
    from maa_gitops.workflow.acts import Actor
    from maa_gitops.workflow.clone import Clone

_SSH_BEGINNINGS = ("ssh-", "sk-", "ecdsa-", "key::", "~", "/", ".")


def json_text(plain: Mapping[str, object]) -> str:
    """Plain data as JSON; on an output that is not UTF-8 in letters that every encoding has."""
    is_utf8 = lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    return safe_json(json.dumps(plain, indent=2, ensure_ascii=not is_utf8, default=str))


@dataclass
class Invocation:
    """The options that every command has, and what follows from them."""

    directory: Path = field(default_factory=Path)
    format: str = "text"
    key: str | None = None
    fetch: bool = True
    yes: bool = False

    @property
    def environment(self) -> Mapping[str, str]:
        """The process's environment."""
        return os.environ

    @property
    def wants_json(self) -> bool:
        """Whether the answer is one JSON document."""
        return self.format == "json"

    @property
    def asks(self) -> bool:
        """Whether there is a person at a terminal to ask."""
        return not self.yes and not self.wants_json and sys.stdin.isatty() and sys.stderr.isatty()

    def now(self) -> datetime:
        """The clock of this machine, in whole seconds."""
        return datetime.now(UTC).replace(microsecond=0)

    @cached_property
    def repository(self) -> "Repository":
        """The git repository that the command works on."""
        from maa_gitops.git import Repository

        return Repository.open(self.directory, self.environment)

    def open_clone(self) -> "Clone":
        """Fetch, judge what is new on the protected branch, and give the clone as it is now."""
        from maa_gitops.workflow.clone import open_clone

        with self.progress("judging history") as progress:
            return open_clone(self.repository, self.now(), fetch=self.fetch, progress=progress)

    # Who runs this

    def key_sources(self) -> "KeySources":
        """Where the key to sign with may come from."""
        from maa_gitops.signing import KeySources

        configured = self.repository.config("user.signingkey") or ""
        is_ssh = self.repository.config("gpg.format") == "ssh" or configured.startswith(_SSH_BEGINNINGS)
        return KeySources(
            option=self.key,
            text=self.environment.get("MAA_SIGNING_KEY") or None,
            configured=configured if configured and is_ssh else None,
            home=Path(self.environment.get("HOME") or Path.home()),
            environment=self.environment,
        )

    @contextmanager
    def actor(self, tenant: "Tenant") -> "Iterator[Actor]":
        """Give the caller as somebody who can sign.

        Raises:
            NotAllowedError: ``unknownSigner``, no account holds the caller's key.
            RepositoryError: there is no key to be found, or several.
        """
        from maa_gitops.signing import fingerprint, signing_key
        from maa_gitops.workflow.acts import Actor

        held = {key for account in tenant.accounts.values() if account.enabled for key in account.signing_keys}
        with signing_key(self.key_sources(), held=held) as signer:
            name = tenant.holder(signer.public_key)
            if name is None:
                raise NotAllowedError(
                    f"no account holds your key {fingerprint(signer.public_key)}",
                    hint="maa --key FILE COMMAND; or have the key added to your file in accounts/",
                    code="unknownSigner",
                )
            yield Actor(tenant.accounts[name], signer.public_key, signer.sign, self.repository.identity())

    def viewer(self, tenant: "Tenant") -> "Account | None":
        """Guess who looks: by key if one is at hand, else by git's e-mail address. For display only."""
        from maa_gitops.errors import MaaError
        from maa_gitops.signing import signing_key

        held = {key for account in tenant.accounts.values() for key in account.signing_keys}
        try:
            with signing_key(self.key_sources(), held=held) as signer:
                name = tenant.holder(signer.public_key)
        except MaaError:
            name = None
        if name is not None:
            return tenant.accounts[name]
        address = (self.repository.config("user.email") or "").casefold()
        owners = [a for a in tenant.accounts.values() if address in (known.casefold() for known in a.addresses)]
        return owners[0] if address and owners else None

    # Results and messages

    @cached_property
    def console(self) -> "Console":
        """Where results go: colours and tables on a terminal, plain text elsewhere."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), emoji=False, markup=False)

    def emit(self, plain: Mapping[str, object], text: Callable[[], None]) -> None:
        """Put out the answer: one JSON document, or the text that ``text`` writes."""
        if self.wants_json:
            click.echo(json_text(plain))
        else:
            text()

    def say(self, line: str = "", *, colour: str | None = None, bold: bool = False) -> None:
        """A line of the answer, in text; colours are left out where nobody sees them."""
        click.echo(click.style(safe(line), fg=colour, bold=bold or None))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows as a table on a terminal, tab-separated lines without heads elsewhere."""
        cells = [[safe_line(cell) for cell in row] for row in rows]
        if not sys.stdout.isatty():
            for row in cells:
                click.echo("\t".join(row))
            return
        from rich.table import Table

        table = Table(*heads, box=None, pad_edge=False, header_style="bold")
        for row in cells:
            table.add_row(*row)
        self.console.print(table)

    def note(self, line: str) -> None:
        """A message beside the answer: to standard error."""
        click.echo(safe_line(line), err=True)

    def confirm(self, question: str) -> None:
        """Ask before something that others see; without a terminal or with ``-y`` the answer is yes.

        Raises:
            NotAllowedError: ``declined``.
        """
        if self.asks and not click.confirm(safe_line(question), err=True):
            raise NotAllowedError("nothing was done", code="declined")

    @contextmanager
    def progress(self, what: str) -> "Iterator[Callable[[int, int], None]]":
        """Show how far long work is, on standard error if that is a terminal, once it has taken a while."""
        if self.wants_json or not sys.stderr.isatty():
            yield lambda _done, _all: None
            return
        from maa_gitops.cli.progress import Bar

        bar = Bar(what)
        try:
            yield bar.show
        finally:
            bar.end()
