"""Carrying a plan out: going to the change branch, writing its files, all or nothing. Nothing is committed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from maa_gitops.errors import RepositoryError
from maa_gitops.importing.ground import Ground
from maa_gitops.importing.values import Plan


def carry_out(ground: Ground, planned: Plan) -> None:
    """Check out the change branch, and begin it if need be; then write the files. A plan without files does nothing.

    Raises:
        RepositoryError: git refuses, for uncommitted work say; or a file cannot be written, or was just edited. No
            file is changed then.
    """
    if planned.files:
        _refuse_edited(ground, planned)
        _go(ground)
        with _translated(), ExitStack() as undo:
            for path, content in planned.files.items():
                _put(undo, ground.folder, path, content)
            undo.pop_all()


def _refuse_edited(ground: Ground, planned: Plan) -> None:
    """Refuse to write over what somebody did while the plan was made: what was uncommitted before is not in it."""
    edited = next((path for path in ground.clone.repository.dirty_paths(ground.folder) if path in planned.files), None)
    if edited is not None:
        message = f"{edited} was changed in the meantime"
        raise RepositoryError(message, hint="run the command again", code="dirtyWorkTree")


def _go(ground: Ground) -> None:
    """Check out the branch; git carries uncommitted work along, or refuses."""
    if ground.is_here:
        return
    begin = ("-c", ground.branch, "--no-track", ground.start)
    done = ground.clone.repository.run(
        "switch", "--quiet", *(begin if ground.is_new else (ground.branch,)), cwd=ground.folder
    )
    if done.returncode:
        message = f"git does not switch to {ground.branch}: {done.last_words}"
        if ground.dirty:
            hint, code = "commit or stash your work, then run the command again", "dirtyWorkTree"
        else:
            hint, code = "maa import --branch NAME takes another branch; git status tells more", "gitFailed"
        raise RepositoryError(message, hint=hint, code=code)


def _put(undo: ExitStack, folder: Path, path: str, content: bytes | None) -> None:
    """Write one file or take it away, so that it can be undone."""
    file = folder / path
    _make_folders(undo, folder, path)
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise OSError(f"{path} is no regular file")
    if file.exists():
        undo.callback(file.write_bytes, file.read_bytes())
    elif content is not None:
        undo.callback(file.unlink, missing_ok=True)
    if content is None:
        file.unlink(missing_ok=True)
    else:
        file.write_bytes(content)


def _make_folders(undo: ExitStack, folder: Path, path: str) -> None:
    place = folder
    for part in path.split("/")[:-1]:
        place /= part
        if place.is_symlink():
            raise OSError(f"{place} is a symbolic link")
        if not place.exists():
            place.mkdir()
            undo.callback(place.rmdir)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RepositoryError(f"the resources cannot be written: {error}", code="writeFailed") from error
