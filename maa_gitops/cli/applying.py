"""Commands that speak with the tenant's targets: plan, apply, drift, tenant."""

from typing import TYPE_CHECKING

import click

from maa_gitops.cli.completion import complete_request
from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.cli.serving import serve
from maa_gitops.cli.targets import chosen_targets, context_of, provider_of, reach_lines, reach_plain
from maa_gitops.render.escape import safe_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maa_gitops.apply import Report
    from maa_gitops.model import Target, Tenant
    from maa_gitops.providers import RemoteObject
    from maa_gitops.workflow.acts import Actor
    from maa_gitops.workflow.clone import Clone

NO = 3
CANNOT = 4

target_option = click.option("--target", "target", metavar="T", help="Only this target of maa.yaml; else every one.")


def deployers(tenant: "Tenant") -> list[str]:
    """The accounts that may apply."""
    from maa_gitops.model import Role

    return sorted(a.name for a in tenant.accounts.values() if a.enabled and Role.DEPLOYER in a.roles)


@click.command(epilog="Example:  maa plan update-company-portal")
@click.argument("request", metavar="[ID]", required=False, shell_complete=complete_request)
@target_option
@click.option("--exit-code", is_flag=True, help="Exit with 3 if there is something to do.")
@common_options
@click.pass_context
def plan(ctx: click.Context, request: str | None, target: str | None, *, exit_code: bool) -> None:
    """Say what apply would do; with ID, what completing that request would do.

    Exit code 4 if something could not be applied, such as an assignment to a group that the target does not have.
    """
    from maa_gitops.apply import plan as plan_target
    from maa_gitops.workflow.landed import landed_since

    invocation = ctx.ensure_object(Invocation)
    clone = invocation.open_clone()
    tree = _tree_with(invocation, clone, request) if request is not None else None
    reports = []
    for chosen in chosen_targets(clone, target):
        with invocation.progress("comparing") as progress, provider_of(clone, chosen, progress) as provider:
            requests = landed_since(clone, _last_applied(clone, chosen))
            reports.append(plan_target(context_of(clone, progress), chosen, provider, tree=tree, requests=requests))
    _put_out(invocation, reports, "nothing to do", with_text=True)
    if any(report.failed for report in reports):
        ctx.exit(CANNOT)
    if exit_code and any(report.objects for report in reports):
        ctx.exit(NO)


def _tree_with(invocation: Invocation, clone: "Clone", named: str) -> str:
    """The tree that completing a request would make."""
    from maa_gitops.change import put_in_place
    from maa_gitops.cli.reading import read_named
    from maa_gitops.errors import NotAllowedError
    from maa_gitops.model import ReasonCode

    request = read_named(invocation, clone, named)
    if request.facts.merged is not None:
        return clone.tree(clone.tip)
    if request.changes is None or request.changes.troubles:
        raise NotAllowedError(
            f"the change of '{request.id}' cannot be computed", hint=f"maa show {request.id}", code=ReasonCode.OUTDATED
        )
    return put_in_place(clone.repository, clone.tree(clone.tip), request.changes)


def _last_applied(clone: "Clone", target: "Target") -> str | None:
    """The commit of the newest receipt; None if there is none that reads."""
    from maa_gitops.apply import applied
    from maa_gitops.errors import MaaError

    try:
        newest = applied(context_of(clone), target.name).newest
    except MaaError:
        return None  # which requests led here is told as far as it can be; apply itself reports the receipts
    return newest.commit if newest is not None else None


@click.command(epilog="Example:  maa apply --target local")
@target_option
@click.option("--rebuild", is_flag=True, help="Start a new chain of receipts where the old one does not read.")
@common_options
@click.pass_context
def apply(ctx: click.Context, target: str | None, *, rebuild: bool) -> None:
    """Bring the targets to what was approved, after verifying history."""
    invocation = ctx.ensure_object(Invocation)
    clone = invocation.open_clone()
    with invocation.actor(clone.tenant) as actor:
        reports = _apply(invocation, clone, actor, target, rebuild=rebuild)
    _put_out(invocation, reports, "up to date", with_text=False)
    if any(report.failed for report in reports):
        ctx.exit(CANNOT)


def apply_all(invocation: Invocation, clone: "Clone", actor: "Actor") -> bool:
    """Apply to every target after a merge, telling what happened beside the answer; whether all went well."""
    from maa_gitops.errors import MaaError

    try:
        reports = _apply(invocation, clone, actor, None, rebuild=False)
    except MaaError as error:
        invocation.note(f"merged, but not applied: {error.message}")
        if error.hint:
            invocation.note(f"hint: {error.hint}")
        return False
    for report in reports:
        for line in _lines(report):
            invocation.note(line)
    return not any(report.failed for report in reports)


def _apply(
    invocation: Invocation, clone: "Clone", actor: "Actor", target: str | None, *, rebuild: bool
) -> "list[Report]":
    from maa_gitops.apply import Deployer
    from maa_gitops.apply import apply as apply_target
    from maa_gitops.workflow.landed import landed_since

    deployer: Deployer = Deployer(actor.account.name, actor.sign, actor.identity)
    reports = []
    for chosen in chosen_targets(clone, target):
        with (
            invocation.progress(f"applying to {chosen.name}") as progress,
            provider_of(clone, chosen, progress) as provider,
        ):
            requests = landed_since(clone, _last_applied(clone, chosen))
            context = context_of(clone, progress)
            reports.append(apply_target(context, deployer, chosen, provider, rebuild=rebuild, requests=requests))
    return reports


@click.command(epilog="Example:  maa drift --target local --open-request")
@target_option
@click.option(
    "--open-request", "opens", is_flag=True, help="Write what is there to a change branch, to ask for its approval."
)
@common_options
@click.pass_context
def drift(ctx: click.Context, target: str | None, *, opens: bool) -> None:
    """Report what was changed on the targets around the gate. Exit code 3 if there is something.

    With --open-request resources are brought to what the target holds, on a change branch that nobody has approved yet.
    """
    from maa_gitops.apply import drift as find_drift

    invocation = ctx.ensure_object(Invocation)
    clone = invocation.open_clone()
    if opens:
        _open_request(ctx, invocation, clone, target)
        return
    reports = []
    for chosen in chosen_targets(clone, target):
        waiting = invocation.progress("reading the target")
        with waiting as progress, provider_of(clone, chosen, progress) as provider:
            reports.append(find_drift(context_of(clone, progress), chosen, provider))
    _put_out(invocation, reports, "no drift", with_text=True)
    if any(report.objects for report in reports):
        ctx.exit(NO)


def _open_request(ctx: click.Context, invocation: Invocation, clone: "Clone", target: str | None) -> None:
    """Report the drift of one target, and write the change that takes it over."""
    from maa_gitops.apply.drifting import drifted
    from maa_gitops.cli.importing import plan_plain, say_next, say_plan, say_warnings
    from maa_gitops.importing import carry_out, ground_of, plan_to_take_over
    from maa_gitops.render.plain import document

    targets = chosen_targets(clone, target)
    if len(targets) != 1:
        raise click.UsageError("--open-request takes over what one target holds; name it with --target")
    with invocation.progress("reading the target") as progress, provider_of(clone, targets[0], progress) as provider:
        report, found = drifted(context_of(clone, progress), targets[0], provider)
        ground = ground_of(clone, None, f"drift-{report.target}")
        planned = plan_to_take_over(ground, targets[0], found, provider.as_sent, progress)
    carry_out(ground, planned)

    def text() -> None:
        for line in _lines(report, "no drift"):
            invocation.say(safe_line(line))
        _say_differences(invocation, report)
        if report.objects:
            invocation.say()
            say_plan(invocation, ground, planned, is_done=True)
        if planned.files:
            say_next(invocation, f"Take over what {report.target} holds")

    say_warnings(invocation, planned)
    invocation.emit(document(**_report_plain(report), **plan_plain(ground, planned)), text)
    if report.objects:
        ctx.exit(NO)


@click.group(invoke_without_command=True, epilog="Example:  maa tenant --format json")
@target_option
@common_options
@click.pass_context
def tenant(ctx: click.Context, target: str | None) -> None:
    """Show what the targets hold; with a command below, serve one."""
    if ctx.invoked_subcommand is None:
        _show_tenant(ctx.ensure_object(Invocation), target)
    elif target is not None:
        raise click.UsageError(f"--target goes after '{ctx.invoked_subcommand}'")


tenant.add_command(serve)


def _show_tenant(invocation: Invocation, target: str | None) -> None:
    from maa_gitops.render.plain import document

    clone = invocation.open_clone()
    rows = []
    for chosen in chosen_targets(clone, target):
        with invocation.progress("reading the target") as progress, provider_of(clone, chosen, progress) as provider:
            rows += [
                {
                    "target": chosen.name,
                    "remoteId": remote.remote_id,
                    "profileType": remote.held.profile_type,
                    "marker": remote.marker,
                    "properties": dict(remote.held.data),
                    "assignments": [dict(assignment) for assignment in remote.held.assignments],
                }
                for remote in sorted(provider.objects().values(), key=_by_type_and_marker)
            ]

    def text() -> None:
        heads = ("Target", "Type", "Name", "Marker", "Assignments", "Id")
        invocation.table(heads, [_tenant_row(row) for row in rows])
        if not rows:
            invocation.note("this clone's copy of the targets holds nothing; maa apply brings what was approved")

    invocation.emit(document(objects=rows), text)


def _by_type_and_marker(remote: "RemoteObject") -> tuple[str, str, str]:
    return (remote.held.profile_type, remote.marker or "", remote.remote_id)


def _tenant_row(row: "Mapping[str, object]") -> tuple[str, ...]:
    properties, assignments = row["properties"], row["assignments"]
    name = properties.get("displayName", "") if isinstance(properties, dict) else ""
    count = len(assignments) if isinstance(assignments, list) else 0
    names = (row["target"], row["profileType"], name, row["marker"] or "-", count, row["remoteId"])
    return tuple(str(value) for value in names)


def _put_out(invocation: Invocation, reports: "Sequence[Report]", nothing: str, *, with_text: bool) -> None:
    """Put out reports: one document for one target, a list of them for several."""
    from maa_gitops.render.plain import document

    def text() -> None:
        for report in reports:
            for line in _lines(report, nothing):
                invocation.say(safe_line(line))
            if with_text:
                _say_differences(invocation, report)
        if not reports:
            invocation.note("maa.yaml has no targets")

    plain = [_report_plain(report) for report in reports]
    invocation.emit(document(**plain[0]) if len(plain) == 1 else document(targets=plain), text)


def _say_differences(invocation: Invocation, report: "Report") -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for found in report.objects:
        if found.text:
            invocation.say()
            invocation.say(f"# {found.operation.value} {found.object}", bold=True)
        for line in found.text.split("\n") if found.text else ():
            invocation.say(line, colour=colours.get(line[:1]))


def _lines(report: "Report", nothing: str = "up to date") -> list[str]:
    at = f" at {report.commit[:12]}" if report.commit is not None else ""
    from maa_gitops.render.text import counted

    count = counted(len(report.objects), "object") if report.objects else nothing
    lines = [f"{report.target}{at}: {report.message or count}"]
    for found in report.objects:
        requests = f" ({', '.join(found.requests)})" if found.requests else ""
        outcome = f": {found.outcome}" if found.outcome is not None else ""
        message = f" - {found.message}" if found.message else ""
        lines.append(f"  {found.operation.value} {found.object}{requests}{outcome}{message}")
        lines += [f"    {line}" for line in reach_lines(found.reach)]
    if report.not_compared is not None:
        lines.append(f"  not compared: {report.not_compared}")
    return lines


def _report_plain(report: "Report") -> dict[str, object]:
    return {
        "target": report.target,
        "commit": report.commit,
        "message": report.message,
        "notCompared": report.not_compared,
        "objects": [
            {
                "object": found.object,
                "operation": found.operation.value,
                "requests": list(found.requests),
                "outcome": found.outcome,
                "message": found.message,
                "text": found.text,
                "reach": reach_plain(found.reach),
            }
            for found in report.objects
        ],
    }
