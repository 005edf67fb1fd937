"""The story: what maa does, for real, in a throw-away folder.

It types what people would type and holds what came of it to what it tells. It decides nothing and stays in its folder;
who calls it chooses the folder, prints the lines, and removes or keeps what is left.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maa_gitops.canonical import canonical_json, digest
from maa_gitops.errors import RepositoryError
from maa_gitops.record import NAMESPACE

_PEOPLE = {"alice": "Alice Nguyen", "bob": "Bob Okafor", "carol": "Carol Silva"}
_CLONE = "contoso"
_WIDEST = 130
_KEY = ".ssh/id_ed25519"
_FOREIGN = re.compile(r"GIT|SSH|MAA|GPG|GNUPG|XDG|EMAIL\Z")
"""Variables by which the caller's own keys, agent, settings or name could come into the story."""

_APP = "resources/apps/company-portal.yaml"
_COMPANY_PORTAL = """\
type: winGetApp
displayName: Company Portal
description: Where staff find their apps.
publisher: Microsoft Corporation
packageIdentifier: 9WZDNCRFJ3PZ
installExperience: {runAsAccount: system}
"""
_OFFERED = _COMPANY_PORTAL + "assignments: [{intent: available, target: {group: All Staff}}]\n"
_REQUIRED = _OFFERED.replace("available", "required")
_SWAPPED = _REQUIRED.replace("9WZDNCRFJ3PZ", "9NBLGGH4NNS1")
_TIME_ZONE = {
    "resources/scripts/set-time-zone.yaml": """\
type: deviceManagementScript
displayName: Set time zone
runAsAccount: system
scriptFile: set-time-zone.ps1
assignments: [{target: {group: All Staff}}]
""",
    "resources/scripts/set-time-zone.ps1": 'Set-TimeZone -Id "W. Europe Standard Time"\n',
}
_TIME_ZONE_BRANCH = "change/set-time-zone"


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where the story happens and how it is told."""

    folder: Path
    environment: Mapping[str, str]
    say: Callable[[str], None]
    programs: Mapping[str, tuple[str, ...]]


def tell(folder: Path, environment: Mapping[str, str], say: Callable[[str], None], maa: Sequence[str]) -> None:
    """Play the whole story in an empty folder, telling it line by line.

    ``maa`` is how a command line of its own begins. Nothing of the caller's set-up is used but the PATH.

    Raises:
        RepositoryError: ``demoFailed``, something did not happen as told; ``folderNotEmpty``.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise RepositoryError(f"{folder} is not empty", hint="name a new folder", code="folderNotEmpty")
    programs = {"maa": tuple(maa), **{name: (_found(name, environment),) for name in ("git", "ssh-keygen")}}
    (folder / "tmp").mkdir()
    kept = {name: value for name, value in environment.items() if not _FOREIGN.match(name)}
    fixed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "TMPDIR": str(folder / "tmp")}
    stage = _Stage(folder, {**kept, **fixed}, say, programs)
    _narrate(stage, f"Everything happens in {folder}: no key, setting or repository of yours is used.")
    for number, (title, scene) in enumerate(_SCENES, start=1):
        say("")
        say(f"{number}. {title}")
        scene(stage)
    _sum_up(stage)


# --- the scenes ------------------------------------------------------------------------------------------------------


def _found_tenant(stage: _Stage) -> None:
    _narrate(stage, "Alice, Bob and Carol each get a home and a new SSH key. A bare repository is the server.")
    for person in _PEOPLE:
        _settle(stage, person)
    _git(stage, "alice", "init", "--quiet", "--bare", "--initial-branch=main", "../server.git")
    _narrate(stage, "Alice makes the tenant repository. All three may approve: one another's changes, never their own.")
    _type_git(stage, "alice", "clone", "../server.git", _CLONE)
    keys = [word for name in _PEOPLE for word in ("--account", f"{name}=../../{name}/{_KEY}.pub")]
    _maa(stage, "alice", "init", "--tenant", "contoso", *keys, shows=("maa.yaml", "groups/", "policies/"))
    _type_git(stage, "alice", "push", "origin", "main")
    for person in ("bob", "carol"):
        _type_git(stage, person, "clone", "../server.git", _CLONE)


def _approve_and_apply(stage: _Stage) -> None:
    _narrate(stage, "Alice adds the Company Portal app on a branch, and asks for approval with a reason.")
    _start_branch(stage, "alice", "company-portal", {_APP: _COMPANY_PORTAL})
    reason = "Staff need a place to find their apps."
    _maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "create app/", "can approve:"))
    _narrate(stage, "She cannot approve it herself.")
    _maa(stage, "alice", "approve", "company-portal", exits=3, shows=("alice submitted this request", "hint:"))
    _narrate(stage, "Bob can. His decision is signed with his key, over a digest of exactly this change.")
    notes = "9WZDNCRFJ3PZ is the right package."
    _maa(
        stage, "bob", "approve", "company-portal", "-m", notes, shows=("Approved", "satisfied", "approve by Bob", notes)
    )
    _narrate(stage, "Alice completes it: what was signed is merged into main and applied to the local tenant.")
    _maa(stage, "alice", "complete", "company-portal", shows=("Completed", "Merged", "local: applied"))
    _expect(stage, "company-portal", status="completed", requestor="alice", approver="bob")
    _maa(stage, "alice", "tenant", shows=("Company Portal",))


def _lock_object(stage: _Stage) -> None:
    _narrate(stage, "Alice wants the app to be offered to all staff: only its assignments change.")
    _start_branch(stage, "alice", "offer-portal", {_APP: _OFFERED})
    reason = "Offer the portal to everybody."
    _maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "assign app/"))
    _narrate(stage, "Meanwhile Bob wants to change the same app. He is told who was first.")
    _start_branch(
        stage, "bob", "describe-portal", {_APP: _COMPANY_PORTAL.replace("Where staff", "The place where staff")}
    )
    _maa(stage, "bob", "submit", "-a", "-m", "A better description.", exits=3, shows=("'offer-portal' of alice",))


def _void_approval(stage: _Stage) -> None:
    _narrate(stage, "Bob approves Alice's request. After that, Alice makes the app required on every device.")
    _maa(stage, "bob", "approve", "offer-portal", shows=("Approved", "satisfied"))
    _type_git(stage, "alice", "pull", "origin", "change/offer-portal")
    _edit(stage, "alice", {_APP: _REQUIRED})
    _type_git(stage, "alice", "commit", "-a", "-m", "Make it required")
    _type_git(stage, "alice", "push", "origin", "change/offer-portal")
    _narrate(stage, "Bob approved something else. His approval is void, and nothing can be merged.")
    _maa(stage, "alice", "complete", "offer-portal", exits=3, shows=("not the one that was submitted",))
    _expect(stage, "offer-portal", reason="editedSinceSubmit", status="needsApproval")
    _narrate(stage, "She has to submit again. Carol looks at what would change now, and approves that.")
    _maa(stage, "alice", "submit", "-m", "Every device needs the portal.", shows=("Needs approval", "can approve:"))
    _expect(stage, "offer-portal", status="needsApproval", approver=None)
    _maa(stage, "carol", "diff", "offer-portal", shows=("+assignments",))
    _maa(stage, "carol", "approve", "offer-portal", shows=("Approved", "satisfied"))
    _maa(stage, "alice", "complete", "offer-portal", shows=("Completed", "local: applied"))


def _reject_with_notes(stage: _Stage) -> None:
    _narrate(stage, "Alice submits a PowerShell script that sets the time zone. Bob rejects it, and says why.")
    _start_branch(stage, "alice", "set-time-zone", _TIME_ZONE)
    reason = "Devices in Utrecht are an hour off."
    _maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "create script/"))
    notes = "London is in All Staff, too."
    _maa(stage, "bob", "reject", "set-time-zone", "-m", notes, shows=("Rejected", "reject by Bob", notes))
    _narrate(stage, "Alice reads why. Nothing but a new submit opens her request again.")
    _maa(stage, "alice", "show", "set-time-zone", shows=("Request", "reject by Bob", notes, "submit, on its branch"))
    _expect(stage, "set-time-zone", status="rejected", approver="bob", approvalJustification=notes)


def _read_log(stage: _Stage) -> None:
    _narrate(stage, "Carol audits. Her clone alone holds every signed event: who did what, when and why.")
    _maa(
        stage,
        "carol",
        "audit",
        shows=[f"\t{action}\t" for action in ("submit", "approve", "reject", "complete", "apply")],
    )
    _narrate(stage, "And it proves that nothing landed on main which was not approved.")
    _maa(stage, "carol", "verify", shows=("good:",))


def _push_past_approvers(stage: _Stage) -> None:
    _narrate(
        stage,
        "Without maa, Alice builds a commit with git's own tools that swaps the app's package for another one, writes"
        " Bob's name on it, and pushes it to main. The server in this story lets her.",
    )
    _git(stage, "alice", "fetch", "--quiet")
    _plant(stage, ("origin/main",), {_APP: _SWAPPED.encode()}, "Routine clean-up", author="bob")
    _narrate(stage, "No approval covers that. Every clone sees it, names the commit, and nothing is applied.")
    _maa(stage, "carol", "verify", exits=3, shows=("unapprovedChange", "NOT GOOD"))
    _maa(stage, "alice", "apply", exits=3, shows=("is not good",))
    _narrate(stage, "Carol puts main back to what was approved, which needs no approval.")
    _heal(stage)


def _forge_approval(stage: _Stage) -> None:
    _narrate(
        stage,
        "Alice submits her rejected script again, and writes Bob's approval herself: the right words in Bob's name."
        " But she has to sign it with her own key, since only Bob has his.",
    )
    _type_git(stage, "alice", "switch", _TIME_ZONE_BRANCH)
    _maa(stage, "alice", "submit", "-m", "Utrecht is still an hour off.", shows=("Needs approval",))
    path, record = _record(stage, "set-time-zone")
    change = _state(stage, "set-time-zone").get("change")
    record += _forged_line(stage, record, action="approve", account="bob", change=change, notes="Fine now.")
    _plant(stage, (f"origin/{_TIME_ZONE_BRANCH}",), {path: record}, "approve set-time-zone", author="bob")
    _narrate(stage, "The gate sees that the key is not Bob's.")
    _maa(stage, "carol", "check", "set-time-zone", exits=3, shows=("claiming to be bob", "unknownSigner:"))
    _narrate(stage, "So Alice merges by hand, with a completion that she may sign. Every clone sees that, too.")
    record += _forged_line(stage, record, action="complete", account="alice", change=change)
    files = {path: record, **{name: text.encode() for name, text in _TIME_ZONE.items()}}
    _plant(stage, ("origin/main", f"origin/{_TIME_ZONE_BRANCH}"), files, "complete set-time-zone")
    _maa(stage, "carol", "verify", exits=3, shows=("set-time-zone.jsonl was not approved", "NOT GOOD"))
    _heal(stage)
    _narrate(stage, "Both attempts, and the false approval, are in the audit log.")
    _maa(stage, "carol", "audit", shows=("\tviolation\t", "\tunknownSigner\t"))


_SCENES: tuple[tuple[str, Callable[[_Stage], None]], ...] = (
    ("A tenant repository, three people, three keys", _found_tenant),
    ("A self-approval is refused; an approval is merged and applied", _approve_and_apply),
    ("A second request on the same object is refused", _lock_object),
    ("A later edit voids an approval", _void_approval),
    ("A rejection with notes", _reject_with_notes),
    ("The audit log", _read_log),
    ("First forgery: a change is pushed past the approvers", _push_past_approvers),
    ("Second forgery: an approval is signed with the wrong key", _forge_approval),
)


def _sum_up(stage: _Stage) -> None:
    stage.say("")
    stage.say("It all happened as told:")
    for title, _ in _SCENES:
        stage.say(f"  - {title}")
    _narrate(stage, f"The folder is {stage.folder}, with a clone in each home; 'maa demo --keep' leaves it to look at.")


# --- what people do --------------------------------------------------------------------------------------------------


def _settle(stage: _Stage, person: str) -> None:
    """Give a person a home: a key and git's settings."""
    home, address = stage.folder / person, f"{person}@contoso.com"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    user = f"[user]\n\tname = {_PEOPLE[person]}\n\temail = {address}\n"
    others = "[init]\n\tdefaultBranch = main\n[branch]\n\tautoSetupMerge = false\n[gc]\n\tauto = 0\n"
    (home / ".gitconfig").write_text(user + others, encoding="utf-8")
    _run(stage, person, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", address, "-f", _KEY)


def _start_branch(stage: _Stage, person: str, name: str, files: Mapping[str, str]) -> None:
    _git(stage, person, "fetch", "--quiet")
    _type_git(stage, person, "switch", "-c", f"change/{name}", "origin/main")
    _edit(stage, person, files)


def _edit(stage: _Stage, person: str, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = stage.folder / person / _CLONE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        stage.say(f"  ({person} edits {name})")


def _heal(stage: _Stage) -> None:
    """As Carol, take the newest commit of main back, and see that main is good again."""
    _git(stage, "carol", "fetch", "--quiet")
    _type_git(stage, "carol", "merge", "origin/main")
    is_merge = " " in _git(stage, "carol", "log", "-1", "--format=%P")
    _type_git(stage, "carol", "revert", "--no-edit", *(("-m", "1") if is_merge else ()), "HEAD")
    _type_git(stage, "carol", "push", "origin", "main")
    _maa(stage, "carol", "verify", shows=("healed by", "good:"))


# --- what forgers do -------------------------------------------------------------------------------------------------


def _plant(
    stage: _Stage, parents: Sequence[str], files: Mapping[str, bytes], message: str, *, author: str = "alice"
) -> None:
    """As Alice, build a commit from the first parent's files and ``files``; push it to the first parent's branch."""
    own = {"GIT_INDEX_FILE": str(stage.folder / "tmp" / "index"), "GIT_AUTHOR_NAME": _PEOPLE[author]}
    _git(stage, "alice", "read-tree", parents[0], extra=own)
    for path, content in files.items():
        blob = _git(stage, "alice", "hash-object", "-w", "--stdin", given=content)
        _git(stage, "alice", "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", extra=own)
    tree = _git(stage, "alice", "write-tree", extra=own)[:12]
    above = [word for parent in parents for word in ("-p", parent)]
    commit = _type_git(stage, "alice", "commit-tree", tree, *above, "-m", message, extra=own)[:12]
    branch = parents[0].replace("origin/", "refs/heads/")
    _type_git(stage, "alice", "push", "origin", f"{commit}:{branch}")


def _record(stage: _Stage, request: str) -> tuple[str, bytes]:
    """The path and content of a request's record on the branch that Alice has checked out."""
    path = _git(stage, "alice", "ls-files", f"requests/*/{request}.jsonl")
    return path, _run(stage, "alice", "git", "cat-file", "blob", f"HEAD:{path}").stdout


def _forged_line(stage: _Stage, record: bytes, **fields: object) -> bytes:
    """The next line of a record, from whomever ``fields`` say, signed by Alice."""
    last = record.removesuffix(b"\n").rpartition(b"\n")[2]
    newest = json.loads(last)
    plain = {name: newest[name] for name in ("at", "request", "tenant", "version")}
    plain |= {"base": _git(stage, "alice", "rev-parse", "origin/main"), "previous": digest(last), **fields}
    words = ("ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", f"../{_KEY}")
    _type(stage, "alice", *words)
    signed = _run(stage, "alice", *words, given=canonical_json(plain))
    return canonical_json({**plain, "signature": signed.stdout.decode()}) + b"\n"


# --- running, telling, checking --------------------------------------------------------------------------------------


def _narrate(stage: _Stage, text: str) -> None:
    stage.say("")
    for line in textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False):
        stage.say(line)


def _type(stage: _Stage, person: str, *words: str) -> None:
    stage.say(f"  {person}$ {shlex.join(words)}")


def _maa(stage: _Stage, person: str, *words: str, exits: int = 0, shows: Sequence[str] = ()) -> None:
    """Run maa. The exit code must be ``exits``, and each of ``shows`` in a line that it prints; those are told."""
    _type(stage, person, "maa", *words)
    done = _run(stage, person, "maa", *words, exits=exits)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    missing = [what for what in shows if not any(what in line for line in lines)]
    told = [line if missing or any(what in line for what in shows) else "..." for line in lines]
    for before, line in zip(["", *told], told, strict=False):
        if line != "..." or before != "...":
            stage.say("      " + (line if len(line) <= _WIDEST else line[:_WIDEST] + "...").replace("\t", "  "))
    if missing:
        raise _failed(f"maa {words[0]}", f"it does not say {' or '.join(map(repr, missing))}")


def _state(stage: _Stage, request: str) -> dict[str, object]:
    """What ``maa show`` says of a request, as data."""
    done = _run(stage, "alice", "maa", "show", request, "--format", "json")
    try:
        state = json.loads(done.stdout)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise _failed(f"maa show {request} --format json", "it does not answer with one JSON object")
    return state


def _expect(stage: _Stage, request: str, *, reason: str | None = None, **fields: object) -> None:
    """Hold a request to the story: fields, and a code that its reasons must have."""
    state = _state(stage, request)
    found = {name: state.get(name) for name in fields}
    if found != fields or (reason is not None and f'"{reason}"' not in json.dumps(state.get("reasons"))):
        raise _failed(f"maa show {request}", f"it is {found}, not {fields}, or the reason is not {reason}")


def _git(stage: _Stage, person: str, *words: str, extra: Mapping[str, str] | None = None, given: bytes = b"") -> str:
    """Run git, untold, and return what it prints."""
    done = _run(stage, person, "git", *words, extra=extra, given=given)
    return done.stdout.decode("utf-8", "replace").removesuffix("\n")


def _type_git(stage: _Stage, person: str, *words: str, extra: Mapping[str, str] | None = None) -> str:
    _type(stage, person, "git", *words)
    return _git(stage, person, *words, extra=extra)


def _run(
    stage: _Stage,
    person: str,
    *words: str,
    exits: int = 0,
    extra: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program as a person: in their clone once there is one, with their home and nobody else's.

    Raises:
        RepositoryError: ``demoFailed``, its exit code is not ``exits``; all that it printed is told before.
    """
    home = stage.folder / person
    own = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    place = home / _CLONE if (home / _CLONE).is_dir() else home
    environment = {**stage.environment, **own, **(extra or {})}
    command = (*stage.programs[words[0]], *words[1:])
    try:
        done = subprocess.run(command, cwd=place, env=environment, input=given, capture_output=True, check=False)
    except OSError as error:
        raise _failed(words[0], f"it cannot be started: {error}") from error
    if done.returncode != exits:
        for line in (done.stdout + done.stderr).decode("utf-8", "replace").splitlines():
            stage.say(f"      {line}")
        raise _failed(shlex.join(words), f"it ended with exit code {done.returncode}, not {exits}")
    return done


def _found(name: str, environment: Mapping[str, str]) -> str:
    path = shutil.which(name, path=environment.get("PATH", os.defpath))
    if path is None:
        raise _failed(name, "it was not found on PATH")
    return str(Path(path).absolute())


def _failed(step: str, why: str) -> RepositoryError:
    hint = "maa demo --keep, to look at what is left"
    return RepositoryError(f"the story did not happen as told, at '{step}': {why}", hint=hint, code="demoFailed")
