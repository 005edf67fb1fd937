"""Submit: send the current branch for approval with a business justification."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from maa_gitops.change import differences
from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.evaluate import evaluate
from maa_gitops.git import Repository
from maa_gitops.model import Action, Evaluation, Event, EventFact, ObjectId, ReasonCode, Status
from maa_gitops.record import Draft, extend
from maa_gitops.record import read as read_record
from maa_gitops.tenant import place
from maa_gitops.tenant.paths import NAME, RESOURCES, RULE_FILES, RULE_FOLDERS
from maa_gitops.workflow.acts import Actor, dropped_note, refuse_bad_record, sound_beginning
from maa_gitops.workflow.clone import CHANGE_PREFIX, Clone
from maa_gitops.workflow.joining import joined_head
from maa_gitops.workflow.publish import Move, after_lost_races, publish
from maa_gitops.workflow.requests import (
    Request,
    branches_by_id,
    read_request,
    read_request_at,
    request_id,
)

TENANT_PATHS = (*RULE_FILES, *RULE_FOLDERS, RESOURCES)
"""What ``submit -a`` takes in."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submit came to. ``changed`` is False if there was nothing to do."""

    clone: Clone
    request: Request
    changed: bool
    notes: tuple[str, ...] = ()


def change_branch(clone: Clone) -> tuple[str, str, str]:
    """The change branch that is checked out: its name, its head and the id of its request.

    Raises:
        NotAllowedError: no change branch is checked out, or its name gives no id.
    """
    branch = clone.repository.current_branch()
    if branch is None or not branch.startswith(CHANGE_PREFIX):
        where = f"on {branch}" if branch is not None else "on no branch"
        raise NotAllowedError(
            f"you are {where}; a change is submitted from a branch named {CHANGE_PREFIX}<name>",
            hint=f"git switch -c {CHANGE_PREFIX}<name>",
            code="notOnChangeBranch",
        )
    name = request_id(branch)
    head = clone.repository.ref(f"refs/heads/{branch}")
    if not NAME.fullmatch(name):
        raise NotAllowedError(
            f"'{name}' cannot be the id of a request: at most 64 letters, digits, _ and -",
            hint=f"git branch -m {CHANGE_PREFIX}<shorter-name>",
            code="invalidName",
        )
    if head is None:
        raise NotAllowedError(f"{branch} has no commits yet", hint="commit your change first", code="nothingProtected")
    return branch, head, name


def uncommitted(repository: Repository) -> tuple[str, ...]:
    """The tenant's files with uncommitted changes in the work tree."""
    if repository.work_tree is None:
        return ()
    dirty = repository.dirty_paths(repository.work_tree)
    return tuple(path for path in dirty if path.split("/", 1)[0] in TENANT_PATHS)


def commit_all(repository: Repository, paths: tuple[str, ...], message: str) -> None:
    """Commit new, changed and deleted files of the tenant, as git itself would; also what ``git mv`` has taken away.

    Raises:
        RepositoryError: git refuses.
    """
    taking_in = ("update-index", "--add", "--remove", "--", *paths)  # `add` fails on a path that the index lacks
    for command in (taking_in, ("commit", "--quiet", "--message", message, "--", *paths)):
        done = repository.run(*command, cwd=repository.work_tree)
        if done.returncode != 0:
            raise RepositoryError(f"git {command[0]} failed: {done.last_words}", hint="commit yourself, then submit")


def head_with(clone: Clone, head: str, paths: tuple[str, ...]) -> str:
    """The commit that ``commit_all`` would make, without making it on the branch: for a dry run."""
    repository = clone.repository
    tree = repository.snapshot()
    entries = {path: repository.entry(tree, path) for path in paths}
    taken = {path: (entry.mode, entry.oid) if entry is not None else None for path, entry in entries.items()}
    return repository.write_commit(
        tree=repository.replace_paths(clone.tree(head), taken),
        parents=(head,),
        message="dry run",
        identity=repository.identity(),
        at=clone.now,
    )


def preview(clone: Clone, branch: str, head: str, name: str) -> Request:
    """The request as it would be judged if the branch, joined with its shared copy, were submitted now."""
    joined = joined_head(clone, branch, head, name, clone.repository.identity())
    return read_request_at(clone, name, branch, joined)


def submit(reopen: Callable[[], Clone], clone: Clone, branch: str, actor: Actor, justification: str) -> Submitted:
    """Sign the change of a branch, and publish branch and record.

    Raises:
        NotAllowedError: it may not be submitted: with the reason's code.
        RemoteError: the remote failed or refused.
    """

    def once(now: Clone) -> Submitted:
        head = now.repository.ref(f"refs/heads/{branch}")
        if head is None:
            raise RepositoryError(f"branch {branch} is gone")
        return _submit_once(now, branch, head, actor, justification)

    return after_lost_races(reopen, clone, once)


def _submit_once(clone: Clone, branch: str, head: str, actor: Actor, justification: str) -> Submitted:
    name = request_id(branch)
    joined = joined_head(clone, branch, head, name, actor.identity)
    request = read_request_at(clone, name, branch, joined)
    refuse_submit(clone, request, prospect(clone, request, actor, justification))
    if is_open_round(request, actor):
        notes = _publish(clone, branch, joined, f"join {name}") if joined != clone.change_branches().get(branch) else ()
        return Submitted(clone, request, changed=False, notes=notes)
    data = submitted_record(clone, request, actor, justification)
    repository = clone.repository
    tree = repository.replace_paths(clone.tree(joined), {request.path: ("100644", repository.write_blob(data))})
    commit = repository.write_commit(
        tree=tree,
        parents=(joined,),
        message=f"submit {name}\n\n{_quoted(justification)}",
        identity=actor.identity,
        at=clone.now,
    )
    notes = (*dropped_note(clone, request), *_publish(clone, branch, commit, f"submit {name}"))
    return Submitted(clone, read_request_at(clone, name, branch, commit), changed=True, notes=notes)


def _quoted(text: str) -> str:
    """A justification as part of a commit message: indented, so that no line of it reads as a trailer."""
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def submitted_record(clone: Clone, request: Request, actor: Actor, justification: str) -> bytes:
    """Sign the request's record with a submit of the change as it is now.

    Raises:
        NotAllowedError: ``outOfTime``, this machine's clock is behind the record's; or the record is broken.
    """
    data = extend(sound_beginning(clone, request), _draft(clone, request, actor, justification), actor.sign)
    refuse_bad_record(clone, request.id, request.path, data)
    return data


def _draft(clone: Clone, request: Request, actor: Actor, justification: str) -> Draft:
    return Draft(
        account=actor.account.name,
        action=Action.SUBMIT,
        at=clone.now,
        base=clone.good,
        request=request.id,
        tenant=clone.tenant.settings.tenant,
        changes=request.changes.changes if request.changes is not None else (),
        contributors=tuple(sorted({actor.account.name, *request.contributors.accounts})),
        justification=justification,
        attested_by=actor.attested_by,
        evidence=actor.evidence,
    )


def _publish(clone: Clone, branch: str, commit: str, message: str) -> tuple[str, ...]:
    """Publish the change branch. Its own copy here moves too: it is the branch that was submitted."""
    old = clone.change_branches().get(branch)
    return publish(clone, [Move(branch, old, commit)], f"maa: {message}")


# --- what a submit would come to -------------------------------------------------------------------------------------


def prospect(clone: Clone, request: Request, actor: Actor, justification: str) -> Evaluation:
    """Evaluate the request as if this account had submitted it now, without signing anything."""
    kept = len(read_record(sound_beginning(clone, request)))
    draft = _draft(clone, request, actor, justification)
    event = Event(
        account=draft.account,
        action=draft.action,
        at=draft.at,
        base=draft.base,
        request=draft.request,
        tenant=draft.tenant,
        signature="",
        changes=draft.changes,
        contributors=draft.contributors,
        justification=justification,
        attested_by=draft.attested_by,
        evidence=draft.evidence,
    )
    events = (*request.facts.events[:kept], EventFact(event, actor.key))
    cured = (ReasonCode.CONTRIBUTORS_INCOMPLETE, ReasonCode.BROKEN_RECORD)
    problems = tuple(reason for reason in request.facts.problems if reason.code not in cured)
    return evaluate(replace(request.facts, events=events, problems=problems))


def refuse_submit(clone: Clone, request: Request, evaluation: Evaluation) -> None:
    """Refuse what no submit can make valid.

    Raises:
        NotAllowedError: with the reason's code.
    """
    if not clone.history.tip_is_good:
        violation = clone.history.violations[-1] if clone.history.violations else None
        what = violation.message if violation is not None else "it is not the last good commit"
        raise NotAllowedError(
            f"the tip of {clone.branch} is not good: {what}", hint="maa verify", code=ReasonCode.UNAPPROVED_CHANGE
        )
    other = f"git branch -m {CHANGE_PREFIX}{request.id}-2"
    if request.facts.merged is not None:
        raise NotAllowedError(f"'{request.id}' is merged already", hint=other, code=ReasonCode.ALREADY_MERGED)
    rivals = [branch for branch in branches_by_id(clone).get(request.id, []) if branch != request.branch]
    if rivals:
        text = f"branch {rivals[0]} has the id '{request.id}' already"
        raise NotAllowedError(text, hint=other, code=ReasonCode.RECORD_ALTERED)
    if request.changes is not None and not any(clone.tenant.protects(governed) for governed in request.changes.objects):
        text = "nothing that an access policy protects is changed on this branch"
        hint = "maa submit -a -m TEXT" if uncommitted(clone.repository) else "merge it as usual"
        raise NotAllowedError(text, hint=hint, code=ReasonCode.NOTHING_PROTECTED)
    obstacle = next(iter(evaluation.obstacles), None)
    if obstacle is not None:
        hints = {
            ReasonCode.OUTDATED: f"git merge {clone.shown_branch}, then submit again",
            ReasonCode.NOT_REQUESTOR: other,
            ReasonCode.MIXED_REQUEST: "put the rules and the resources on two branches; the rules first",
            ReasonCode.INVALID_DOCUMENT: "maa validate",
        }
        raise NotAllowedError(obstacle.message, hint=hints.get(obstacle.code), code=obstacle.code)
    _refuse_locked(clone, request)


def is_open_round(request: Request, actor: Actor) -> bool:
    """Whether exactly this change waits or is approved already."""
    submit = request.submitted
    waiting = request.evaluation.status in (Status.NEEDS_APPROVAL, Status.APPROVED)
    return submit is not None and submit.account == actor.account.name and waiting and not request.evaluation.obstacles


def _refuse_locked(clone: Clone, request: Request) -> None:
    """One open request for each object, as a courtesy: so that two people do not work on one object unawares."""
    mine = set(request.changes.objects) if request.changes is not None else set()
    for name, branches in branches_by_id(clone).items():
        if name == request.id or len(branches) != 1 or not _touches(clone, branches[0], mine):
            continue
        other = read_request(clone, name)
        if _holds_lock(other):
            both = ", ".join(sorted(str(governed) for governed in mine & set(other.facts.objects)))
            raise NotAllowedError(
                f"request '{name}' of {other.evaluation.requestor} on {both} is open",
                hint=f"maa show {name}",
                code=ReasonCode.LOCKED,
            )


def _touches(clone: Clone, branch: str, objects: set[ObjectId]) -> bool:
    """Whether a branch changes any of the objects; paths are compared before anything is evaluated."""
    head, repository = clone.change_branches()[branch], clone.repository
    try:
        bases = repository.merge_bases(clone.good, head)
        paths = differences(repository, clone.tree(bases[0]), clone.tree(head)) if len(bases) == 1 else {}
    except RepositoryError:
        return False
    types = clone.tenant.settings.profile_types
    return any(place(path, types).governed in objects for path in paths)


def _holds_lock(request: Request) -> bool:
    open_now = request.evaluation.status in (Status.NEEDS_APPROVAL, Status.APPROVED) and request.facts.merged is None
    return open_now and request.submitted is not None and not request.evaluation.obstacles
