"""Shell completion: only requests on which the command can act."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from maa_gitops.cli.invocation import Invocation
    from maa_gitops.workflow.listing import Listed


def complete_request(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the ids of requests that the command can act on; nothing where that cannot be told."""
    from maa_gitops.cli.invocation import Invocation
    from maa_gitops.errors import MaaError
    from maa_gitops.render.text import operations, status_words

    root = ctx.find_root()
    invocation = root.ensure_object(Invocation)
    invocation.directory, invocation.fetch = Path(root.params.get("directory") or "."), False
    try:
        listed = _candidates(invocation)
    except MaaError:
        return []  # a shell that is completing must never see an error
    command = ctx.info_name or ""
    return [
        CompletionItem(item.request.id, help=f"{status_words(item.request)}: {', '.join(operations(item.request))}")
        for item in listed
        if item.request.id.startswith(incomplete) and _can(command, item)
    ]


def _candidates(invocation: "Invocation") -> "tuple[Listed, ...]":
    from maa_gitops.workflow.listing import list_requests

    clone = invocation.open_clone()
    return list_requests(clone, invocation.viewer(clone.tenant), ended=True)


def _can(command: str, item: "Listed") -> bool:
    """Whether a command makes sense on a request."""
    from maa_gitops.model import Status

    approved = item.request.evaluation.status is Status.APPROVED
    merged = item.request.facts.merged is not None
    match command:
        case "approve" | "reject" | "withdraw" | "cancel":
            return any(action.value == command for action in item.acts)
        case "merge":
            return approved and not merged
        case "complete":
            return approved
        case "revert":
            return merged
        case _:
            return True
