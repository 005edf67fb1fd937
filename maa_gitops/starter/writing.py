"""Carrying a plan out, all or nothing."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.git import Identity, RefUpdate, Repository
from maa_gitops.model import Problem
from maa_gitops.starter.values import Plan, Started


def carry_out(repository: Repository, planned: Plan, now: datetime) -> Started:
    """Write what was planned, all or nothing; in a new tenant commit it and pin it in this clone.

    Raises:
        NotAllowedError: the plan has problems; all are told.
        RepositoryError: a file cannot be written, or git refuses.
        RemoteError: ``lostRace``, the branch has moved since.
    """
    if planned.problems:
        raise _refusal(planned.problems)
    commit = None
    with _written(planned):
        if planned.author is not None:
            commit = _committed(repository, planned, planned.author, now)
    if commit is not None:
        _pin(repository, planned.branch, commit)
    return Started(planned.branch, tuple(sorted(planned.files)), commit, planned.notes)


def _refusal(problems: Iterable[Problem]) -> NotAllowedError:
    listed = (f"{p.path}:{p.line}:{p.column}: {p.message}" if p.line else f"{p.path}: {p.message}" for p in problems)
    text = f"this would not make a tenant repository: {'; '.join(listed)}"
    return NotAllowedError(text, hint="move or mend these files, then run init again", code="invalidDocument")


@contextmanager
def _written(planned: Plan) -> Iterator[None]:
    """Write the files; if that fails, or what is done inside the context, leave the folder as it was.

    Raises:
        RepositoryError: a file cannot be written.
    """
    try:
        with ExitStack() as undo:
            for path, content in planned.files.items():
                _write(undo, planned.folder / path, content, is_edit=path in planned.edits)
            yield
            undo.pop_all()
    except OSError as error:
        raise RepositoryError(f"init cannot write its files: {error}", code="writeFailed") from error


def _write(undo: ExitStack, file: Path, content: bytes, *, is_edit: bool) -> None:
    for parent in reversed(file.parents):
        if not parent.exists():
            parent.mkdir()
            undo.callback(parent.rmdir)
    if is_edit:
        undo.callback(file.write_bytes, file.read_bytes())
    else:
        file.touch(exist_ok=False)
        undo.callback(file.unlink)
    file.write_bytes(content)


def _committed(repository: Repository, planned: Plan, author: Identity, now: datetime) -> str:
    """Commit the files and nothing else, whatever else is staged or changed.

    Raises:
        MaaError: git refuses; index and branch are as they were.
    """
    parents = (planned.head,) if planned.head is not None else ()
    message = "Make this a tenant repository"
    commit = repository.write_commit(tree=planned.tree, parents=parents, message=message, identity=author, at=now)
    ref = f"refs/heads/{planned.branch}"
    repository.update_refs([RefUpdate(ref, planned.head, commit)], "maa: init")
    entries = ((path, repository.entry(planned.tree, path)) for path in planned.files)
    lines = "".join(f"{entry.mode} {entry.oid}\t{path}\0" for path, entry in entries if entry is not None).encode()
    done = repository.run("update-index", "-z", "--index-info", cwd=planned.folder, input=lines)
    if done.returncode:
        repository.update_refs([RefUpdate(ref, commit, planned.head)], "maa: init failed")
        raise RepositoryError(f"git does not take the files into its index: {done.last_words}", code="gitFailed")
    return commit


def _pin(repository: Repository, branch: str, commit: str) -> None:
    settings = {"maa.protectedBranch": branch, "maa.trustedStart": commit}
    try:
        for name, value in settings.items():
            repository.set_config(name, value)
    except RepositoryError as error:
        raise RepositoryError(
            f"commit {commit} makes this a tenant repository, but this clone cannot remember it: {error.message}",
            hint=" && ".join(f"git config {name} {value}" for name, value in settings.items()),
            code="gitFailed",
        ) from error
