"""The command import, and what it shares with drift: saying what becomes of objects that were found."""

import shlex
from collections import Counter
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.cli.targets import chosen_targets, context_of, provider_of
from maa_gitops.render.escape import safe_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from maa_gitops.importing import Ground, LeftOut, Plan, Settled, Source
    from maa_gitops.model import Target
    from maa_gitops.workflow.clone import Clone

_SHOWN = 5
_LONGEST = 120
_REASONS = 40


@click.command("import", epilog="Example:  maa import --dry-run")
@click.argument("folder", metavar="[FOLDER]", required=False, type=click.Path(path_type=Path))
@click.option("--target", metavar="T", help="The target to read, or that the backup is of; else the only graph target.")
@click.option("--branch", metavar="NAME", help="The change branch to write on; else the current one, or a new one.")
@click.option("--only", multiple=True, metavar="TYPE", help="Only objects of this profile type; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@common_options
@click.pass_obj
def import_(
    invocation: Invocation,
    folder: Path | None,
    target: str | None,
    branch: str | None,
    only: tuple[str, ...],
    *,
    dry_run: bool,
) -> None:
    """Make resources of what a target holds, or of a backup in FOLDER, on a change branch to submit.

    FOLDER is a backup of IntuneCD or an export of IntuneManagement. Each resource adopts the object that it was made
    of, so that applying it changes nothing. What is a resource already is not touched, and nothing is committed.
    """
    from maa_gitops.importing import carry_out, ground_of, plan

    place = invocation.directory / folder if folder is not None else None
    if place is not None and not place.is_dir():
        raise click.UsageError(f"there is no folder {folder}")
    clone = invocation.open_clone()
    _refuse_unknown(clone, only)
    with _source(invocation, clone, place, _target(clone, target)) as source:
        ground = ground_of(clone, branch, f"import-{source.target or 'backup'}")
        with invocation.progress("importing") as progress:
            planned = plan(ground, source, only, progress)
    if not dry_run:
        carry_out(ground, planned)
    put_out_plan(invocation, ground, planned, source.name, is_done=not dry_run)


def _refuse_unknown(clone: "Clone", only: "Sequence[str]") -> None:
    known = [profile_type.name for profile_type in clone.tenant.settings.profile_types]
    unknown = next((name for name in only if name not in known), None)
    if unknown is not None:
        raise click.UsageError(f"there is no profile type '{unknown}'; there are: {', '.join(known)}")


def _target(clone: "Clone", name: str | None) -> "Target | None":
    """The target that is named, else the only graph target."""
    if name is not None:
        return chosen_targets(clone, name)[0]
    graph = [found for found in clone.tenant.settings.targets if found.provider == "graph"]
    return graph[0] if len(graph) == 1 else None


@contextmanager
def _source(invocation: Invocation, clone: "Clone", folder: Path | None, target: "Target | None") -> "Iterator[Source]":
    """Read what there is to import; a target stays open, since it is asked what it would make of resources."""
    from maa_gitops.importing import from_backup, from_target

    applied = _applied(clone, target) if target is not None else {}
    if folder is not None:
        yield from_backup(folder, clone.tenant.settings, target, applied)
        return
    if target is None:
        known = ", ".join(found.name for found in clone.tenant.settings.targets) or "none"
        raise click.UsageError(f"name the target to read with --target, or a folder; maa.yaml has: {known}")
    with invocation.progress(f"reading {target.name}") as progress, provider_of(clone, target, progress) as provider:
        yield from_target(target, provider, applied)


def _applied(clone: "Clone", target: "Target") -> "Mapping[str, str]":
    """The resources that the objects of a target were applied from, by remote id, as the receipts tell."""
    from maa_gitops.apply import applied

    return {found.remote_id: name for name, found in applied(context_of(clone), target.name).objects.items()}


# --- saying what becomes of what was found ---------------------------------------------------------------------------


def put_out_plan(invocation: Invocation, ground: "Ground", planned: "Plan", source: str, *, is_done: bool) -> None:
    """Put out a plan that was carried out, or would be."""
    from maa_gitops.render.plain import document

    def text() -> None:
        say_plan(invocation, ground, planned, is_done=is_done)
        if is_done and planned.files:
            say_next(invocation, f"Import from {source}")

    say_warnings(invocation, planned)
    invocation.emit(document(**plan_plain(ground, planned)), text)


def say_warnings(invocation: Invocation, planned: "Plan") -> None:
    """Say, beside the answer, what whoever goes on has to know."""
    for warning in planned.warnings if planned.files else ():
        invocation.note(f"warning: {warning}")


def plan_plain(ground: "Ground", planned: "Plan") -> dict[str, object]:
    """A plan as plain data."""
    left_out = [{"origin": one.origin, "name": one.name, "why": one.why} for one in planned.left_out]
    return {
        "branch": ground.branch,
        **{name: [_settled_plain(one) for one in settled] for name, settled in _parts(planned).items()},
        "leftOut": left_out,
        "notes": list(planned.notes),
    }


def _parts(planned: "Plan") -> "Mapping[str, Sequence[Settled]]":
    return {
        "written": planned.written,
        "rewritten": planned.rewritten,
        "deleted": planned.deleted,
        "unchanged": planned.unchanged,
    }


def _settled_plain(one: "Settled") -> dict[str, object]:
    return {"object": str(one.governed), "path": one.path, "remoteId": one.remote_id}


def say_plan(invocation: Invocation, ground: "Ground", planned: "Plan", *, is_done: bool) -> None:
    """Say a plan: how many resources of each type, what stays out and why, what is to be known."""
    if planned.files:
        invocation.say(f"{'on' if is_done else 'would be on'} {ground.branch}:")
    else:
        invocation.say("nothing new")
    for word, settled in _parts(planned).items():
        for profile_type, number in sorted(Counter(one.governed.type for one in settled).items()):
            invocation.say(f"  {word} {number} {profile_type}")
    if planned.left_out:
        invocation.say(f"left out {len(planned.left_out)}:")
    by_reason = sorted(planned.left_out, key=lambda one: one.why)
    reasons = [(why, list(ones)) for why, ones in groupby(by_reason, key=lambda one: one.why)]
    for why, ones in reasons[:_REASONS]:
        _say_left_out(invocation, why, ones)
    if len(reasons) > _REASONS:
        invocation.say(f"  and {len(reasons) - _REASONS} more reasons (all of them with --format json)")
    for note in planned.notes:
        invocation.note(f"note: {note}")


def _say_left_out(invocation: Invocation, why: str, ones: "Sequence[LeftOut]") -> None:
    named = ", ".join(f"{_short(one.name) or 'without a name'} ({_short(one.origin)})" for one in ones[:_SHOWN])
    more = f" and {len(ones) - _SHOWN} more (all of them with --format json)" if len(ones) > _SHOWN else ""
    invocation.say(safe_line(f"  {named}{more}: {why}"))


def _short(text: str) -> str:
    """A text that somebody else chose, as long as a line can have it."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def say_next(invocation: Invocation, justification: str) -> None:
    """Say how the change goes on."""
    invocation.say("to ask for it:")
    invocation.say("  maa validate")
    invocation.say(safe_line(f"  maa submit -a -m {shlex.quote(justification)}"))
