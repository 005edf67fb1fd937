"""The command that says what fails silently; what is looked for is in ``workflow.linting``."""

from typing import TYPE_CHECKING

import click

from maa_gitops.cli.applying import target_option
from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.cli.targets import chosen_targets, provider_of
from maa_gitops.render.escape import safe_line

if TYPE_CHECKING:
    from maa_gitops.model import Target
    from maa_gitops.providers.graph.linting import NativeApproval
    from maa_gitops.workflow.clone import Clone
    from maa_gitops.workflow.linting import Finding

NO = 3

_COLOURS = {"error": "red", "warning": "yellow", "information": None}


@click.command(epilog="Example:  maa lint --graph")
@click.option("--graph", "on_graph", is_flag=True, help="Ask the targets in Microsoft Graph about their own approval.")
@target_option
@common_options
@click.pass_context
def lint(ctx: click.Context, target: str | None, *, on_graph: bool) -> None:
    """Say what would fail without telling anybody.

    Such as an access policy that hardly anybody can satisfy, or a profile type that none protects.

    It looks at the tip of the protected branch. With --graph it also asks tenants of Intune that have Multi Admin
    Approval of their own whether it can work, and says what is protected only here or only there. Exit code 0 if
    nothing is found, 3 if something is; what is only good to know changes nothing.
    """
    from maa_gitops.model import Level
    from maa_gitops.render.plain import document
    from maa_gitops.tenant import validate
    from maa_gitops.workflow.linting import is_clean, native_findings, repository_findings, unprotected_types

    invocation = ctx.ensure_object(Invocation)
    if target is not None and not on_graph:
        raise click.UsageError("--target goes with --graph")
    clone = invocation.open_clone()
    chosen = _graph_targets(clone, target) if on_graph else ()
    problems = validate(clone.repository, clone.tree(clone.tip))
    findings = [*repository_findings(problems), *unprotected_types(clone.tenant)]
    for one in chosen:
        findings += native_findings(one.name, _native(clone, one), clone.tenant)

    has_errors = any(problem.level is Level.ERROR for problem in problems)

    def text() -> None:
        for finding in findings:
            invocation.say(_line(finding), colour=_COLOURS[finding.level.value])
        if not findings and not has_errors:
            invocation.note("nothing found")

    if has_errors:
        invocation.note(f"errors are not looked at here: maa validate --commit {clone.tip[:12]}")
    invocation.emit(document(findings=[_plain(finding) for finding in findings]), text)
    if has_errors or not is_clean(findings):
        ctx.exit(NO)


def _graph_targets(clone: "Clone", name: str | None) -> "tuple[Target, ...]":
    """The targets to ask; nobody to ask is no "nothing found"."""
    found = tuple(target for target in chosen_targets(clone, name) if target.provider == "graph")
    if not found:
        which = f"target '{name}' is not" if name is not None else "no target in maa.yaml is"
        raise click.UsageError(f"{which} in Microsoft Graph (provider: graph)")
    return found


def _native(clone: "Clone", target: "Target") -> "NativeApproval":
    from maa_gitops.providers.graph.linting import read_native
    from maa_gitops.providers.graph.provider import GraphProvider

    with provider_of(clone, target) as provider:
        if not isinstance(provider, GraphProvider):
            raise TypeError(f"{target.name} is no target in Graph")
        return read_native(provider)


def _line(finding: "Finding") -> str:
    return safe_line(f"{_where(finding)}{finding.level.value}: {finding.message} [{finding.code}]")


def _where(finding: "Finding") -> str:
    if (problem := finding.problem) is not None:
        return f"{problem.path}:{problem.line}:{problem.column}: " if problem.line else f"{problem.path}: "
    if finding.target is None:
        return ""
    return f"{finding.target}: " + (f"policy '{finding.policy}': " if finding.policy is not None else "")


def _plain(finding: "Finding") -> dict[str, object]:
    problem = finding.problem
    return {
        "target": finding.target,
        "policy": finding.policy,
        "group": finding.group,
        "code": finding.code,
        "level": finding.level.value,
        "message": finding.message,
        "path": problem.path if problem is not None else None,
        "line": (problem.line or None) if problem is not None else None,
        "column": (problem.column or None) if problem is not None else None,
    }
