"""The command that prints the log, as text, JSON or CSV; what is in the log is said in ``audit``."""

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING

import click

from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.model import timestamp
from maa_gitops.render.escape import safe_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maa_gitops.audit import Log, LogEntry

COLUMNS = ("at", "account", "action", "request", "objects", "verified", "reason", "commit", "detail")
"""The fields of a row, in JSON and as the header of CSV."""

_HEADS = ("At", "Account", "Action", "Request", "Objects", "Verified", "Commit", "Detail")
_FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula. Source: OWASP, CSV Injection."""


def _moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """Read a day, which begins at midnight UTC, or a moment as records write it."""
    from maa_gitops.record import parse_moment

    if value is None:
        return None
    try:
        return parse_moment(value if "T" in value else f"{value}T00:00:00Z")
    except ValueError as error:
        raise click.BadParameter(f"'{value}' is neither YYYY-MM-DD nor YYYY-MM-DDTHH:MM:SSZ") from error


@click.command(epilog="Example:  maa audit --since 2026-11-01 --object 'app/*' --format csv")
@click.option("--since", metavar="TIME", callback=_moment, help="From this day (YYYY-MM-DD) or moment on, in UTC.")
@click.option("--account", metavar="NAME", help="Only what this account did.")
@click.option("--object", "governed", metavar="OBJECT", help="Only what concerns this object; * stands for anything.")
@common_options
@click.pass_obj
def audit(invocation: Invocation, since: datetime | None, account: str | None, governed: str | None) -> None:
    """Print the log: who did what when, from records and receipts, each row verified or marked.

    History is judged from the trusted start, so that what was pushed around the gate is in the log too. Rows that are
    not verified stay in whatever --since says: nothing vouches for their time.
    """
    from maa_gitops.audit import selected
    from maa_gitops.render.plain import document

    log = _read_log(invocation)
    entries = selected(log.entries, since=since, account=account, governed=governed)
    for warning in log.warnings:
        invocation.note(f"warning: {warning}")

    def text() -> None:
        if entries:
            invocation.table(_HEADS, [_row(entry) for entry in entries])
        else:
            invocation.note("no entries")

    if invocation.format == "csv":
        click.echo(csv_text(entries), nl=False)
    else:
        invocation.emit(document(entries=[_plain(entry) for entry in entries]), text)


def _accept_csv() -> None:
    """Let the option that all commands have take the format that only this one has."""
    for parameter in audit.params:
        if isinstance(parameter, click.Option) and parameter.name == "format":
            parameter.type = click.Choice(["text", "json", "csv"])
            parameter.help = "Text for people (the default), one JSON document, or CSV for a spreadsheet."


_accept_csv()


def _read_log(invocation: Invocation) -> "Log":
    """Judge all of history, and read the records, the receipts and the change branches with it."""
    from maa_gitops.apply import Context
    from maa_gitops.audit import audit as write_log
    from maa_gitops.workflow.clone import Clone, protected_branch
    from maa_gitops.workflow.requests import request_id
    from maa_gitops.workflow.verifying import verify_history

    repository, now = invocation.repository, invocation.now()
    with invocation.progress("judging history") as progress:
        history = verify_history(repository, now, fetch=invocation.fetch, progress=progress)
    clone = Clone(repository, protected_branch(repository), repository.remote() is not None, history, now)
    heads: dict[str, list[str]] = {}
    for branch, head in sorted(clone.change_branches().items()):
        heads.setdefault(request_id(branch), []).append(head)
    return write_log(Context(repository, history, history.start, clone.has_remote, now), heads)


def _plain(entry: "LogEntry") -> dict[str, object]:
    """A row by its columns."""
    values = (getattr(entry, name) for name in COLUMNS)
    return {**dict(zip(COLUMNS, values, strict=True)), "at": timestamp(entry.at), "objects": list(entry.objects)}


def _row(entry: "LogEntry") -> tuple[str, ...]:
    """A row of the table."""
    return (
        timestamp(entry.at),
        entry.account or "-",
        entry.action or "-",
        entry.request or "-",
        " ".join(entry.objects) or "-",
        "verified" if entry.verified else entry.reason or "not verified",
        entry.commit[:12] if entry.commit is not None else "-",
        entry.detail or "",
    )


def csv_text(entries: "Iterable[LogEntry]") -> str:
    """The rows as a table of RFC 4180, with a header."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for entry in entries:
        plain = {**_plain(entry), "objects": " ".join(entry.objects), "verified": str(entry.verified).lower()}
        writer.writerow([_cell(value) for value in plain.values()])
    return written.getvalue()


def _cell(value: object) -> str:
    """A value as a cell that no spreadsheet computes and that cannot turn the line around."""
    text = str(value) if value is not None else ""
    return ("'" if text.startswith(_FORMULA_BEGINNINGS) else "") + safe_line(text)
