"""Support for the tests of applying: tenant repositories in a folder, real git, real keys, and bad providers.

Run as a program it kills apply runs: ``python -m tests.applying FOLDER`` copies ``FOLDER/template`` once for every
step of a run, applies in the copy in a process of its own, and kills that at the step.
"""

import copy
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from maa_gitops.apply import Context, Deployer, Landed, Report, applied, apply, drift, plan
from maa_gitops.git import Identity, RefUpdate, Repository
from maa_gitops.history import Memory, walk
from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, LeftOut, Occasion, Provider, Reach, RemoteObject, open_provider
from maa_gitops.providers.local import LocalProvider
from maa_gitops.receipt import Applied
from maa_gitops.signing import Signer

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TARGET = Target("local", "local")
NAMES = ("alice", "bob", "carol", "dave")
ACCOUNTS = {
    "alice": "roles: [intuneServiceAdministrator, deployer]",
    "bob": "roles: [deployer]",
    "carol": "roles: [intuneServiceAdministrator]",
    "dave": "enabled: false\nroles: [deployer]",
}
SETTINGS = "version: 1\ntenant: contoso\nprotectedBranch: main\ntargets:\n  local: {provider: local}\n"

WEB_APP = "type: webApp\ndisplayName: {name}\npublisher: Contoso\nappUrl: https://{name}.example\n"
ASSIGNED = "assignments:\n- {{intent: {intent}, target: {{group: {group}}}}}\n"
SCRIPT = "type: deviceShellScript\ndisplayName: Rename\nrunAsAccount: system\nscriptFile: {file}\n"


def web_app(name: str, intent: str = "", group: str = "Staff") -> str:
    """An app's document; with an intent it is assigned."""
    return WEB_APP.format(name=name) + (ASSIGNED.format(intent=intent, group=group) if intent else "")


def environment(home: Path) -> dict[str, str]:
    """An environment in which nothing of the developer's is found."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": "2026-11-23T09:00:00Z",
        "GIT_COMMITTER_DATE": "2026-11-23T09:00:00Z",
    }


def git(folder: Path, *arguments: str) -> str:
    """Run git as the tenant's people would."""
    who = ("-c", "user.name=Alice", "-c", "user.email=alice@contoso.com")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, env=environment(folder), check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@dataclass(frozen=True)
class World:
    """A tenant repository: the clone of ``account``, with a remote beside it or none, and everybody's keys."""

    root: Path
    keys: Path
    account: str = "alice"
    clone: str = "clone"
    repository_class: type[Repository] = Repository
    ids: list[int] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The work tree of the clone."""
        return self.root / self.clone

    @property
    def has_remote(self) -> bool:
        """Whether there is a remote."""
        return (self.root / "upstream.git").exists()

    @property
    def branch(self) -> str:
        """The ref under which this clone reads the receipts."""
        return f"refs/{'remotes/origin' if self.has_remote else 'heads'}/maa/applied/local"

    def commit(self, files: Mapping[str, str | bytes | None]) -> str:
        """Commit files to the protected branch, None takes one away; as the first commit also the rules."""
        for path, content in files.items():
            file = self.folder / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-qm", "change")
        if self.has_remote:
            git(self.folder, "push", "-q", "origin", "main")
        return git(self.folder, "rev-parse", "main")

    def repository(self) -> Repository:
        """Open the clone."""
        return self.repository_class.open(self.folder, environment(self.root))

    def context(self, minutes: float = 0) -> Context:
        """The clone as a command sees it, some minutes after ``NOW``."""
        repository = self.repository()
        if self.has_remote:
            repository.fetch()
        tip = repository.ref(f"refs/{'remotes/origin' if self.has_remote else 'heads'}/main")
        assert tip is not None
        start = git(self.folder, "rev-list", "--max-parents=0", tip)
        now = NOW + timedelta(minutes=minutes)
        return Context(repository, walk(repository, Memory(start), tip, now), start, self.has_remote, now)

    def signer(self, account: str) -> Signer:
        """The key of an account."""
        file = self.keys / account
        kind, key, *_ = file.with_suffix(".pub").read_text().split()
        return Signer(f"{kind} {key}", file, environment(self.root))

    def deployer(self) -> Deployer:
        """Who applies in this clone; ids are counted."""

        def new_id() -> str:
            self.ids.append(0)
            return f"{self.clone}-{len(self.ids)}"

        return Deployer(self.account, self.signer(self.account).sign, Identity("A", "a@contoso.com"), new_id)

    def provider(self) -> Provider:
        """Open the local tenant of this clone; the caller closes it."""
        return open_provider(TARGET, self.folder / ".git")

    def apply(
        self,
        minutes: float = 0,
        *,
        wrap: "Callable[[Provider], Provider]" = lambda provider: provider,
        rebuild: bool = False,
        requests: Mapping[str, Sequence[Landed]] | None = None,
    ) -> Report:
        """Apply the tip to the local tenant."""
        provider = self.provider()
        try:
            context = self.context(minutes)
            return apply(context, self.deployer(), TARGET, wrap(provider), rebuild=rebuild, requests=requests)
        finally:
            provider.close()

    def plan(self, tree: str | None = None) -> Report:
        """Plan."""
        provider = self.provider()
        try:
            return plan(self.context(), TARGET, provider, tree=tree)
        finally:
            provider.close()

    def drift(self) -> Report:
        """Look for drift."""
        provider = self.provider()
        try:
            return drift(self.context(), TARGET, provider)
        finally:
            provider.close()

    def objects(self) -> dict[str, RemoteObject]:
        """What the local tenant holds, by mark."""
        provider = self.provider()
        try:
            found = list(provider.objects().values())
        finally:
            provider.close()
        marked = {str(remote.marker): remote for remote in found}
        assert len(marked) == len(found)
        return marked

    def names(self) -> set[str]:
        """The names of what the local tenant holds."""
        return {marker.removeprefix("maa:contoso:") for marker in self.objects()}

    def other_clone(self, clone: str, account: str) -> "World":
        """Somebody else's clone of the same remote."""
        git(self.root, "clone", "-q", "upstream.git", clone)
        return replace(self, clone=clone, account=account, ids=[])


def make_keys(folder: Path) -> Path:
    """Make a key for everybody."""
    folder.mkdir(parents=True)
    for name in (*NAMES, "mallory"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name], check=True)
    return folder


def make_world(root: Path, keys: Path, *, has_remote: bool = True, settings: str = SETTINGS) -> World:
    """Make a tenant repository with accounts and without access policies."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main", "clone")
    if has_remote:
        git(root, "init", "-q", "--bare", "-b", "main", "upstream.git")
        git(root / "clone", "remote", "add", "origin", "../upstream.git")
    world = World(root, keys)
    files = {}
    for name, rest in ACCOUNTS.items():
        key = keys.joinpath(f"{name}.pub").read_text()
        files[f"accounts/{name}.yaml"] = f"displayName: {name}\nsigningKeys:\n- {key}{rest}\n"
    world.commit({"maa.yaml": settings, **files})
    return world


def operations(report: Report) -> dict[str, str]:
    """What a report says of each object."""
    return {
        result.object: result.operation.value + (f" {result.outcome}" if result.outcome else "")
        for result in report.objects
    }


def received(world: World, minutes: float = 60) -> Applied:
    """What the receipts branch holds, verified."""
    return applied(world.context(minutes), "local")


Answer = TypeVar("Answer")

# --- providers that behave badly -------------------------------------------------------------------------------------


class Wrapped:
    """A provider that tells of every call, before and after it."""

    def __init__(self, provider: Provider, tell: Callable[[str], None]) -> None:
        self.provider = provider
        self.tell = tell
        self.occasions: list[Occasion] = []

    @property
    def store(self) -> str:
        """As the provider."""
        return self.provider.store

    def takes(self, profile_type: str) -> bool:
        """As the provider."""
        return self.provider.takes(profile_type)

    def as_sent(self, desired: DesiredObject) -> DesiredObject:
        """As the provider."""
        return self.provider.as_sent(desired)

    def objects(self) -> Mapping[str, RemoteObject]:
        """As the provider."""
        return self._called("objects", self.provider.objects)

    def left_out(self) -> tuple[LeftOut, ...]:
        """As the provider."""
        return self.provider.left_out()

    def obstacle(self, remote: RemoteObject | None, desired: DesiredObject) -> str | None:
        """As the provider."""
        return self.provider.obstacle(remote, desired)

    def reach(self, assignments: Sequence[Mapping[str, object]]) -> tuple[Reach, ...]:
        """As the provider."""
        return self.provider.reach(assignments)

    def on(self, occasion: Occasion) -> "Wrapped":
        """As the provider, told of the calls as well."""
        self.occasions.append(occasion)
        return replace_provider(self, self.provider.on(occasion))

    def find(self, marker: str) -> str | None:
        """As the provider."""
        return self._called(f"find {marker}", lambda: self.provider.find(marker))

    def create(self, desired: DesiredObject, marker: str) -> str:
        """As the provider."""
        return self._called(f"create {marker}", lambda: self.provider.create(desired, marker))

    def update(self, remote_id: str, desired: DesiredObject, marker: str) -> None:
        """As the provider."""
        self._called(f"update {marker}", lambda: self.provider.update(remote_id, desired, marker))

    def assign(self, remote_id: str, assignments: Sequence[Mapping[str, object]]) -> None:
        """As the provider."""
        self._called("assign", lambda: self.provider.assign(remote_id, assignments))

    def delete(self, remote_id: str) -> None:
        """As the provider."""
        self._called("delete", lambda: self.provider.delete(remote_id))

    def close(self) -> None:
        """As the provider."""
        self.provider.close()

    def _called(self, what: str, call: Callable[[], Answer]) -> Answer:
        self.tell(what)
        answer = call()
        self.tell(f"done {what}")
        return answer


def replace_provider(wrapped: Wrapped, provider: Provider) -> Wrapped:
    """The same wrapper around another provider; what it overrides stays overridden."""
    other = copy.copy(wrapped)
    other.provider = provider
    return other


# --- killing ---------------------------------------------------------------------------------------------------------

_steps_left = 0


def _step(_what: str = "") -> None:
    """Die if this is the step to die at."""
    global _steps_left  # noqa: PLW0603 - a killed process leaves nothing else to count in
    _steps_left -= 1
    if _steps_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


class MortalRepository(Repository):
    """A repository whose writes and pushes can be died at, before and after."""

    def update_refs(self, updates: Sequence[RefUpdate], message: str) -> None:
        """Move refs."""
        _step()
        super().update_refs(updates, message)
        _step()

    def push(self, updates: Sequence[RefUpdate]) -> None:
        """Push."""
        _step()
        super().push(updates)
        _step()

    def write_commit(self, *, tree: str, parents: Sequence[str], message: str, identity: Identity, at: datetime) -> str:
        """Store a commit."""
        _step()
        return super().write_commit(tree=tree, parents=parents, message=message, identity=identity, at=at)


def _apply_until_killed(world: World, step: int) -> None:
    """Apply in this process, which dies at the step, if the run has so many."""
    global _steps_left  # noqa: PLW0603 - as above
    provider = world.provider()
    context = world.context(1)
    deployer = world.deployer()

    def sign(payload: bytes, namespace: str) -> str:
        _step()
        return deployer.sign(payload, namespace)

    if not world.has_remote and isinstance(
        provider, LocalProvider
    ):  # every statement of the database is a step of its own, COMMIT included
        provider._connection.set_trace_callback(_step)
    _steps_left = step
    apply(context, replace(deployer, sign=sign), TARGET, Wrapped(provider, _step))


def kill_at_every_step(folder: Path) -> int:
    """Kill a run at its first step, in another copy at its second, and so on; returns how many steps it has."""
    for step in range(1, 1000):
        root = folder / str(step)
        shutil.copytree(folder / "template", root)
        child = os.fork()
        if child == 0:
            _apply_until_killed(World(root, folder / "keys", repository_class=MortalRepository), step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return step - 1
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"step {step}: the run failed")
    raise SystemExit("the run never ends")


if __name__ == "__main__":
    sys.stdout.write(f"{kill_at_every_step(Path(sys.argv[1]))}\n")
