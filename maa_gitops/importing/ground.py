"""What importing builds on: the change branch, the tree that its work tree would be, the resources that are there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from maa_gitops.apply.desired import ADOPT, Resources, resources_of
from maa_gitops.documents import read_yaml
from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.model import ObjectId
from maa_gitops.tenant import document_path
from maa_gitops.tenant.load import read_limited
from maa_gitops.tenant.paths import NAME, RECORDS
from maa_gitops.workflow.clone import CHANGE_PREFIX, Clone
from maa_gitops.workflow.requests import request_id
from maa_gitops.workflow.submit import TENANT_PATHS

_BRANCH = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)+")
"""Such names of branches as give an id, and git takes."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where resources are to be written.

    ``start`` is the commit of the branch, or the one to begin it at: it is not there yet if ``is_new``. ``is_here``:
    it is checked out. ``dirty`` are the tenant's paths with uncommitted changes, which ``resources`` have in them.
    """

    clone: Clone
    folder: Path
    branch: str
    start: str
    is_here: bool
    is_new: bool
    dirty: frozenset[str]
    resources: Resources

    def document_path(self, governed: ObjectId) -> str:
        """Where the document of an object lies."""
        return document_path(governed, self.resources.rules.types)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What else whoever submits the branch would ask for, where it is not the one that they are on."""
        if self.is_here:
            return ()
        repository = self.clone.repository
        there = repository.commits_between(self.clone.tip, self.start)
        authors = ", ".join(sorted({repository.commit(found).author.name for found in there}))
        begun = f"{self.branch} has commits already, by {authors}: what they change is asked for as well"
        paths = ", ".join(sorted(self.dirty)[:5]) + (f" and {len(self.dirty) - 5} more" if len(self.dirty) > 5 else "")
        along = f"changes that are not committed come along, and submit -a takes them in: {paths}"
        return (*((begun,) if there else ()), *((along,) if self.dirty else ()))


@dataclass(frozen=True, slots=True)
class Known:
    """What the document of a resource tells of itself: its type, what it is called, what it adopts, by target."""

    governed: ObjectId
    type: object
    display_name: str
    adopt: Mapping[str, str]


def ground_of(clone: Clone, asked: str | None, otherwise: str) -> Ground:
    """Find the change branch to write on: the one asked for, else the one checked out, else ``change/<otherwise>``.

    A branch whose request has landed is not gone on with: another one of that name is begun.

    Raises:
        NotAllowedError: the name asked for gives no id of a request.
        RepositoryError: there is no work tree, or its rules are broken.
    """
    repository = clone.repository
    folder = repository.work_tree
    if folder is None:
        message = f"{repository.git_dir} is a repository without a work tree, and resources are files"
        raise RepositoryError(message, hint="git clone it, and run the command in the clone", code="noWorkTree")
    current = repository.current_branch()
    branch = _branch(clone, current, asked, otherwise)
    start = repository.ref(f"refs/heads/{branch}") or clone.change_branches().get(branch) or clone.tip
    dirty = frozenset(
        path for path in repository.dirty_paths(folder) if path.split("/", 1)[0] in TENANT_PATHS and path[-1] != "/"
    )
    return Ground(
        clone=clone,
        folder=folder,
        branch=branch,
        start=start,
        is_here=branch == current,
        is_new=repository.ref(f"refs/heads/{branch}") is None,
        dirty=dirty,
        resources=resources_of(repository, _tree_with(clone, start, dirty)),
    )


def _branch(clone: Clone, current: str | None, asked: str | None, otherwise: str) -> str:
    if asked is not None:
        branch = CHANGE_PREFIX + asked.removeprefix(CHANGE_PREFIX)
        if not (NAME.fullmatch(request_id(branch)) and _BRANCH.fullmatch(branch)):
            message = f"'{asked}' cannot be the name of a change branch: at most 64 letters, digits, _ and -"
            raise NotAllowedError(message, hint=f"--branch {otherwise}", code="invalidName")
        return branch
    landed = frozenset(_landed(clone))
    if current is not None and current.startswith(CHANGE_PREFIX) and request_id(current) not in landed:
        return current
    names = (otherwise[:64] if number == 1 else f"{otherwise[:60]}-{number}" for number in count(1))
    return CHANGE_PREFIX + next(name for name in names if name not in landed)


def _landed(clone: Clone) -> Iterator[str]:
    """The ids that the records at the tip have taken."""
    repository = clone.repository
    top = repository.entry(clone.tree(clone.tip), RECORDS)
    years = repository.tree(top.oid) if top is not None and top.is_folder else ()
    for year in years:
        if year.is_folder:
            yield from (entry.name.removesuffix(".jsonl") for entry in repository.tree(year.oid))


def _tree_with(clone: Clone, start: str, dirty: frozenset[str]) -> str:
    """The tree of a commit with what is uncommitted in the work tree put in place."""
    repository = clone.repository
    if not dirty:
        return clone.tree(start)
    there = repository.snapshot()
    entries = {path: repository.entry(there, path) for path in dirty}
    taken = {path: (entry.mode, entry.oid) if entry is not None else None for path, entry in entries.items()}
    return repository.replace_paths(clone.tree(start), taken)


def known_resources(resources: Resources) -> tuple[Known, ...]:
    """What the documents of the resources tell of themselves, sorted; one that does not read tells nothing."""
    return tuple(_known(resources, governed) for governed in sorted(resources.files))


def _known(resources: Resources, governed: ObjectId) -> Known:
    data = document_of(resources, document_path(governed, resources.rules.types))
    return Known(governed, data.get("type"), str(data.get("displayName") or data.get("name") or ""), adopted(data))


def document_of(resources: Resources, path: str) -> Mapping[str, object]:
    """What a document says, whether that is sound or not; nothing, if it does not read."""
    entry = resources.repository.entry(resources.tree, path)
    if entry is None or entry.is_folder:
        return {}
    document, _ = read_yaml(read_limited(resources.repository, entry), path)
    return document.data if document is not None and isinstance(document.data, dict) else {}


def adopted(data: Mapping[str, object]) -> dict[str, str]:
    """The ids of the objects that a document adopts, by target."""
    adopt = data.get(ADOPT)
    return {str(target): str(found) for target, found in adopt.items()} if isinstance(adopt, dict) else {}
