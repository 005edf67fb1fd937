"""What a step may not do to the shape of the tree and to the rules, whoever approved it."""

from collections.abc import Iterable

from maa_gitops.change import ChangeSet, between
from maa_gitops.git import Repository
from maa_gitops.history.verdict import Good, Violation, fault
from maa_gitops.model import ReasonCode
from maa_gitops.tenant import Kind, Loaded, load, place
from maa_gitops.tenant.paths import SETTINGS
from maa_gitops.tenant.resources import resource_paths


def shape_faults(repository: Repository, good: Good, tree: str) -> tuple[Violation, ...]:
    """What a tree may not look like after a step from G, whoever approved it: names, modes, broken rules.

    Raises:
        RepositoryError: ``malformedTree``, if a tree on the way cannot be read.
    """
    step = between(repository, repository.commit(good.commit).tree, tree, good.tenant.settings.profile_types)
    after = load(repository, tree)
    return (
        *_place_faults(good, step),
        *_new_twins(repository, good, tree, step),
        *_rule_faults(repository, good, tree, after),
    )


def _place_faults(good: Good, step: ChangeSet) -> list[Violation]:
    """Refused places, and wrong names and modes where they matter: on protected paths and records."""
    faults = []
    for path, text in sorted(step.new_troubles.items()):
        where = step.places[path]
        covered = where.governed is not None and good.tenant.protects(where.governed)
        if covered or where.kind in (Kind.REFUSED, Kind.COMPANION):
            faults.append(fault(ReasonCode.MALFORMED_TREE, f"{path}: {text}", [path]))
    return faults


def _new_twins(repository: Repository, good: Good, tree: str, step: ChangeSet) -> list[Violation]:
    """Names that differ only by case, in folders that the step touched under the tool's own paths."""
    before = repository.commit(good.commit).tree
    watched = {
        path for path, where in step.places.items() if where.kind is not Kind.FREE and step.differences.get(path)
    }
    faults = []
    for folder in sorted({parent for path in {*watched, *step.records} for parent in _folders_of(path)}):
        old = _names(repository, before, folder)
        for twins in _twins(_names(repository, tree, folder)):
            if not twins <= old:
                paths = [f"{folder}/{name}" for name in sorted(twins)]
                faults.append(fault(ReasonCode.MALFORMED_TREE, f"{' and '.join(paths)} differ only by case", paths))
    return faults


def _folders_of(path: str) -> list[str]:
    """The folders that a path lies in, the root left out."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _twins(names: Iterable[str]) -> list[frozenset[str]]:
    """Names that differ only by case, together."""
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(name.casefold(), set()).add(name)
    return [frozenset(twins) for twins in found.values() if len(twins) > 1]


def _names(repository: Repository, tree: str, folder: str) -> frozenset[str]:
    top = repository.entry(tree, folder)
    if top is None or not top.is_folder:
        return frozenset()
    return frozenset(entry.name for entry in repository.tree(top.oid))


def _rule_faults(repository: Repository, good: Good, tree: str, after: Loaded) -> list[Violation]:
    """Rules that are broken after the step, or that may never change."""
    if after.tenant is None:
        return [
            fault(ReasonCode.INVALID_DOCUMENT, f"{problem.path}: {problem.message}", [problem.path])
            for problem in after.errors
        ]
    old, new = good.tenant.settings, after.tenant.settings
    faults = []
    if (old.tenant, old.protected_branch) != (new.tenant, new.protected_branch):
        faults.append(fault(ReasonCode.INVALID_DOCUMENT, "tenant and protectedBranch never change", [SETTINGS]))
    if old.profile_types != new.profile_types:
        lost = [
            path
            for path, _ in resource_paths(repository, tree)
            if place(path, new.profile_types).kind is Kind.REFUSED
            and place(path, old.profile_types).kind is not Kind.REFUSED
        ]
        if lost:
            text = f"{lost[0]} would belong to no profile type any more ({len(lost)} files)"
            faults.append(fault(ReasonCode.INVALID_DOCUMENT, text, lost))
    return faults
