"""``maa doctor``: what is missing in a clone and in the live repository, told line by line, and nothing changed."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import maa_gitops.starter
from maa_gitops.forges.rulesets import rulesets
from maa_gitops.workflow.doctor.written import WORKFLOWS
from tests.support import APP, Answer, Forger, Person, World, access_policy, account, app, group, settings
from tests.support.on_github import NUMBERS, Hub, on_github, service
from tests.support.world import run_maa

CLONE = (
    "git", "openssh", "identity", "address", "signingKey", "signingFormat", "remote", "protectedBranch", "shallow",
    "trustedStart", "history", "tenant", "approvers",
)  # fmt: skip
RULESETS = (
    "rulesetProtectedUpdates", "rulesetProtectedHistory", "rulesetChangeHistory", "rulesetChangeDeletion",
    "rulesetReceipts",
)  # fmt: skip
LIVE = (
    "token", "defaultBranch", *RULESETS, "environmentAttestor", "environmentDeployer", "deployKey",
    "workflowApprovals", "gitHubLogins",
)  # fmt: skip
WRITTEN = (
    "workflows", "pullRequestTemplate", "attestorAccount", "deployerAccount", "gitHubIds", "attestedPolicies",
    "completeBy",
)  # fmt: skip

COMMIT = "a" * 40
ADMINISTRATOR = "intuneServiceAdministrator"

Found = dict[str, tuple[str, str, str | None]]
"""Level, message and hint by check; of a check with several lines the gravest, which comes last."""


def read(answer: Answer) -> Found:
    """What a run found."""
    return {one["check"]: (one["level"], one["message"], one["hint"]) for one in answer.json["checks"]}


def doctor(person: Person, *arguments: str, key: bool = True, code: int = 3, **variables: str) -> Found:
    """Run the command in a person's clone; returns what was found."""
    named = ("--key", str(person.key)) if key else ()
    with person.world.environment(person.name):
        os.environ.update(variables)
        answer = run_maa("-C", str(person.clone), *named, "doctor", "--format", "json", *arguments)
    assert answer.code == code, answer
    return read(answer)


def levels(found: Found) -> dict[str, str]:
    """The checks at which not all is well."""
    return {code: level for code, (level, _, _) in found.items() if level != "ok"}


def pin(person: Person) -> None:
    """Pin the trusted start, as everybody who clones should."""
    person.git("config", "maa.trustedStart", person.git("rev-list", "--first-parent", "origin/main").split()[-1])


@pytest.fixture
def alice(world: World) -> Person:
    """Alice, in whose clone nothing is missing."""
    pin(world.alice)
    return world.alice


def refounded(world: World, files: Mapping[str, str | bytes | None]) -> Person:
    """Alice, in a clone of the tenant that was founded with other files."""
    Forger(world, world.alice).refound(files)
    pin(world.alice)
    return world.alice


def contents(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- a clone: the answer ---------------------------------------------------------------------------------------------


def test_in_a_healthy_clone_all_is_well(alice: Person) -> None:
    """Every check is made and is ``ok``, and the exit code is 0."""
    found = doctor(alice, code=0)
    assert set(found) == set(CLONE)
    assert levels(found) == {}


def test_text_is_a_line_a_check_with_its_hint(alice: Person) -> None:
    """Level, check, what was found and the command that mends it; what is well first, problems last."""
    alice.git("config", "--unset", "maa.trustedStart")
    alice.git("remote", "set-url", "origin", str(alice.world.folder / "gone.git"))
    answer = alice.maa("doctor", code=3)
    lines = answer.out.splitlines()
    assert len(lines) == len(CLONE)
    assert [line.split()[0] for line in lines] == ["ok"] * (len(CLONE) - 2) + ["warning", "problem"]
    assert lines[-2].startswith("warning  trustedStart: no commit is pinned")
    assert f"  hint: git config maa.trustedStart {alice.world.tip()}" in lines[-2]
    assert lines[-1].startswith("problem  remote: fetching from origin failed")
    assert answer.err == ""


def test_json_is_one_document(alice: Person) -> None:
    """``version`` and ``checks``, each with code, level, message and hint, in the order of the text."""
    alice.git("config", "--unset", "maa.trustedStart")
    plain = alice.maa("doctor", "--format", "json").json
    assert set(plain) == {"version", "checks"}
    assert plain["version"] == 1
    assert all(list(one) == ["check", "level", "message", "hint"] for one in plain["checks"])
    assert [one["level"] for one in plain["checks"]] == ["ok"] * (len(CLONE) - 1) + ["warning"]
    assert plain["checks"][0]["check"] == "git"
    assert plain["checks"][0]["hint"] is None


def test_a_warning_alone_is_0(world: World) -> None:
    """What is only to be thought about is no problem."""
    assert levels(doctor(world.alice, code=0)) == {"trustedStart": "warning"}


def test_it_needs_no_key(alice: Person) -> None:
    """Without a key all other checks are made; that one is a problem."""
    found = doctor(alice, key=False)
    assert levels(found) == {"signingKey": "problem"}


def test_it_changes_nothing(alice: Person) -> None:
    """Without fetching not a byte of the clone changes, not even what a killed command left behind."""
    note = alice.clone / ".git" / "maa" / "moving.json"
    note.parent.mkdir()
    note.write_text("[]")
    before = contents(alice.clone)
    doctor(alice, "--no-fetch", code=0)
    assert contents(alice.clone) == before


def test_it_fetches_and_remembers_nothing(alice: Person) -> None:
    """With fetching the remote's branches move, and no other ref."""
    before = alice.git("for-each-ref", "refs/heads", "refs/maa", "refs/tags")
    alice.world.bob.commit({"notes.txt": "x\n"})
    alice.world.bob.git("push", "-q", "origin", "main")
    found = doctor(alice, code=0)
    assert found["history"] == ("ok", f"good: {alice.world.tip()[:12]}", None)
    assert alice.git("rev-parse", "origin/main") == alice.world.tip()
    assert alice.git("for-each-ref", "refs/heads", "refs/maa", "refs/tags") == before
    assert not (alice.clone / ".git" / "maa").exists()


def test_outside_of_a_repository_it_cannot_look(tmp_path: Path) -> None:
    """Without a git repository there is nothing to look at: 4."""
    answer = run_maa("-C", str(tmp_path), "doctor", "--format", "json")
    assert (answer.code, answer.error["code"]) == (4, "noRepository")


def test_in_a_repository_that_is_no_tenants_all_checks_are_made(world: World) -> None:
    """A fresh git repository lacks about everything, and is told what to do first."""
    folder = world.folder / "fresh"
    world.git(world.folder, "init", "-q", "-b", "main", str(folder))
    found = doctor(Person("alice", world.alice.key, world.alice.public_key, folder, world))
    assert set(found) == set(CLONE)
    assert found["protectedBranch"][0] == "problem"
    assert "maa init --tenant NAME" in str(found["protectedBranch"][2])
    untold = {"address", "signingKey", "trustedStart", "history", "tenant", "approvers"}
    assert {code for code, (_, message, _) in found.items() if message.startswith("cannot be told")} == untold


# --- a clone: this machine -------------------------------------------------------------------------------------------


def programs(folder: Path, **texts: str | None) -> str:
    """A search path with git, and scripts that print a text; None: that program is not there."""
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git") or "git")
    for name, text in texts.items():
        if text is not None:
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\necho '{text}'\n")
            path.chmod(0o700)
    return str(folder)


@pytest.mark.parametrize(
    ("ssh_keygen", "ssh", "level", "said"),
    [
        (None, None, "problem", "ssh-keygen is not installed"),
        ("", "OpenSSH_8.1p1, LibreSSL", "problem", "OpenSSH 8.1 is too old to sign with"),
        ("", "SomethingElse 1.0", "warning", "of an unknown version"),
        ("", "OpenSSH_8.2p1 Ubuntu-4ubuntu0.11, OpenSSL", "ok", "OpenSSH 8.2p1, "),
    ],
)
def test_openssh(alice: Person, tmp_path: Path, ssh_keygen: str | None, ssh: str | None, level: str, said: str) -> None:
    """ssh-keygen that is missing or too old is a problem, one of an unknown version a warning."""
    path = programs(tmp_path / "programs", ssh_keygen=ssh_keygen, ssh=ssh)
    found = doctor(alice, "--no-fetch", code=3 if level == "problem" else 0, PATH=path)
    assert found["openssh"][0] == level
    assert said in found["openssh"][1]
    assert levels(found) == ({} if level == "ok" else {"openssh": level})


def test_git_is_named_with_its_version(alice: Person) -> None:
    """The version of git, and the oldest that will do, are told."""
    version = alice.git("version").removeprefix("git version ")
    assert doctor(alice, code=0)["git"] == ("ok", f"git {version}; 2.34 or newer is needed", None)


def test_git_that_is_too_old_cannot_look(alice: Person, tmp_path: Path) -> None:
    """With a git that the tool refuses nothing can be looked at: 4, and what to install."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "git").write_text("#!/bin/sh\necho 'git version 2.33.0'\n")
    (folder / "git").chmod(0o700)
    with alice.world.environment("alice"):
        os.environ["PATH"] = str(folder)
        answer = run_maa("-C", str(alice.clone), "doctor")
    assert answer.code == 4
    assert "hint: install git 2.34 or newer" in answer.err


def test_who_commits_must_be_set(alice: Person) -> None:
    """Without a name git makes no commit; whose address it is cannot be told then."""
    found = doctor(alice, GIT_AUTHOR_NAME="", GIT_AUTHOR_EMAIL="")
    assert levels(found) == {"identity": "problem", "address": "warning"}
    assert "git config --global user.name" in str(found["identity"][2])


@pytest.mark.parametrize(
    ("address", "level", "said"),
    [
        ("ALICE@contoso.com", "ok", "belongs to the account alice"),
        ("stranger@example.com", "warning", "belongs to no account"),
        ("bob@contoso.com", "warning", "is the address of bob, but the key is that of alice"),
    ],
)
def test_the_address_belongs_to_whom_the_key_belongs(alice: Person, address: str, level: str, said: str) -> None:
    """An address of nobody's, or of another than the key's holder, is a warning."""
    found = doctor(alice, code=0, GIT_AUTHOR_EMAIL=address)
    assert found["address"][0] == level
    assert said in found["address"][1]


# --- a clone: signing ------------------------------------------------------------------------------------------------


def put_at_hand(world: World, *names: str) -> None:
    """Copy keys to where OpenSSH has them."""
    for name in names:
        for suffix in ("", ".pub"):
            shutil.copy(world.folder / "keys" / f"{name}{suffix}", world.folder / "home" / ".ssh" / f"{name}{suffix}")


def test_the_only_key_at_hand_is_used(alice: Person) -> None:
    """Without a setting the one key that an account holds counts."""
    put_at_hand(alice.world, "alice")
    level, message, _ = doctor(alice, key=False, code=0)["signingKey"]
    assert level == "ok"
    assert message.endswith("(the only one at hand that an account holds) is held by the account alice")


def test_no_key_is_a_problem_with_what_to_do(alice: Person) -> None:
    """Nobody can sign without a key: make one, and have it added to the account."""
    level, message, hint = doctor(alice, key=False)["signingKey"]
    assert (level, message.endswith("found none")) == ("problem", True)
    assert str(hint).startswith("ssh-keygen -t ed25519")


def test_several_keys_are_a_problem_with_what_to_set(alice: Person) -> None:
    """Of two keys that accounts hold, one must be named."""
    put_at_hand(alice.world, "alice", "bob")
    level, message, hint = doctor(alice, key=False)["signingKey"]
    assert (level, message.count("SHA256:")) == ("problem", 2)
    assert hint == "git config gpg.format ssh && git config user.signingkey FILE"


def test_a_key_of_nobody_is_a_problem(alice: Person) -> None:
    """A key that no account holds signs nothing that counts."""
    key, _ = alice.world.key("stranger")
    found = doctor(alice, "--key", str(key))
    assert levels(found) == {"signingKey": "problem"}
    assert found["signingKey"][1].startswith("no account holds the key SHA256:")


def test_a_key_of_a_disabled_account_is_a_problem(world: World) -> None:
    """Nothing that a disabled account signs counts."""
    dave = account("dave", world.dave.public_key, extra="enabled: false\n")
    refounded(world, {"accounts/dave.yaml": dave})
    found = doctor(world.alice, "--key", str(world.dave.key))
    assert found["signingKey"][0] == "problem"
    assert found["signingKey"][1].endswith("is that of dave, an account that is not enabled")


def test_a_key_that_is_not_there_is_a_problem(alice: Person) -> None:
    """What git's setting names must be a key."""
    alice.git("config", "gpg.format", "ssh")
    alice.git("config", "user.signingkey", str(alice.clone / "gone"))
    found = doctor(alice, key=False)
    assert levels(found) == {"signingKey": "problem"}
    assert "cannot read" in found["signingKey"][1]


@pytest.mark.parametrize("source", ["MAA_SIGNING_KEY", "user.signingkey"])
def test_it_says_how_the_key_is_named(alice: Person, source: str) -> None:
    """The variable, or git's setting, is told with the key."""
    variables = {"MAA_SIGNING_KEY": alice.key.read_text()} if source == "MAA_SIGNING_KEY" else {}
    alice.git("config", "gpg.format", "ssh")
    alice.git("config", "user.signingkey", str(alice.key))
    found = doctor(alice, key=False, code=0, **variables)
    assert f"({source})" in found["signingKey"][1]
    assert found["signingFormat"] == ("ok", "git's gpg.format and user.signingkey agree", None)


def test_an_openpgp_key_is_passed_over(alice: Person) -> None:
    """Git's setting names a key that decisions are not signed with."""
    alice.git("config", "user.signingkey", "3AA5C34371567BD2")
    found = doctor(alice, code=0)
    assert levels(found) == {"signingFormat": "warning"}
    assert "is an OpenPGP key (3AA5C34371567BD2)" in found["signingFormat"][1]


@pytest.mark.parametrize(("form", "said"), [(None, "not set"), ("openpgp", "openpgp")])
def test_an_ssh_key_wants_the_format_ssh(alice: Person, form: str | None, said: str) -> None:
    """Git itself would not sign with it; decisions are signed all the same."""
    alice.git("config", "user.signingkey", str(alice.key))
    if form is not None:
        alice.git("config", "gpg.format", form)
    found = doctor(alice, key=False, code=0)
    assert levels(found) == {"signingFormat": "warning"}
    assert f"gpg.format is {said}" in found["signingFormat"][1]
    assert found["signingFormat"][2] == "git config gpg.format ssh"


# --- a clone: the remote and the protected branch --------------------------------------------------------------------


def test_without_a_remote_there_is_a_warning(alice: Person) -> None:
    """One can work alone; nobody else sees it."""
    alice.git("remote", "remove", "origin")
    assert levels(doctor(alice, code=0)) == {"remote": "warning"}


def test_a_remote_that_does_not_answer_is_a_problem(alice: Person) -> None:
    """Everything else is looked at as it was when last fetched."""
    alice.git("remote", "set-url", "origin", str(alice.world.folder / "gone.git"))
    found = doctor(alice)
    assert set(found) == set(CLONE)
    assert levels(found) == {"remote": "problem"}
    assert "git remote set-url origin" in str(found["remote"][2])


def test_the_remote_is_not_asked_without_fetching(alice: Person) -> None:
    """With ``--no-fetch`` nothing is said of whether it answers, and a password in its address is not shown."""
    alice.git("remote", "set-url", "origin", "https://alice:secret@example.com/contoso/tenant.git")
    found = doctor(alice, "--no-fetch", code=0)
    assert found["remote"] == ("ok", "origin is https://example.com/contoso/tenant.git; not asked", None)


def test_the_protected_branch_is_what_the_remote_calls_its_own(alice: Person) -> None:
    """Without the setting the remote's HEAD says it."""
    alice.git("config", "--unset", "maa.protectedBranch")
    assert doctor(alice, code=0)["protectedBranch"][1] == "main: origin's HEAD and maa.yaml agree"


def test_the_protected_branch_must_be_known(alice: Person) -> None:
    """With neither setting nor remote nobody says which branch is protected."""
    alice.git("config", "--unset", "maa.protectedBranch")
    alice.git("remote", "remove", "origin")
    found = doctor(alice)
    assert found["protectedBranch"][0] == "problem"
    assert "git config maa.protectedBranch main" in str(found["protectedBranch"][2])
    assert found["history"][:2] == ("warning", "cannot be told: the protected branch cannot be read")


def test_the_protected_branch_must_be_there(alice: Person) -> None:
    """A setting that names no branch of the remote is a problem."""
    alice.git("config", "maa.protectedBranch", "trunk")
    level, message, hint = doctor(alice)["protectedBranch"]
    assert (level, message) == ("problem", "there is no branch 'trunk' on the remote")
    assert str(hint).startswith("git config maa.protectedBranch NAME")


def test_the_protected_branch_must_be_the_one_in_the_settings(alice: Person) -> None:
    """What this clone takes for protected must be what ``maa.yaml`` on it names."""
    alice.git("push", "-q", "origin", "origin/main:refs/heads/trunk")
    alice.git("config", "maa.protectedBranch", "trunk")
    found = doctor(alice)
    assert levels(found) == {"protectedBranch": "problem"}
    assert found["protectedBranch"][2] == "git config maa.protectedBranch main, if maa.yaml is right"


def test_whether_the_settings_agree_needs_a_good_commit(alice: Person) -> None:
    """Where history cannot be judged, agreement cannot be told, and history is the problem."""
    found = doctor(refounded(alice.world, {"maa.yaml": "version: 2\n"}))
    assert found["protectedBranch"][:2] == (
        "warning",
        "cannot be told: whether maa.yaml names 'main', as git config maa.protectedBranch does",
    )
    assert found["history"][0] == "problem"
    assert "maa validate --commit" in str(found["history"][2])


def test_a_shallow_clone_is_a_problem(world: World) -> None:
    """Where history is cut off nothing can be judged, and every such check says how to mend it."""
    world.alice.commit({"notes.txt": "x\n"})
    world.alice.git("push", "-q", "origin", "main")
    clone = world.folder / "shallow"
    world.git(world.folder, "clone", "-q", "--depth", "1", f"file://{world.server}", str(clone))
    found = doctor(Person("alice", world.alice.key, world.alice.public_key, clone, world))
    for code in ("shallow", "trustedStart", "history"):
        assert found[code][0] == "problem"
        assert "git fetch --unshallow" in str(found[code][2])


# --- a clone: history ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pinned", "level", "said"),
    [
        ("f" * 40, "problem", f"the trusted start {'f' * 40} is not in this clone"),
        ("other", "problem", "is not on the protected branch"),
        ("origin/main", "warning", "is no whole commit id"),
    ],
)
def test_the_trusted_start(alice: Person, pinned: str, level: str, said: str) -> None:
    """A start that is absent or elsewhere is a problem, one whose meaning can change a warning."""
    alice.git("branch", "other", alice.git("commit-tree", "origin/main^{tree}", "-m", "Other"))
    alice.git("config", "maa.trustedStart", pinned)
    level_found, message, hint = doctor(alice, code=3 if level == "problem" else 0)["trustedStart"]
    assert level_found == level
    assert said in message
    assert "git config maa.trustedStart" in str(hint)


def test_a_push_around_the_gate_is_a_problem_until_it_is_healed(alice: Person) -> None:
    """The tip must be good; once it is healed all is well."""
    bob = alice.world.bob
    bob.commit({APP: app(description="Around the gate.")})
    bob.git("push", "-q", "origin", "main")
    found = doctor(alice)
    assert levels(found) == {"history": "problem"}
    assert found["history"][1].startswith(f"the tip {alice.world.tip()[:12]} of the protected branch is not good: ")
    assert found["history"][2] == "maa verify"
    bob.git("revert", "--no-edit", "HEAD")
    bob.git("push", "-q", "origin", "main")
    assert levels(doctor(alice, code=0)) == {}


def test_a_lost_commit_is_a_problem_with_the_command_that_puts_it_back(alice: Person) -> None:
    """A protected branch without the last good commit that this clone has seen was rewritten."""
    alice.world.bob.commit({"notes.txt": "x\n"})
    alice.world.bob.git("push", "-q", "origin", "main")
    alice.maa("requests")
    lost = alice.world.tip()
    alice.world.bob.git("push", "-q", "--force", "origin", "HEAD~1:main")
    found = doctor(alice)
    assert found["history"][0] == "problem"
    assert f"git push --force origin {lost}:main" in str(found["history"][2])


# --- a clone: the tenant ---------------------------------------------------------------------------------------------


def test_broken_documents_are_a_problem(world: World) -> None:
    """A broken resource blocks its own requests: how many errors, and the command that lists them."""
    found = doctor(refounded(world, {APP: "type: nonsense\n"}))
    assert levels(found) == {"tenant": "problem"}
    assert found["tenant"][2] == f"maa validate --commit {world.tip()[:12]}"


def lose(world: World, clone: Path, path: str) -> None:
    """Take a file's object out of a clone, as a broken disk would."""
    blob = world.git(clone, "rev-parse", f"origin/main:{path}")
    (clone / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


def test_a_document_that_is_lost_is_a_problem(alice: Person) -> None:
    """Where an object is absent, what it says cannot be told, and every other check is made."""
    lose(alice.world, alice.clone, APP)
    found = doctor(alice, "--no-fetch")
    assert levels(found) == {"tenant": "problem", "approvers": "warning"}
    assert "is not in this repository" in found["tenant"][1]


def test_warnings_of_documents_are_a_warning(world: World) -> None:
    """A scope that protects nothing is something to think about."""
    found = doctor(
        refounded(world, {"policies/apps.yaml": access_policy("app", "approvers", extra='scope: ["x/*"]\n')}), code=0
    )
    assert levels(found) == {"tenant": "warning"}
    assert found["tenant"][1] == f"0 errors and 1 warning at {world.tip()[:12]}"


def test_few_approvers_are_a_warning(world: World) -> None:
    """Two possible approvers, of whom one asks, are few; each access policy is told."""
    person = refounded(world, {"groups/approvers.yaml": group("alice", "bob")})
    answer = person.maa("doctor", "--format", "json")
    told = [one for one in answer.json["checks"] if one["check"] == "approvers"]
    assert [one["message"].partition(":")[0] for one in told] == [
        "policies/access-policies.yaml", "policies/apps.yaml", "policies/scripts.yaml",
    ]  # fmt: skip
    assert {one["level"] for one in told} == {"warning"}
    assert levels(read(answer)) == {"approvers": "warning"}


def test_an_access_policy_that_nobody_could_satisfy_is_a_warning(world: World) -> None:
    """Four approvals from three people cannot be."""
    found = doctor(refounded(world, {"policies/apps.yaml": access_policy("app", "approvers", required=4)}), code=0)
    assert "policies/apps.yaml: needs 4 approvals" in found["approvers"][1]


def test_no_access_policy_is_a_warning(world: World) -> None:
    """Then nothing but the rules is protected."""
    files = {f"policies/{name}.yaml": None for name in ("apps", "scripts", "access-policies")}
    found = doctor(refounded(world, files), code=0)
    assert levels(found) == {"approvers": "warning"}
    assert found["approvers"][1].startswith("there is no access policy")


# --- GitHub ----------------------------------------------------------------------------------------------------------


def templates() -> dict[str, str]:
    """The files that ``init --github`` writes, by path, at some commit of the tool; without that of a merge queue."""
    folder = Path(maa_gitops.starter.__file__).parent
    found = {}
    for path in sorted((*folder.rglob("maa-*.yml"), *folder.rglob("pull_request_template.md"))):
        text = path.read_text().replace("__TOOL__", "maa-gitops/maa-gitops").replace("__VERSION__", COMMIT)
        place = ".github/workflows" if path.suffix == ".yml" else ".github"
        if path.name != "maa-merge-group.yml":
            found[f"{place}/{path.name}"] = text
    return found


def test_the_workflows_are_those_that_init_writes() -> None:
    """What is looked for is what is written."""
    assert sorted(path.rpartition("/")[2] for path in templates()) == [*WORKFLOWS, "pull_request_template.md"]


class Ready:
    """A tenant on GitHub where nothing is missing, until a test takes it away."""

    def __init__(self, hub: Hub, files: Mapping[str, str | bytes | None]) -> None:
        """Found it, and set up the repository on the fake."""
        self.hub, self.fake = hub, hub.fake
        Forger(hub.world, hub.world.alice).refound({**templates(), **files})
        runner = hub.runner
        hub.world.git(runner, "config", "maa.trustedStart", hub.world.tip())
        self.fake.user("root", permission="admin")
        self.token = self.fake.token("root")
        self.fake.deploy_key("maa", read_only=False)
        self.fake.environment("maa-attestor")
        self.fake.environment("maa-deployer")
        self.rulesets = [dict(document) for document in rulesets("main")]
        self.put(self.rulesets)

    def put(self, documents: list[dict[str, Any]]) -> None:
        """Let these, and no others, be the live rulesets."""
        self.fake.rulesets.documents.clear()
        for document in documents:
            self.fake.ruleset(document)

    def answer(self, *arguments: str, **variables: str) -> Answer:
        """Run the command in the runner's clone, with an administrator's token and alice's key."""
        key = ("--key", str(self.hub.person("alice").key))
        more = {"GITHUB_TOKEN": self.token, **variables}
        return self.hub.maa("doctor", "--github", *key, *arguments, key=None, code=None, **more)

    def doctor(self, **variables: str) -> Found:
        """What is found."""
        answer = self.answer("--format", "json", **variables)
        found = read(answer)
        assert answer.code == (3 if "problem" in levels(found).values() else 0)
        return found

    def messages(self, code: str) -> list[str]:
        """Every message of a check that is not well."""
        checks = self.answer("--format", "json").json["checks"]
        return [one["message"] for one in checks if one["check"] == code and one["level"] != "ok"]


@pytest.fixture
def ready(hub: Hub) -> Ready:
    """A tenant on GitHub where nothing is missing."""
    return Ready(hub, {})


def test_on_github_all_is_well(ready: Ready) -> None:
    """Every check is made and is ``ok``; GitHub was asked, and told nothing."""
    answer = ready.answer("--format", "json")
    found = read(answer)
    assert (answer.code, set(found), levels(found)) == (0, {*CLONE, *LIVE, *WRITTEN}, {})
    assert {seen.method for seen in ready.fake.requests} == {"GET"}
    assert found["attestedPolicies"][1] == "sign-off on GitHub counts for: apps, scripts"


def test_without_the_option_github_is_not_asked(ready: Ready) -> None:
    """The clone alone is looked at."""
    ready.hub.maa("doctor", key=None, code=None)
    assert ready.fake.requests == []


def test_all_lines_are_there_in_text(ready: Ready) -> None:
    """A line a check, and what a person wrote on GitHub cannot move the cursor."""
    ready.fake.deploy_keys.clear()
    ready.fake.deploy_key("\x1b[2Jmaa\n::error::", read_only=False)
    lines = ready.answer().out.splitlines()
    assert len(lines) == len(CLONE) + len(LIVE) + len(WRITTEN)
    assert [line for line in lines if "'\\x1b[2Jmaa\\n" in line and line.startswith("ok       deployKey: ")] != []


# --- GitHub: reaching it ---------------------------------------------------------------------------------------------


def untold(found: Found) -> set[str]:
    """The checks that could not be made."""
    return {
        code for code, (level, message, _) in found.items() if (level, message[:14]) == ("warning", "cannot be told")
    }


def test_no_token_is_said(ready: Ready) -> None:
    """Without a token a private repository is not there: a problem, and nothing is concluded from that."""
    found = ready.doctor(GITHUB_TOKEN="")
    assert found["token"][:2] == ("problem", "there is no token, and without one contoso/tenant is not seen")
    assert "gh auth token" in str(found["token"][2])
    assert untold(found) == {*LIVE} - {"token"}


def test_no_token_for_a_repository_that_everybody_sees_is_a_warning(ready: Ready) -> None:
    """What anybody can see is looked at."""
    ready.fake.bearer = lambda _request: (None, ready.fake.find_user("bob-hub"))  # type: ignore[method-assign]
    found = ready.doctor(GITHUB_TOKEN="")
    assert found["token"][0] == "warning"
    assert found["environmentAttestor"][0] == "ok"


def test_gh_token_will_do(ready: Ready) -> None:
    """The variable that GitHub's own command line uses counts, too."""
    assert levels(ready.doctor(GITHUB_TOKEN="", GH_TOKEN=ready.token)) == {}


@pytest.mark.parametrize("whose", ["nobody", "stranger"])
def test_a_token_that_does_not_work_is_a_problem(ready: Ready, whose: str) -> None:
    """One that GitHub refuses, and one that may not see the repository."""
    ready.fake.user("stranger")
    found = ready.doctor(GITHUB_TOKEN="ghp_wrong" if whose == "nobody" else ready.fake.token("stranger"))
    assert found["token"][0] == "problem"
    assert untold(found) == {*LIVE} - {"token"}


def test_a_repository_that_cannot_be_understood_makes_warnings(ready: Ready) -> None:
    """When GitHub answers nonsense nothing of it can be told; the rest is looked at."""
    ready.fake.garble_next(match=r"GET /repos/contoso/tenant$")
    found = ready.doctor()
    assert untold(found) == {*LIVE}
    assert set(levels(found)) == {*LIVE}


@pytest.mark.parametrize(
    ("match", "codes"),
    [
        (r"/rulesets$", {*RULESETS}),
        (r"/environments/maa-attestor$", {"environmentAttestor"}),
        (r"/environments/maa-deployer/", {"environmentDeployer"}),
        (r"/keys$", {"deployKey"}),
        (r"/actions/permissions/workflow$", {"workflowApprovals"}),
        (r"/users/bob-hub$", {"gitHubLogins"}),
    ],
)
def test_a_fault_of_one_question_stops_no_other(ready: Ready, match: str, codes: set[str]) -> None:
    """What GitHub does not answer is a warning of that check alone."""
    ready.fake.garble_next(match=match)
    found = ready.doctor()
    assert levels(found) == dict.fromkeys(codes, "warning")
    assert untold(found) == codes


def test_a_remote_that_is_not_on_github_is_a_problem(ready: Ready) -> None:
    """Then only what the protected branch says can be looked at."""
    found = ready.doctor(GITHUB_REPOSITORY="")
    assert levels(found) == {"forge": "problem"}
    assert set(found) == {*CLONE, "forge", *WRITTEN}


def test_without_a_protected_branch_the_rest_is_asked(ready: Ready) -> None:
    """What concerns the branch, and what it says, cannot be told."""
    ready.hub.world.git(ready.hub.runner, "remote", "remove", "origin")
    found = ready.doctor()
    assert found["protectedBranch"][0] == "problem"
    assert {*LIVE} - untold(found) == {"token", "deployKey", "workflowApprovals"}
    assert {*WRITTEN} <= untold(found)


def test_the_token_of_a_job_is_shown_less(ready: Ready) -> None:
    """Only administrators are shown deploy keys, who may pass a ruleset, and what workflows may."""
    found = ready.doctor(GITHUB_TOKEN=ready.hub.token)
    codes = {*RULESETS, "deployKey", "workflowApprovals"}
    assert (untold(found), set(levels(found))) == (codes, codes)
    assert "only an administrator's token lists deploy keys" in found["deployKey"][1]
    assert "only administrators are shown who may pass" in found["rulesetReceipts"][1]


# --- GitHub: what guards the repository ------------------------------------------------------------------------------


def test_the_default_branch_must_be_the_protected_one(ready: Ready) -> None:
    """Workflows that hold keys run as the default branch has them."""
    ready.fake.alter_next(lambda plain: {**plain, "default_branch": "trunk"}, match=r"GET /repos/contoso/tenant$")
    found = ready.doctor()
    assert levels(found) == {"defaultBranch": "problem"}
    assert found["defaultBranch"][2] == "gh repo edit contoso/tenant --default-branch main"


def test_a_default_branch_that_is_not_told_is_a_warning(ready: Ready) -> None:
    """An answer without it decides nothing."""
    ready.fake.alter_next(lambda plain: {**plain, "default_branch": None}, match=r"GET /repos/contoso/tenant$")
    assert untold(ready.doctor()) == {"defaultBranch"}
    ready.fake.violations.clear()  # GitHub itself would not answer so


@pytest.mark.parametrize("number", range(5))
def test_every_ruleset_is_wanted(ready: Ready, number: int) -> None:
    """One that is not there is a problem, with the command that makes it."""
    ready.put([one for one in ready.rulesets if one is not ready.rulesets[number]])
    found = ready.doctor()
    assert levels(found) == {RULESETS[number]: "problem"}
    assert str(found[RULESETS[number]][2]).endswith("| gh api repos/contoso/tenant/rulesets --input -")


def changed(document: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A ruleset with other fields."""
    return {**document, **fields}


def names(include: list[str], *exclude: str) -> dict[str, Any]:
    """The conditions of a ruleset."""
    return {"ref_name": {"include": include, "exclude": list(exclude)}}


MAIN = "refs/heads/main"
OTHER_STATUS = {
    "type": "required_status_checks",
    "parameters": {"strict_required_status_checks_policy": False, "required_status_checks": [{"context": "ci"}]},
}


@pytest.mark.parametrize(
    "fields",
    [
        {"enforcement": "disabled"},
        {"enforcement": "evaluate"},
        {"target": "tag"},
        {"conditions": names(["refs/heads/trunk"])},
        {"conditions": names([MAIN], MAIN)},
        {"conditions": names([MAIN], "refs/heads/m*")},
        {"conditions": names(["~ALL"], "~DEFAULT_BRANCH")},
        {"rules": [{"type": "update"}, OTHER_STATUS]},
        {"bypass_actors": [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]},
        {"bypass_actors": []},
    ],
    ids=str,
)
def test_a_ruleset_must_hold(ready: Ready, fields: Mapping[str, Any]) -> None:
    """One that is not active, holds for other branches, or lets others or nobody pass is a problem; it is mended."""
    ready.put([changed(ready.rulesets[0], **fields), *ready.rulesets[1:]])
    number = next(iter(ready.fake.rulesets.documents))
    found = ready.doctor()
    assert levels(found) == {RULESETS[0]: "problem"}
    command = f"maa github ruleset protected-updates | gh api repos/contoso/tenant/rulesets/{number} -X PUT --input -"
    assert found[RULESETS[0]][2] == command


@pytest.mark.parametrize(
    "conditions", [names(["~DEFAULT_BRANCH"]), names(["~ALL"]), names([MAIN, "refs/heads/x"], "refs/heads/y")], ids=str
)
def test_a_ruleset_may_name_its_branches_otherwise(ready: Ready, conditions: Mapping[str, Any]) -> None:
    """The default branch, or all, hold for the protected one; name and further rules are free."""
    rules = [*ready.rulesets[0]["rules"], {"type": "required_signatures"}]
    ready.put([changed(ready.rulesets[0], name="Ours", conditions=conditions, rules=rules), *ready.rulesets[1:]])
    assert levels(ready.doctor()) == {}


def test_a_merge_queue_will_do(ready: Ready) -> None:
    """The ruleset for a repository with a merge queue takes the place of the plain one."""
    ready.put([dict(rulesets("main", merge_queue=True)[0]), *ready.rulesets[1:]])
    assert levels(ready.doctor()) == {}


@pytest.mark.parametrize("name", ["maa-attestor", "maa-deployer"])
@pytest.mark.parametrize(
    ("branches", "said"),
    [
        ((), "opens for nothing"),
        (None, "opens for any branch"),
        (("*",), "opens for *, expected"),
        (("main", "change/*"), "opens for main, change/*, expected"),
        ("protected", "opens for (protected branches), expected"),
        ("missing", "there is no environment"),
    ],
    ids=str,
)
def test_an_environment_opens_for_the_protected_branch_only(
    ready: Ready, name: str, branches: tuple[str, ...] | str | None, said: str
) -> None:
    """One that is missing, or that opens for anything else, is a problem: it holds keys."""
    del ready.fake.environments[name]
    if branches == "protected":
        ready.fake.environment(name, protected_branches=True)
    elif not isinstance(branches, str):
        ready.fake.environment(name, branches)
    found = ready.doctor()
    code = {"maa-attestor": "environmentAttestor", "maa-deployer": "environmentDeployer"}[name]
    assert levels(found) == {code: "problem"}
    assert said in found[code][1]
    assert f"gh api {'-X PUT ' if branches != ('main', 'change/*') else ''}repos/" in str(found[code][2])


def test_no_deploy_key_that_may_write_is_a_problem(ready: Ready) -> None:
    """Nobody could complete; a key that may only read does not help."""
    ready.fake.deploy_keys.clear()
    ready.fake.deploy_key("reads", read_only=True)
    found = ready.doctor()
    assert levels(found) == {"deployKey": "problem"}
    assert "gh repo deploy-key add" in str(found["deployKey"][2])


def test_several_deploy_keys_that_may_write_are_a_problem(ready: Ready) -> None:
    """Each of them passes the rulesets; they are named."""
    ready.fake.deploy_key("forgotten", read_only=False)
    found = ready.doctor()
    assert levels(found) == {"deployKey": "problem"}
    assert found["deployKey"][1].endswith("'forgotten', 'maa'")


def test_workflows_that_may_approve_are_a_warning(ready: Ready) -> None:
    """A workflow's review would look like somebody's."""
    ready.fake.workflow_permissions(can_approve=True)
    found = ready.doctor()
    assert levels(found) == {"workflowApprovals": "warning"}
    assert "-F can_approve_pull_request_reviews=false" in str(found["workflowApprovals"][2])


# --- GitHub: people --------------------------------------------------------------------------------------------------


def test_a_login_that_was_given_up_is_a_warning(ready: Ready) -> None:
    """Nobody has it; the number decides."""
    ready.fake.rename("bob-hub", "robert")
    found = ready.doctor()
    assert levels(found) == {"gitHubLogins": "warning"}
    assert found["gitHubLogins"][1].startswith("accounts/bob.yaml: nobody on GitHub has the login 'bob-hub'")
    assert found["gitHubLogins"][2] == f"gh api user/{NUMBERS['bob']} --jq .login"


def test_a_login_that_was_taken_over_is_a_warning(ready: Ready) -> None:
    """It is another one's now; every such account is told."""
    for name in ("bob", "carol"):
        ready.fake.rename(f"{name}-hub", f"{name}-new")
    ready.fake.user("bob-hub", id=999)
    messages = ready.messages("gitHubLogins")
    assert [message.partition(":")[0] for message in messages] == ["accounts/bob.yaml", "accounts/carol.yaml"]
    assert f"is that of 999, not of {NUMBERS['bob']}" in messages[0]


def with_files(**broken: tuple[Mapping[str, str | bytes | None], str, str]) -> list[Any]:
    """Cases: other files at G, the check, and what its message holds."""
    return [pytest.param(*case, id=name) for name, case in broken.items()]


def edited(name: str, old: str, new: str) -> dict[str, str | bytes | None]:
    """A workflow with another text in it."""
    path = f".github/workflows/{name}"
    text = templates()[path]
    assert old in text
    return {path: text.replace(old, new)}


GATE = f"maa-gitops/maa-gitops/.github/workflows/gate.yml@{COMMIT}"


def test_where_trust_begins_is_pinned_in_the_workflows(hub: Hub) -> None:
    """A new tenant's workflows cannot name their own commit; doctor reminds of the request that does."""
    path = ".github/workflows/maa-complete.yml"
    found = Ready(hub, {path: templates()[path].replace("__TRUSTED_START__", '""')}).doctor()
    assert levels(found) == {"workflows": "warning"}
    assert "maa-complete.yml do not pin where trust begins" in str(found)


LINE = templates()[".github/workflows/maa-gate.yml"].splitlines().index(f"    uses: {GATE}") + 1
AT = f".github/workflows/maa-gate.yml:{LINE}: "


@pytest.mark.parametrize(
    ("files", "code", "said"),
    with_files(
        no_workflow=({".github/workflows/maa-gate.yml": None}, "workflows", "lacks maa-gate.yml"),
        tag=(edited("maa-gate.yml", f"@{COMMIT}", "@v1"), "workflows", f"{AT}'maa-gitops/maa-gitops/.github"),
        short=(edited("maa-gate.yml", GATE, f"a/b@{COMMIT[:39]}"), "workflows", AT),
        bare=(edited("maa-gate.yml", GATE, "a/b"), "workflows", f"{AT}'a/b' is not pinned"),
        flow=(edited("maa-gate.yml", f"    uses: {GATE}", '    {"uses": "a/b@main"}'), "workflows", AT),
        next_line=(edited("maa-gate.yml", f"uses: {GATE}", "uses:\n      a/b@main"), "workflows", f"{AT}''"),
        image=(edited("maa-gate.yml", GATE, "docker://alpine:3.20"), "workflows", AT),
        version=(edited("maa-gate.yml", f"version: {COMMIT}", "version: main"), "workflows", f"{AT}'version' is main"),
        no_version=(edited("maa-gate.yml", f"version: {COMMIT}", "other: x"), "workflows", f"{AT}'version' is none"),
        queue=(
            {".github/workflows/maa-merge-group.yml": "jobs:\n  a:\n    steps:\n      - uses: a/b@v4 # v4\n"},
            "workflows",
            ".github/workflows/maa-merge-group.yml:4: 'a/b@v4' is not pinned",
        ),
        no_template=({".github/pull_request_template.md": None}, "pullRequestTemplate", "there is no .github/"),
        no_heading=({".github/pull_request_template.md": "## Why\n"}, "pullRequestTemplate", "has no heading"),
        no_attestor=(
            {"accounts/maa-attestor.yaml": None},
            "attestorAccount",
            "no service account has the role attestor",
        ),
        no_deployer=(
            {"accounts/maa-deployer.yaml": None},
            "deployerAccount",
            "no service account has the role deployer",
        ),
    ),
)
def test_what_the_protected_branch_lacks_is_a_problem(
    hub: Hub, files: Mapping[str, str | bytes | None], code: str, said: str
) -> None:
    """Workflows, what they run, the template and the service accounts; told with path and line."""
    found = Ready(hub, files).doctor()
    assert levels(found) == {code: "problem"}
    assert said in found[code][1]
    assert "maa init --github" in str(found[code][2])


@pytest.mark.parametrize(
    "files",
    [
        edited("maa-gate.yml", GATE, "./.github/workflows/ours.yml"),
        edited("maa-gate.yml", GATE, f"docker://alpine@sha256:{'b' * 64}"),
        edited("maa-gate.yml", f"uses: {GATE}", f'uses: "{GATE}" # v1'),
        edited("maa-gate.yml", f"    uses: {GATE}", f"    # uses: a/b@main\n    uses: {GATE}"),
        {".github/workflows/ours.yml": "jobs:\n  a:\n    steps:\n      - uses: a/b@v4\n"},
        {".github/pull_request_template.md": None, "docs/Pull_Request_Template.md": "# business justification:\r\n"},
        {".github/pull_request_template.md": None, "PULL_REQUEST_TEMPLATE.md": "### Business Justification ###\n"},
    ],
    ids=range(7),
)
def test_what_is_as_good_is_well(hub: Hub, files: Mapping[str, str | bytes | None]) -> None:
    """Files of the same commit, images by digest, comments, workflows of one's own, the template elsewhere."""
    assert levels(Ready(hub, files).doctor()) == {}


def test_every_loose_end_is_told(hub: Hub) -> None:
    """Each unpinned line of each file is a line of the answer."""
    files = {**edited("maa-gate.yml", COMMIT, "main"), **edited("maa-nightly.yml", COMMIT, "main")}
    messages = Ready(hub, {**files, ".github/workflows/maa-record.yml": None}).messages("workflows")
    assert messages[0] == ".github/workflows/ lacks maa-record.yml"
    lines = [int(message.split(":")[1]) for message in messages[1:] if "/maa-nightly.yml:" in message]
    text = templates()[".github/workflows/maa-nightly.yml"].splitlines()
    assert lines == [number for number, line in enumerate(text, start=1) if "uses:" in line and COMMIT in line]
    assert [message.split()[0] for message in messages[1:] if "/maa-gate.yml:" in message] == [AT.strip()]
    assert len(messages) == len(lines) + 2


def test_a_workflow_that_is_lost_is_a_problem(ready: Ready) -> None:
    """Where an object is absent, that check is a problem, and every other is made."""
    ready.doctor()
    lose(ready.hub.world, ready.hub.runner, ".github/workflows/maa-gate.yml")
    lose(ready.hub.world, ready.hub.runner, ".github/pull_request_template.md")
    found = read(ready.answer("--no-fetch", "--format", "json"))
    assert levels(found) == {"workflows": "problem", "pullRequestTemplate": "problem"}
    assert "is not in this repository" in found["workflows"][1]


@pytest.mark.parametrize("role", ["attestor", "deployer"])
@pytest.mark.parametrize("change", ["disabled", "keyless"])
def test_a_service_account_must_be_able_to_sign(hub: Hub, role: str, change: str) -> None:
    """One that is disabled, or has no key, is none."""
    name = f"maa-{role}"
    key = hub.key(name).with_suffix(".pub").read_text().strip()
    text = service(name, key, role)
    if change == "disabled":
        text += "enabled: false\n"
    else:
        text = text.replace(f'"{key}"', "") + "github: {login: somebody, id: 77}\n"
    hub.fake.user("somebody", id=77)
    found = Ready(hub, {f"accounts/{name}.yaml": text}).doctor()
    assert levels(found) == {f"{role}Account": "problem"}
    assert f"{name} is not enabled or has no signing key" in found[f"{role}Account"][1]


def test_a_person_is_no_deployer_on_github(hub: Hub) -> None:
    """The people's own role does not make up for the service account."""
    found = Ready(hub, {"accounts/maa-deployer.yaml": None}).doctor()
    assert found["deployerAccount"][0] == "problem"


def test_people_without_a_number_are_named(hub: Hub) -> None:
    """Approvers and administrators need one; who is neither, or disabled, does not."""
    people = hub.world.people
    files = {
        "accounts/bob.yaml": account("bob", people["bob"].public_key),
        "accounts/carol.yaml": account("carol", people["carol"].public_key, roles=ADMINISTRATOR),
        "accounts/dave.yaml": account("dave", people["dave"].public_key),
        "accounts/erin.yaml": account("erin", roles=ADMINISTRATOR, extra="enabled: false\n"),
        "groups/approvers.yaml": group("alice", "bob", "erin"),
        "groups/more.yaml": group("alice", "bob", "carol"),
        **{
            f"policies/{name}.yaml": access_policy(kind, "more", extra="attested: true\n" if kind == "app" else "")
            for name, kind in {"apps": "app", "scripts": "script", "access-policies": "accessPolicy"}.items()
        },
    }
    found = Ready(hub, files).doctor()
    assert levels(found) == {"gitHubIds": "warning"}
    assert found["gitHubIds"][1].endswith(": bob, carol")


def test_rules_that_accept_sign_off_on_github_are_a_warning(hub: Hub) -> None:
    """Whoever holds the attestor's key could change the rules."""
    rules = access_policy("accessPolicy", "approvers", extra="attested: true\n")
    ready = Ready(hub, {"policies/access-policies.yaml": rules})
    assert levels(ready.doctor()) == {"attestedPolicies": "warning"}
    checks = ready.answer("--format", "json").json["checks"]
    told = [(one["level"], one["message"]) for one in checks if one["check"] == "attestedPolicies"]
    assert told[0] == ("ok", "sign-off on GitHub counts for: access-policies, apps, scripts")
    assert told[1][1].startswith("policies/access-policies.yaml accepts sign-off on GitHub for the rules themselves")


def test_no_policy_that_accepts_sign_off_is_a_warning(hub: Hub) -> None:
    """Then nothing can be approved on GitHub."""
    files = {"policies/apps.yaml": access_policy("app", "approvers"), "policies/scripts.yaml": None}
    assert Ready(hub, files).doctor()["attestedPolicies"][:2] == (
        "warning",
        "no access policy accepts sign-off on GitHub",
    )


def test_only_the_requestor_may_complete_is_a_warning(hub: Hub) -> None:
    """On GitHub only the deploy key may push, and the deployer is nobody's requestor."""
    found = Ready(hub, {"maa.yaml": settings("requests: {completeBy: requestor}\n")}).doctor()
    assert levels(found) == {"completeBy": "warning"}


def test_a_no_reply_address_belongs_to_its_number(hub: Hub) -> None:
    """The address that GitHub gives out is its owner's, by number."""
    address = f"{NUMBERS['alice']}+anything@users.noreply.github.com"
    found = Ready(hub, {}).doctor(GIT_AUTHOR_EMAIL=address)
    assert found["address"][:2] == ("ok", f"{address} belongs to the account alice")


def test_an_account_on_github_that_is_disabled_is_not_asked_for(hub: Hub) -> None:
    """What became of the login of somebody who left does not matter."""
    dave = on_github("dave", hub.world.dave.public_key, "", "enabled: false\n")
    ready = Ready(hub, {"accounts/dave.yaml": dave})
    ready.fake.remove("dave-hub")
    assert levels(ready.doctor()) == {}
    assert json.dumps(ready.fake.requests).count("dave-hub") == 0
