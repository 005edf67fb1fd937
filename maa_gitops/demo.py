"""The story: what maa does, for real, in a throw-away folder.

It types what people would type and looks at what came of it. It decides nothing, and never leaves its folder: who calls
it chooses the folder, prints the lines and removes the folder afterwards.
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
_SERVER = "server.git"
_CLONE = "contoso"
_FOREIGN = re.compile(r"GIT_|SSH_|MAA_|GPG_|GNUPG|XDG_|EMAIL\Z")
"""Variables by which the caller's own keys, agent, settings and name could come into the story."""

_APP = "resources/apps/company-portal.yaml"
_COMPANY_PORTAL = """\
type: winGetApp
displayName: Company Portal
description: Where staff find their apps.
publisher: Microsoft Corporation
packageIdentifier: 9WZDNCRFJ3PZ
installExperience: {runAsAccount: system}
"""
_AVAILABLE = "assignments: [{intent: available, target: {group: All Staff}}]\n"
_REQUIRED = "assignments: [{intent: required, target: {group: All Staff}}]\n"
_SCRIPT = "resources/scripts/set-time-zone.ps1"
_TIME_ZONE = """\
type: deviceManagementScript
displayName: Set time zone
runAsAccount: system
scriptFile: set-time-zone.ps1
assignments: [{target: {group: All Staff}}]
"""
_POWERSHELL = 'Set-TimeZone -Id "W. Europe Standard Time"\n'


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where the story happens and how it is told."""

    folder: Path
    environment: Mapping[str, str]
    say: Callable[[str], None]
    maa: tuple[str, ...]


def tell(folder: Path, environment: Mapping[str, str], say: Callable[[str], None], maa: Sequence[str]) -> None:
    """Play the whole story in an empty folder, telling it line by line.

    ``maa`` is the beginning of the command lines, the program itself. Nothing of the caller's own set-up is used.

    Raises:
        RepositoryError: ``demoFailed``, something did not happen as told; ``folderNotEmpty``; a program is missing.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise RepositoryError(f"{folder} is not empty", hint="name a new folder", code="folderNotEmpty")
    kept = {name: value for name, value in environment.items() if not _FOREIGN.match(name)}
    stage = _Stage(folder, kept, say, tuple(maa))
    _narrate(stage, f"Everything happens in {folder}: no key, setting or repository of yours is used.")
    for number, (title, scene) in enumerate(_SCENES, start=1):
        say("")
        say(f"{number}. {title}")
        scene(stage)
    _sum_up(stage)


# --- the scenes ------------------------------------------------------------------------------------------------------


def _found_tenant(stage: _Stage) -> None:
    _narrate(stage, "A bare repository is the server. Alice, Bob and Carol each get a home and a new SSH key.")
    _git(stage, "alice", "init", "--quiet", "--bare", "--initial-branch=main", str(stage.folder / _SERVER))
    for person in _PEOPLE:
        _settle(stage, person)
    _narrate(stage, "Alice makes the tenant repository. All three approve for one another, never for themselves.")
    _clone(stage, "alice")
    keys = [word for name in _PEOPLE for word in ("--account", f"{name}=../../{name}/.ssh/id_ed25519.pub")]
    _maa(stage, "alice", "init", "--tenant", "contoso", *keys)
    _git_told(stage, "alice", "push", "--quiet", "origin", "main")
    for person in ("bob", "carol"):
        _clone(stage, person)


def _approve_and_apply(stage: _Stage) -> None:
    _narrate(stage, "Alice adds the Company Portal app on a branch, and asks for approval with a reason.")
    _branch(stage, "alice", "company-portal", {_APP: _COMPANY_PORTAL})
    reason = "Staff need a place to find their apps."
    _maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "create app/", "can approve:"))
    _narrate(stage, "She cannot approve it herself.")
    _maa(stage, "alice", "approve", "company-portal", exits=3, shows=("error:",))
    _narrate(stage, "Bob can. His decision is signed with his key, over a digest of exactly this change.")
    notes = "Package 9WZDNCRFJ3PZ is the real one."
    _maa(stage, "bob", "approve", "company-portal", "-m", notes, shows=("Request", "satisfied", "approve by", notes))
    _narrate(stage, "Alice completes it: what was signed is merged into main and applied to the local tenant.")
    _maa(stage, "alice", "complete", "company-portal", shows=("Completed", "local: applied"))
    _expect(stage, "alice", "company-portal", status="completed", approver="bob")
    _maa(stage, "alice", "tenant", shows=("Company Portal",))


def _lock_object(stage: _Stage) -> None:
    _narrate(stage, "Alice wants the app to be offered to all staff: only the assignments change.")
    _branch(stage, "alice", "offer-portal", {_APP: _COMPANY_PORTAL + _AVAILABLE})
    reason = "Offer the portal to everybody."
    _maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "assign app/"))
    _narrate(stage, "Meanwhile Bob wants to change the same app. He is told who was first.")
    _branch(stage, "bob", "rename-portal", {_APP: _COMPANY_PORTAL.replace("Where staff", "The place where staff")})
    _maa(stage, "bob", "submit", "-a", "-m", "A better description.", exits=3, shows=("offer-portal",))


def _void_approval(stage: _Stage) -> None:
    _narrate(stage, "Bob approves Alice's request. After that, Alice changes 'available' to 'required'.")
    _maa(stage, "bob", "approve", "offer-portal", shows=("Request", "satisfied"))
    _git_told(stage, "alice", "pull", "--quiet", "origin", "change/offer-portal")
    _write(stage, "alice", {_APP: _COMPANY_PORTAL + _REQUIRED})
    _git_told(stage, "alice", "commit", "--quiet", "-a", "-m", "Make it required")
    _git_told(stage, "alice", "push", "--quiet", "origin", "change/offer-portal")
    _narrate(stage, "Bob approved something else, so his approval is void, and nothing can be merged.")
    _maa(stage, "alice", "complete", "offer-portal", exits=3, shows=("error:",))
    _expect(stage, "carol", "offer-portal", status="needsApproval", reasons="editedSinceSubmit")
    _narrate(stage, "She has to ask again. Carol looks at what would change, and approves that.")
    _maa(stage, "alice", "submit", "-m", "Every device needs the portal.", shows=("Needs approval",))
    _maa(stage, "carol", "diff", "offer-portal", shows=("+assignments",))
    _maa(stage, "carol", "approve", "offer-portal", shows=("Request", "satisfied"))
    _maa(stage, "alice", "complete", "offer-portal", shows=("Completed", "local: applied"))


def _reject_with_notes(stage: _Stage) -> None:
    _narrate(stage, "Alice submits a PowerShell script that sets the time zone. Bob rejects it, and says why.")
    files = {_SCRIPT.replace(".ps1", ".yaml"): _TIME_ZONE, _SCRIPT: _POWERSHELL}
    _branch(stage, "alice", "set-time-zone", files)
    reason = "Devices in Utrecht are an hour off."
    _maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "create script/"))
    notes = "London is in All Staff, too: assign it to Utrecht only."
    _maa(stage, "bob", "reject", "set-time-zone", "-m", notes, shows=("Rejected", "reject by", notes))
    _narrate(stage, "Nobody can approve or merge it any more; it would have to be submitted again.")
    _maa(stage, "carol", "approve", "set-time-zone", exits=3, shows=("error:",))
    _expect(stage, "alice", "set-time-zone", status="rejected", approver="bob", approvalJustification=notes)


def _read_log(stage: _Stage) -> None:
    _narrate(stage, "Carol audits. Her clone holds every signed event: who did what, when and why.")
    _maa(stage, "carol", "audit", shows=("submit", "approve", "reject", "complete"))
    _maa(stage, "carol", "verify", shows=("good:",))


def _push_around(stage: _Stage) -> None:
    _narrate(
        stage,
        "First forgery: past maa, Alice builds a commit with git's own tools that swaps the package for another, puts"
        " Bob's name on it, and pushes it to main. The server of this story lets her.",
    )
    _git(stage, "alice", "fetch", "--quiet")
    swapped = (_COMPANY_PORTAL + _REQUIRED).replace("9WZDNCRFJ3PZ", "9NBLGGH4NNS1").encode()
    _plant(stage, ("origin/main",), {_APP: swapped}, "Routine clean-up", author="bob")
    _narrate(stage, "No approval covers that. Everybody's clone says so, and it is not applied anywhere.")
    _maa(stage, "carol", "verify", exits=3, shows=("unapprovedChange", "NOT GOOD"))
    _maa(stage, "alice", "apply", exits=3, shows=("error:",))
    _narrate(stage, "Carol puts the app back as it was approved, which needs no approval. The attempt stays on record.")
    _heal(stage)


def _forge_approval(stage: _Stage) -> None:
    _narrate(
        stage,
        "Second forgery: Alice submits her rejected script again, and writes Bob's approval herself: the right words,"
        " in Bob's name, signed with her own key, as she does not have his.",
    )
    _git(stage, "alice", "switch", "--quiet", "change/set-time-zone")
    _maa(stage, "alice", "submit", "-m", "Utrecht is still an hour off.", shows=("Needs approval",))
    state = _state(stage, "alice", "set-time-zone")
    path = _git(stage, "alice", "ls-tree", "-r", "--name-only", "HEAD", "requests/").splitlines()
    record = next(found for found in path if found.endswith("/set-time-zone.jsonl"))
    data = _git(stage, "alice", "cat-file", "blob", f"HEAD:{record}").encode() + b"\n"
    data += _forged(stage, data, action="approve", account="bob", change=state["change"], notes="Good now.")
    _plant(stage, ("origin/change/set-time-zone",), {record: data}, "approve set-time-zone", author="bob")
    _narrate(stage, "The gate is not fooled: the key is not Bob's.")
    _maa(stage, "carol", "check", "set-time-zone", exits=3, shows=("claiming to be bob", "unknownSigner"))
    _narrate(
        stage, "So she merges it by hand, with a completion that she signs rightly. The history shows it for good."
    )
    data += _forged(stage, data, action="complete", account="alice", change=state["change"])
    files = {record: data, _SCRIPT: _POWERSHELL.encode(), _SCRIPT.replace(".ps1", ".yaml"): _TIME_ZONE.encode()}
    _plant(stage, ("origin/main", "origin/change/set-time-zone"), files, "complete set-time-zone")
    _maa(stage, "carol", "verify", exits=3, shows=("NOT GOOD",))
    _heal(stage)


_SCENES: tuple[tuple[str, Callable[[_Stage], None]], ...] = (
    ("A tenant repository, three people, three keys", _found_tenant),
    ("A self-approval is refused; an approval is merged and applied", _approve_and_apply),
    ("A second request on the same object is refused", _lock_object),
    ("A later edit voids an approval", _void_approval),
    ("A rejection with notes", _reject_with_notes),
    ("The audit log", _read_log),
    ("A forgery is found: a change pushed past the approvers", _push_around),
    ("A forgery is found: an approval signed with the wrong key", _forge_approval),
)


def _sum_up(stage: _Stage) -> None:
    stage.say("")
    stage.say("It all happened as told:")
    for title, _ in _SCENES:
        stage.say(f"  - {title}")
    place = stage.folder / "alice" / _CLONE
    _narrate(stage, f"The folder was {stage.folder}. 'maa demo --keep' leaves it, to look around in: cd {place}")


# --- what people do --------------------------------------------------------------------------------------------------


def _settle(stage: _Stage, person: str) -> None:
    """Give a person a home: a key and git's settings."""
    home = stage.folder / person
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    address = f"{person}@contoso.com"
    settings = f'[user]\n\tname = "{_PEOPLE[person]}"\n\temail = {address}\n'
    (home / ".gitconfig").write_text(settings + "[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n", encoding="utf-8")
    key = home / ".ssh" / "id_ed25519"
    _call(
        stage, person, [_program(stage, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", address, "-f", str(key)]
    )


def _clone(stage: _Stage, person: str) -> None:
    _git_told(stage, person, "clone", "--quiet", str(stage.folder / _SERVER), _CLONE)


def _branch(stage: _Stage, person: str, name: str, files: Mapping[str, str]) -> None:
    """Start a change branch and edit files on it."""
    _git(stage, person, "fetch", "--quiet")
    _git_told(stage, person, "switch", "--quiet", "--no-track", "-c", f"change/{name}", "origin/main")
    _write(stage, person, files)


def _write(stage: _Stage, person: str, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = stage.folder / person / _CLONE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        stage.say(f"  ({person} edits {name})")


def _plant(
    stage: _Stage, parents: Sequence[str], files: Mapping[str, bytes], message: str, *, author: str = "alice"
) -> None:
    """As Alice, build a commit with git's plumbing, and push it to where the first parent is from."""
    index = {"GIT_INDEX_FILE": str(stage.folder / "alice" / "index")}
    _git(stage, "alice", "read-tree", parents[0], extra=index)
    for path, data in files.items():
        blob = _git(stage, "alice", "hash-object", "-w", "--stdin", given=data)
        _git(stage, "alice", "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", extra=index)
    tree = _git(stage, "alice", "write-tree", extra=index)
    name = {"GIT_AUTHOR_NAME": _PEOPLE[author], "GIT_AUTHOR_EMAIL": f"{author}@contoso.com"}
    above = [word for parent in parents for word in ("-p", parent)]
    commit = _git_told(stage, "alice", "commit-tree", tree, *above, "-m", message, extra=name)
    branch = parents[0].removeprefix("origin/")
    _git_told(stage, "alice", "push", "--quiet", "origin", f"{commit}:refs/heads/{branch}")


def _forged(stage: _Stage, record: bytes, **fields: object) -> bytes:
    """One more line for a record, whoever it says it is from, signed with Alice's key."""
    last = record.removesuffix(b"\n").rpartition(b"\n")[2]
    newest = json.loads(last)
    plain = {
        **{name: newest[name] for name in ("at", "request", "tenant", "version")},
        **{"base": _git(stage, "alice", "rev-parse", "origin/main"), "previous": digest(last)},
        **fields,
    }
    key = stage.folder / "alice" / ".ssh" / "id_ed25519"
    words = [_program(stage, "ssh-keygen"), "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)]
    stage.say(
        f"  alice$ ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519   ({fields['action']} of {fields['account']})"
    )
    signature = _call(stage, "alice", words, given=canonical_json(plain))
    return canonical_json({**plain, "signature": signature}) + b"\n"


def _heal(stage: _Stage) -> None:
    """As Carol, put main back to before its newest commit, and see that it is good again."""
    _git_told(stage, "carol", "pull", "--quiet")
    parents = _git(stage, "carol", "rev-list", "--parents", "-1", "HEAD").split()[1:]
    of_merge = ("-m", "1") if len(parents) > 1 else ()
    _git_told(stage, "carol", "revert", "--no-edit", *of_merge, "HEAD")
    _git_told(stage, "carol", "push", "--quiet", "origin", "main")
    _maa(stage, "carol", "verify", shows=("healed by", "good:"))


# --- saying, running, checking ---------------------------------------------------------------------------------------


def _narrate(stage: _Stage, text: str) -> None:
    stage.say("")
    for line in textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False):
        stage.say(line)


def _prompt(stage: _Stage, person: str, words: Sequence[str]) -> str:
    """Tell a command as it is typed; returns what it was."""
    typed = f"{person}$ {shlex.join(words)}"
    stage.say(f"  {typed}")
    return typed


def _maa(stage: _Stage, person: str, *words: str, exits: int = 0, shows: Sequence[str] = ()) -> None:
    """Run maa as a person; the exit code must be ``exits``, and each of ``shows`` must be in a line of what it says."""
    typed = _prompt(stage, person, ("maa", *words))
    done = _start(stage, person, [*stage.maa, *words])
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    missing = [what for what in shows if not any(what in line for line in lines)]
    if done.returncode != exits or missing:
        for line in lines:
            stage.say(f"      {line}")
        wanted = f"exit code {exits}" + (f" and {', '.join(map(repr, missing))}" if missing else "")
        raise _failed(typed, f"it ended with exit code {done.returncode}; expected was {wanted}")
    _abridge(stage, lines, shows)


def _abridge(stage: _Stage, lines: Sequence[str], shows: Sequence[str]) -> None:
    """Say the lines that matter, with dots for the others."""
    is_left_out = False
    for line in lines:
        if any(what in line for what in shows):
            stage.say(f"      {line}")
            is_left_out = False
        elif not is_left_out:
            stage.say("      ...")
            is_left_out = True


def _state(stage: _Stage, person: str, request: str) -> dict[str, object]:
    """What ``maa show`` says of a request, as data."""
    words = ["show", request, "--format", "json"]
    shown = _call(stage, person, [*stage.maa, *words])
    try:
        state = json.loads(shown)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise _failed(f"maa {shlex.join(words)}", "it did not answer with one JSON object")
    return state


def _expect(stage: _Stage, person: str, request: str, *, reasons: str | None = None, **fields: object) -> None:
    """Hold what ``maa show`` says of a request to the story: fields, and the code of one of its reasons."""
    state = _state(stage, person, request)
    found = {name: state.get(name) for name in fields}
    codes = re.findall(r'"code": "(\w+)"', json.dumps(state.get("reasons")))
    if found != fields or (reasons is not None and reasons not in codes):
        raise _failed(
            f"maa show {request}", f"{found}, reasons {codes}; expected was {fields}, {reasons or 'any reason'}"
        )
    stage.say(f"      (checked: {', '.join(f'{name} {value}' for name, value in fields.items())})")


def _git(stage: _Stage, person: str, *words: str, extra: Mapping[str, str] | None = None, given: bytes = b"") -> str:
    """Run git as a person, and return what it prints."""
    return _call(stage, person, [_program(stage, "git"), *words], extra=extra, given=given).removesuffix("\n")


def _git_told(stage: _Stage, person: str, *words: str, extra: Mapping[str, str] | None = None) -> str:
    _prompt(stage, person, ("git", *(word for word in words if word != "--quiet")))
    return _git(stage, person, *words, extra=extra)


def _call(
    stage: _Stage,
    person: str,
    command: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> str:
    """Run what must succeed, and return what it prints."""
    done = _start(stage, person, command, extra=extra, given=given)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise _failed(shlex.join(command), f"exit code {done.returncode}: {said[-1] if said else 'nothing was said'}")
    return done.stdout.decode("utf-8", "replace")


def _start(
    stage: _Stage,
    person: str,
    command: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program as a person: in their clone once there is one, with their home and nobody else's."""
    home = stage.folder / person
    home.mkdir(exist_ok=True)
    clone = home / _CLONE
    own = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
    environment = {**stage.environment, **own, "GIT_TERMINAL_PROMPT": "0", **(extra or {})}
    try:
        return subprocess.run(
            command,
            cwd=clone if clone.is_dir() else home,
            env=environment,
            input=given,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise _failed(command[0], f"it cannot be started: {error}") from error


def _program(stage: _Stage, name: str) -> str:
    found = shutil.which(name, path=stage.environment.get("PATH", os.defpath))
    if found is None:
        raise RepositoryError(f"{name} was not found on PATH", hint=f"install {name}", code="demoFailed")
    return found


def _failed(step: str, why: str) -> RepositoryError:
    return RepositoryError(
        f"the story did not happen as told at '{step}': {why}",
        hint="look around in the folder: maa demo --keep",
        code="demoFailed",
    )
