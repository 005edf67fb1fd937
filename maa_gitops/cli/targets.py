"""The tenant's targets for the commands: contexts, providers, and how merged requests stand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from maa_gitops.model import ACCESS_POLICY_TYPE

if TYPE_CHECKING:
    from maa_gitops.apply import Context, ObjectReach
    from maa_gitops.cli.invocation import Invocation
    from maa_gitops.model import ObjectId, Target, TargetOutcome
    from maa_gitops.providers import Provider, Reach
    from maa_gitops.workflow.clone import Clone
    from maa_gitops.workflow.requests import OutcomeReader, Request


def context_of(clone: "Clone", progress: Callable[[int, int], None] = lambda _done, _all: None) -> "Context":
    """What plan, apply and drift start from."""
    from maa_gitops.apply import Context
    from maa_gitops.workflow.clone import trusted_start

    start = trusted_start(clone.repository, clone.tip)
    return Context(clone.repository, clone.history, start, clone.has_remote, clone.now, progress)


def outcome_reader(clone: "Clone") -> "OutcomeReader":
    """A reader of outcomes for merged requests; receipts are read when the first of them is met."""
    readers: list[OutcomeReader] = []

    def outcomes(commit: str, objects: "tuple[ObjectId, ...]") -> "tuple[TargetOutcome, ...]":
        if not readers:
            from maa_gitops.apply import outcome_reader as reader_of

            readers.append(reader_of(context_of(clone)))
        return readers[0](commit, objects)

    return outcomes


def chosen_targets(clone: "Clone", name: str | None) -> "tuple[Target, ...]":
    """The target that is named, else all of them."""
    targets = clone.tenant.settings.targets
    if name is None:
        return targets
    found = tuple(target for target in targets if target.name == name)
    if not found:
        known = ", ".join(target.name for target in targets) or "none"
        raise click.UsageError(f"there is no target '{name}'; maa.yaml has: {known}")
    return found


def request_reach(invocation: "Invocation", clone: "Clone", request: "Request") -> "list[tuple[str, ObjectReach]]":
    """Whom a change that is not merged reaches, by target, where a target can tell and can be asked.

    It decides nothing: a target that cannot be asked is told beside the answer.
    """
    from maa_gitops.apply import object_reach
    from maa_gitops.change import put_in_place
    from maa_gitops.errors import MaaError

    if not invocation.fetch or request.facts.merged is not None or request.changes is None or request.changes.troubles:
        return []
    objects = [governed for governed in request.operations if governed.type != ACCESS_POLICY_TYPE]
    found: list[tuple[str, ObjectReach]] = []
    for target in clone.tenant.settings.targets if objects else ():
        if target.provider == "local":
            continue  # it knows no people, and looking at a request makes no file of it
        try:
            tree = clone.tree(clone.good)
            trees = (tree, put_in_place(clone.repository, tree, request.changes))
            with provider_of(clone, target) as provider:
                asked = object_reach(clone.repository, trees, objects, provider)
        except MaaError as error:
            invocation.note(f"{target.name} was not asked whom this reaches: {error.message}")
            continue
        found += [(target.name, one) for one in asked]
    return found


def reach_lines(reach: "Sequence[Reach]") -> list[str]:
    """Whom something reaches, a line for each name."""
    return [f"{'no longer reaches' if found.was else 'reaches'} {found.name}{_counted(found)}" for found in reach]


def _counted(found: "Reach") -> str:
    if found.people is None and found.devices is None:
        return ""
    numbers = ((found.people, "people"), (found.devices, "devices"))
    return ": " + ", ".join(f"{number:,} {what}" for number, what in numbers if number is not None)


def reach_plain(reach: "Sequence[Reach]") -> list[dict[str, object]]:
    """Whom something reaches, as plain data."""
    return [{"name": found.name, "people": found.people, "devices": found.devices, "was": found.was} for found in reach]


@contextmanager
def provider_of(
    clone: "Clone", target: "Target", progress: Callable[[int, int], None] = lambda _done, _all: None
) -> "Iterator[Provider]":
    """Open the provider of a target, and close it; ``progress`` is told how far reading it is."""
    from maa_gitops.providers import Surroundings, open_provider

    surroundings = Surroundings(clone.repository.environment, progress)
    provider = open_provider(target, clone.repository.git_dir, surroundings)
    try:
        yield provider
    finally:
        provider.close()
