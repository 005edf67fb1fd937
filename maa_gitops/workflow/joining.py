"""Bringing a change branch together with its shared copy, and with a protected branch that has moved on."""

from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.git import Identity
from maa_gitops.history import record_paths
from maa_gitops.model import ReasonCode
from maa_gitops.record import longest
from maa_gitops.workflow.clone import Clone


def joined_head(clone: Clone, branch: str, head: str, name: str, identity: Identity) -> str:
    """The commit to submit on: the local head, joined with the shared one if that has gone another way.

    A branch that was rewritten keeps the local files and the longer record; nothing is ever forced.

    Raises:
        NotAllowedError: ``recordAltered``, the two records do not extend one another.
    """
    shared = clone.change_branches().get(branch)
    repository = clone.repository
    if shared is None or shared == head or repository.merge_bases(shared, head) == (shared,):
        return head
    if repository.merge_bases(shared, head) == (head,):
        return shared
    records = [*_own_records(clone, head, name), *_own_records(clone, shared, name)]
    agreed = longest([data for _, data in records])
    if agreed is None:
        raise NotAllowedError(
            f"the records of '{name}' here and on the remote do not extend one another",
            hint=f"git checkout origin/{branch} -- requests, commit, then submit again",
            code=ReasonCode.RECORD_ALTERED,
        )
    blob = repository.write_blob(agreed)
    tree = repository.replace_paths(
        clone.tree(head), {path: ("100644", blob) for path, data in records if data == agreed}
    )
    return repository.write_commit(
        tree=tree,
        parents=(head, shared),
        message=f"join {branch} with its shared copy",
        identity=identity,
        at=clone.now,
    )


def _own_records(clone: Clone, commit: str, name: str) -> list[tuple[str, bytes]]:
    """The request's records in a commit: paths and bytes."""
    tree = clone.tree(commit)
    entries = ((path, clone.repository.entry(tree, path)) for path in record_paths(clone.repository, tree, name))
    return [(path, clone.repository.blob(entry.oid)) for path, entry in entries if entry is not None]


def merge_protected(clone: Clone, branch: str, name: str) -> None:
    """Merge the protected branch into the change branch that is checked out; of two records the longer one stays.

    Raises:
        NotAllowedError: ``outdated``, there are other conflicts; the branch is as it was.
        RepositoryError: git refuses.
    """
    repository, cwd = clone.repository, clone.repository.work_tree
    message = f"Merge {clone.branch} into {branch}"
    done = repository.run("merge", "--no-edit", "--no-ff", "-m", message, clone.tip, cwd=cwd)
    if done.returncode == 0:
        return
    conflicts = repository.run("diff", "--name-only", "--diff-filter=U", "-z", cwd=cwd).stdout.split(b"\0")
    left = {path.decode("utf-8", "surrogateescape") for path in conflicts if path}
    head = repository.ref(f"refs/heads/{branch}") or clone.tip
    kept = [*_own_records(clone, head, name), *_own_records(clone, clone.tip, name)]
    if left and left <= {path for path, _ in kept}:
        _resolve_records(clone, name, left, longest([data for _, data in kept]))
        return
    repository.run("merge", "--abort", cwd=cwd)
    if not left:
        raise RepositoryError(f"git merge failed: {done.last_words}", hint="git status")
    raise NotAllowedError(
        f"{', '.join(sorted(left))} changed both here and on {clone.branch}",
        hint=f"git merge {clone.shown_branch}, settle it, commit, then submit again",
        code=ReasonCode.OUTDATED,
    )


def _resolve_records(clone: Clone, name: str, paths: set[str], agreed: bytes | None) -> None:
    """Settle a merge that stopped at the request's record only."""
    repository, work_tree = clone.repository, clone.repository.work_tree
    if work_tree is None or agreed is None:
        repository.run("merge", "--abort", cwd=work_tree)
        raise NotAllowedError(f"the records of '{name}' do not extend one another", code=ReasonCode.RECORD_ALTERED)
    for path in paths:
        (work_tree / path).write_bytes(agreed)
        repository.run("add", "--", path, cwd=work_tree)
    done = repository.run("commit", "--quiet", "--no-edit", cwd=work_tree)
    if done.returncode != 0:
        raise RepositoryError(f"git commit failed: {done.last_words}", hint="git status")
