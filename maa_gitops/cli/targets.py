"""The tenant's targets for the commands: contexts, providers, and how merged requests stand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from maa_gitops.apply import Context
    from maa_gitops.model import ObjectId, Target, TargetOutcome
    from maa_gitops.providers import Provider
    from maa_gitops.workflow.clone import Clone
    from maa_gitops.workflow.requests import OutcomeReader


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


@contextmanager
def provider_of(clone: "Clone", target: "Target") -> "Iterator[Provider]":
    """Open the provider of a target, and close it."""
    from maa_gitops.providers import open_provider

    provider = open_provider(target, clone.repository.git_dir)
    try:
        yield provider
    finally:
        provider.close()
