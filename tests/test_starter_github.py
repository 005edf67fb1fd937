"""``init --github``: workflows, template, service accounts, numbers, and what access policies accept."""

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.support import Answer, World
from tests.support.github import FakeGitHub
from tests.support.on_github import NUMBERS, login
from tests.support.process import run_process
from tests.support.world import run_maa

PIN = "0123456789abcdef0123456789abcdef01234567"
TOOL = f"maa-gitops/maa-gitops@{PIN}"


@pytest.fixture
def empty(tmp_path: Path) -> World:
    """People with keys and an empty repository."""
    world = World(tmp_path)
    for name in ("alice", "bob", "carol"):
        world.person(name)
    for name in ("maa-attestor", "maa-deployer"):
        world.key(name)
    world.alice.git("switch", "-q", "--orphan", "main")
    return world


def public(world: World, name: str) -> str:
    """The file of a public key."""
    return str(world.folder / "keys" / f"{name}.pub")


def init(world: World, *arguments: str, code: int = 0, **more: str) -> Answer:
    """Run ``init`` as alice."""
    with world.environment("alice"):
        os.environ.update(more)
        answer = run_maa("-C", str(world.alice.clone), "--key", str(world.alice.key), "init", *arguments)
    assert answer.code == code, answer
    return answer


def found(world: World, *more: str) -> Answer:
    """Make a tenant of three people on GitHub."""
    accounts = [f"--account={name}={public(world, name)}" for name in ("alice", "bob", "carol")]
    keys = [f"--{role}-key={public(world, f'maa-{role}')}" for role in ("attestor", "deployer")]
    return init(
        world, "--tenant", "contoso", *accounts, "--admin=alice", "--admin=bob", f"--github={TOOL}", *keys, *more
    )


def test_a_new_tenant_is_ready_for_github(empty: World) -> None:
    """Workflows pinned by commit, a template with the section, both service accounts, attested apps and scripts."""
    answer = found(empty, "--login=alice=alice-hub:583231")
    clone = empty.alice.clone
    files = sorted(path.name for path in (clone / ".github" / "workflows").iterdir())
    assert files == [f"maa-{name}.yml" for name in ("complete", "gate", "merge-group", "nightly", "record", "review")]
    assert "## Business justification" in (clone / ".github" / "pull_request_template.md").read_text()
    accounts = {name: yaml.safe_load((clone / "accounts" / f"{name}.yaml").read_text()) for name in
                ("alice", "maa-attestor", "maa-deployer")}  # fmt: skip
    assert accounts["alice"]["github"] == {"login": "alice-hub", "id": 583231}
    assert [(accounts[n]["kind"], accounts[n]["roles"]) for n in ("maa-attestor", "maa-deployer")] == [
        ("service", ["attestor"]),
        ("service", ["deployer"]),
    ]
    attested = {
        path.stem: yaml.safe_load(path.read_text()).get("attested", False) for path in (clone / "policies").iterdir()
    }
    assert attested == {"access-policies": False, "apps": True, "scripts": True}
    assert "changes to the access policies themselves still need signatures with people's own keys" in answer.out
    assert empty.alice.maa("validate").code == 0


def test_every_use_in_the_workflows_is_pinned(empty: World) -> None:
    """What the workflows use is named by all 40 digits of a commit; nothing of a template is left over."""
    found(empty)
    for path in sorted((empty.alice.clone / ".github" / "workflows").iterdir()):
        text = path.read_text()
        assert "__" not in text
        uses = re.findall(r"(?<!\w)uses: (\S+)", text)
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", use) for use in uses), (path.name, uses)


@pytest.mark.parametrize("tool", ["maa-gitops/maa-gitops@v1", "maa-gitops/maa-gitops", f"x@{PIN}", f"a/b@{PIN[:39]}"])
def test_a_tool_that_is_not_pinned_is_refused(empty: World, tool: str) -> None:
    """A tag or a branch can be moved to other code."""
    answer = init(empty, "--tenant", "contoso", f"--github={tool}", code=3)
    assert "does not pin the tool" in answer.err
    assert not (empty.alice.clone / "maa.yaml").exists()


def test_numbers_are_asked_of_github(empty: World) -> None:
    """``--login NAME=LOGIN`` takes the number that GitHub gives for the login today."""
    with FakeGitHub() as fake:
        fake.user(login("alice"), id=NUMBERS["alice"])
        accounts = [f"--account={name}={public(empty, name)}" for name in ("alice", "bob")]
        init(
            empty, "--tenant", "contoso", *accounts, f"--github={TOOL}", f"--login=alice={login('alice')}",
            GITHUB_API_URL=fake.url,
        )  # fmt: skip
        assert fake.violations == []
    text = (empty.alice.clone / "accounts" / "alice.yaml").read_text()
    assert yaml.safe_load(text)["github"] == {"login": login("alice"), "id": NUMBERS["alice"]}


def test_a_bot_is_nobodys_login(empty: World) -> None:
    """A login of an app is refused."""
    with FakeGitHub() as fake:
        fake.user("helper[bot]", type="Bot")
        accounts = [f"--account={name}={public(empty, name)}" for name in ("alice", "bob")]
        answer = init(
            empty, "--tenant", "contoso", *accounts, f"--github={TOOL}", "--login=alice=helper[bot]", code=2,
            GITHUB_API_URL=fake.url,
        )  # fmt: skip
    assert "is no person on GitHub" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--login=alice=alice-hub",), "go with --github"),
        (("--attestor-key=x",), "go with --github"),
        ((f"--github={TOOL}", "--login=alice"), "--login takes NAME=LOGIN"),
        ((f"--github={TOOL}", "--login=alice=x:y"), "--login takes NAME=LOGIN"),
        ((f"--github={TOOL}", "--login=alice=x:٣"), "--login takes NAME=LOGIN"),
    ],
)
def test_wrong_usage_says_what_is_expected(empty: World, arguments: tuple[str, ...], words: str) -> None:
    """Options that do not go together, or are not of their form, are wrong usage."""
    assert words in init(empty, "--tenant", "contoso", *arguments, code=2).err


def test_a_login_of_nobody_is_refused(empty: World) -> None:
    """A login is given for an account that is not there."""
    answer = init(empty, "--tenant", "contoso", f"--github={TOOL}", "--login=eve=eve:7", code=3)
    assert "--login eve: there is no such account" in answer.err


def test_an_existing_tenant_gets_what_is_missing_on_a_change_branch(world: World) -> None:
    """Accounts get their numbers, policies accept sign-off, all else in the files is kept; the request is submitted."""
    for name in ("maa-attestor", "maa-deployer"):
        world.key(name)
    alice = world.alice
    before = (alice.clone / "policies" / "apps.yaml").read_text()
    alice.git("switch", "-q", "-c", "change/on-github")
    keys = [f"--{role}-key={public(world, f'maa-{role}')}" for role in ("attestor", "deployer")]
    answer = init(world, f"--github={TOOL}", *keys, "--login=alice=alice-hub:583231", "--login=bob=bob-hub:583232")
    assert (alice.clone / "policies" / "apps.yaml").read_text() == before + "attested: true\n"
    assert "attested" not in (alice.clone / "policies" / "access-policies.yaml").read_text()
    bob = yaml.safe_load((alice.clone / "accounts" / "bob.yaml").read_text())
    assert bob["github"] == {"login": "bob-hub", "id": 583232}
    assert "wrote .github/workflows/maa-record.yml" in answer.out
    assert alice.maa("validate").code == 0
    alice.maa("submit", "-a", "-m", "We sign off on GitHub from now on.")
    assert world.bob.maa("approve", "on-github").code == 0
    assert world.bob.maa("complete", "on-github").code == 0


def test_run_again_it_only_moves_the_pins(world: World) -> None:
    """A newer version changes the workflows' pins and nothing else; what people wrote in the template stays."""
    alice = world.alice
    alice.git("switch", "-q", "-c", "change/on-github")
    init(world, f"--github={TOOL}", "--login=alice=alice-hub:583231")
    alice.write(".github/pull_request_template.md", "## Why\n")
    newer = f"maa-gitops/maa-gitops@{PIN[::-1]}"
    answer = init(world, f"--github={newer}", "--login=alice=alice-hub:583231")
    wrote = [line.removeprefix("wrote ") for line in answer.out.splitlines() if line.startswith("wrote ")]
    assert all(path.startswith(".github/workflows/maa-") for path in wrote)
    assert "add the section: ## Business justification" in answer.out
    assert (alice.clone / ".github" / "pull_request_template.md").read_text() == "## Why\n"
    assert PIN not in (alice.clone / ".github" / "workflows" / "maa-record.yml").read_text()


def test_other_numbers_and_keys_are_told_not_changed(world: World) -> None:
    """An account that has another number or key is left as it is, and init says what to write."""
    world.key("maa-attestor")
    world.key("other")
    alice = world.alice
    alice.git("switch", "-q", "-c", "change/on-github")
    first = ("--attestor-key", public(world, "maa-attestor"), "--login=alice=alice-hub:583231")
    init(world, f"--github={TOOL}", *first)
    answer = init(world, f"--github={TOOL}", "--attestor-key", public(world, "other"), "--login=alice=alice-hub:9")
    assert "accounts/alice.yaml is left as it is; it should say: github: {login: alice-hub, id: 9}" in answer.out
    assert "accounts/maa-attestor.yaml is left as it is; add to its signingKeys: ssh-ed25519" in answer.out
    assert "there is no account maa-deployer yet" in answer.out


def test_help_shows_the_options(world: World) -> None:
    """``init --help`` names what goes with --github."""
    out = run_process(world.alice, "init", "--help").out
    assert all(option in out for option in ("--github", "--attestor-key", "--deployer-key", "--login"))
