"""Commands to begin with: the demo, a new tenant repository, the schemas."""

import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import click

from maa_gitops.cli.invocation import Invocation, json_text
from maa_gitops.cli.options import common_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from maa_gitops.starter import OnGitHub, Plan

NO = 3


@click.command(
    epilog="Example:  maa init --tenant contoso --account alice=alice.pub --account bob=bob.pub --admin alice"
)
@click.option("--tenant", metavar="NAME", help="The tenant's name; it is part of every signature and never changes.")
@click.option(
    "--account", "accounts", multiple=True, metavar="NAME=PUBLIC_KEY_FILE", help="An account; may be repeated."
)
@click.option("--admin", "admins", multiple=True, metavar="NAME", help="May submit changes to the rules.")
@click.option("--deployer", "deployers", multiple=True, metavar="NAME", help="May apply.")
@click.option(
    "--github",
    "tool",
    metavar="OWNER/NAME@COMMIT",
    help="Add the workflows for GitHub, which run the tool at this commit of its repository.",
)
@click.option("--attestor-key", metavar="PUBLIC_KEY_FILE", help="With --github: of the account that signs for people.")
@click.option("--deployer-key", metavar="PUBLIC_KEY_FILE", help="With --github: of the account that completes.")
@click.option(
    "--login",
    "logins",
    multiple=True,
    metavar="NAME=LOGIN[:NUMBER]",
    help="With --github: who an account is on GitHub, which is asked for the number.",
)
@click.option("--known-hosts", metavar="FILE", help="With --github: the SSH host keys of a server of your own.")
@click.option("--ssh-url", metavar="URL", help="With --github: what stands there before OWNER/NAME; ssh://git@HOST/.")
@common_options
@click.pass_context
def init(
    ctx: click.Context,
    /,
    tenant: str | None,
    accounts: tuple[str, ...],
    admins: tuple[str, ...],
    deployers: tuple[str, ...],
    **on_github: Any,  # noqa: ANN401 - the options that go with --github
) -> None:
    """Make this git repository a tenant repository, or add what is missing to one.

    Without --account your own key and git name make the first account.
    """
    from maa_gitops import starter
    from maa_gitops.render.plain import document, problem_plain

    invocation = ctx.ensure_object(Invocation)
    options = starter.Options(
        tenant,
        tuple(_account_option(given) for given in accounts),
        admins,
        deployers,
        _github_option(invocation, **on_github),
    )
    planned = starter.plan(invocation.repository, options, lambda: _own_key(invocation))
    if planned.problems:
        problems = [problem_plain(problem) for problem in planned.problems]
        invocation.emit(document(problems=problems), lambda: _say_problems(invocation, planned))
        ctx.exit(NO)
    done = starter.carry_out(invocation.repository, planned, invocation.now())

    def text() -> None:
        for path in done.files:
            invocation.say(f"wrote {path}")
        for note in done.notes:
            invocation.say(note)
        if done.commit is not None:
            invocation.say(f"who clones should pin where trust begins: git config maa.trustedStart {done.commit}")

    invocation.emit(
        document(branch=done.branch, files=list(done.files), commit=done.commit, notes=list(done.notes)), text
    )


def _say_problems(invocation: Invocation, planned: "Plan") -> None:
    for problem in planned.problems:
        where = f"{problem.path}:{problem.line}:{problem.column}" if problem.line else problem.path
        invocation.say(f"{where}: {problem.message} [{problem.code}]", colour="red")
    invocation.note("error: these files are in the way; nothing was written")


def _account_option(given: str) -> tuple[str, str]:
    """An account's name and the text of its public key's file."""
    name, equals, file = given.partition("=")
    if not equals or not name or not file:
        raise click.UsageError(f"--account takes NAME=PUBLIC_KEY_FILE, not '{given}'")
    try:
        return name, Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"the public key of {name} cannot be read: {error}") from error


def _github_option(
    invocation: Invocation,
    tool: str | None,
    attestor_key: str | None,
    deployer_key: str | None,
    logins: tuple[str, ...],
    known_hosts: str | None,
    ssh_url: str | None,
) -> "OnGitHub | None":
    """What is asked for with ``--github``."""
    from maa_gitops.model import Role
    from maa_gitops.starter import OnGitHub, parse_tool

    given = {Role.ATTESTOR: attestor_key, Role.DEPLOYER: deployer_key}
    if tool is None:
        if attestor_key or deployer_key or logins or known_hosts or ssh_url:
            raise click.UsageError("options such as --attestor-key and --login go with --github OWNER/NAME@COMMIT")
        return None
    if ssh_url is not None and not ssh_url.startswith("ssh://"):
        raise click.UsageError(f"--ssh-url takes an address that begins with ssh://, not '{ssh_url}'")
    pinned = parse_tool(tool)
    keys = {role: _account_option(f"{role.value}={file}")[1] for role, file in given.items() if file is not None}
    hosts = _account_option(f"known-hosts={known_hosts}")[1] if known_hosts is not None else ""
    people = dict(_login_option(invocation, login) for login in logins)
    return OnGitHub(pinned, keys, people, hosts, ssh_url or "")


def _login_option(invocation: Invocation, given: str) -> tuple[str, tuple[str, int]]:
    """An account's name with its login and number on GitHub; where no number is given GitHub is asked."""
    from maa_gitops.forges import Job, RestClient, find_user

    name, equals, identity = given.partition("=")
    login, colon, number = identity.partition(":")
    if not equals or not name or not login or (colon and not (number.isascii() and number.isdigit())):
        raise click.UsageError(f"--login takes NAME=LOGIN or NAME=LOGIN:NUMBER, not '{given}'")
    if colon:
        return name, (login, int(number))
    job = Job.read(invocation.environment)
    found = find_user(RestClient(job.api_url, job.token, proxy=job.proxy), login)
    if not found.is_person:
        raise click.UsageError(f"--login {name}: {login} is no person on GitHub")
    return name, (found.login, found.id)


def _own_key(invocation: Invocation) -> str:
    """The public key of whoever runs this."""
    from maa_gitops.signing import signing_key

    with signing_key(invocation.key_sources(), held=None) as signer:
        return signer.public_key


@click.command(epilog="Example:  maa demo --keep")
@click.option(
    "--target",
    type=click.Choice(["local", "graph"]),
    default="local",
    help="What is applied to: a local tenant (the default), or an existing Intune, played by an embedded Graph.",
)
@click.option("--keep", is_flag=True, help="Keep the folder, to look around in it.")
@common_options
@click.pass_obj
def demo(invocation: Invocation, target: str, *, keep: bool) -> None:
    """Tell the whole story, for real, in a throw-away folder."""
    from maa_gitops.demo import tell
    from maa_gitops.render.plain import document

    say: Callable[[str], None] = invocation.note if invocation.wants_json else invocation.say
    command = (sys.executable, "-m", "maa_gitops")
    folder = Path(mkdtemp(prefix="maa-demo-"))
    try:
        tell(folder, invocation.environment, say, command, target)
    finally:
        if not keep:
            rmtree(folder, ignore_errors=True)
    invocation.emit(document(folder=str(folder) if keep else None), lambda: None)


@click.command(epilog="Example:  maa schema app > app.schema.json")
@click.argument("name", metavar="[NAME]", required=False)
@common_options
@click.pass_obj
def schema(invocation: Invocation, name: str | None) -> None:
    """Print a JSON Schema, for editors; without a name, list them."""
    from maa_gitops.documents import schema_names, shipped_schema
    from maa_gitops.render.plain import document

    names = sorted(schema_names())
    if name is None:
        invocation.emit(document(schemas=names), lambda: invocation.say("\n".join(names)))
        return
    if name not in names:
        raise click.UsageError(f"there is no schema '{name}'; there are: {', '.join(names)}")
    found = shipped_schema(name)
    invocation.emit(document(name=name, schema=found), lambda: click.echo(json_text(found)))
