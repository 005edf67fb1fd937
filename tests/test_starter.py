"""``init``: planning a tenant repository and writing it, in real git repositories."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from maa_gitops import shipped
from maa_gitops.documents import check_schema, read_yaml, schema_names, shipped_schema
from maa_gitops.errors import NotAllowedError, RemoteError, RepositoryError
from maa_gitops.git import Repository
from maa_gitops.history import Memory, walk
from maa_gitops.model import CompleteBy, Level, Role, Target, Tenant
from maa_gitops.starter import GROUP, Options, Plan, Started, carry_out, plan
from maa_gitops.tenant import load, load_tenant, validate

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GIT = shutil.which("git") or "git"
ADMINISTRATOR = Role.INTUNE_SERVICE_ADMINISTRATOR
POLICIES = ["policies/access-policies.yaml", "policies/apps.yaml", "policies/scripts.yaml"]


def key_of(seed: str, comment: str = "") -> str:
    """A public key's line; the same seed gives the same key."""
    private = Ed25519PrivateKey.from_private_bytes(seed.encode().ljust(32, b"."))
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"{line} {comment}".strip()


ALICE = ("alice", key_of("alice", "alice@laptop"))
BOB = ("bob", key_of("bob", "bob@contoso.com") + "\n")
CAROL = ("carol", key_of("carol"))
THREE = Options(tenant="contoso", accounts=(ALICE, BOB, CAROL))


def own_key() -> str:
    """The caller's key: it is Alice who runs the tests."""
    return key_of("alice")


def no_key() -> str:
    """What looking for the caller's key comes to on a machine without one."""
    raise RepositoryError("expected one SSH key, found none", code="noSigningKey")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in which a test runs git, and ``init``, as a person would."""

    path: Path
    env: Mapping[str, str]

    def git(self, *arguments: str) -> str:
        """Run git, which must succeed."""
        done = subprocess.run([GIT, *arguments], cwd=self.path, env=self.env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().rstrip("\n")

    def open(self) -> Repository:
        """The adapter on this folder."""
        return Repository.open(self.path, self.env)

    def plan(self, options: Options, key: Callable[[], str] = own_key) -> Plan:
        """Plan only."""
        return plan(self.open(), options, key)

    def init(self, options: Options, key: Callable[[], str] = own_key) -> Started:
        """Plan, then write."""
        return carry_out(self.open(), self.plan(options, key), NOON)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the work tree."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self, files: Mapping[str, str]) -> str:
        """Commit files."""
        for path, text in files.items():
            self.write(path, text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "step")
        return self.git("rev-parse", "HEAD")

    def read(self, path: str) -> str:
        """Read a file of the work tree."""
        return (self.path / path).read_text()

    def status(self) -> list[str]:
        """What git says is not committed."""
        return self.git("status", "--porcelain", "--untracked-files=all").splitlines()

    def tenant(self, revision: str = "HEAD") -> Tenant:
        """The rules of a commit, which must be sound."""
        return load_tenant(self.open(), self.git("rev-parse", revision))

    def files(self) -> set[str]:
        """Every file on disk but git's own."""
        names = (path.relative_to(self.path) for path in self.path.rglob("*") if not path.is_dir())
        return {name.as_posix() for name in names if name.parts[0] != ".git"}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment that cannot reach the developer's own settings."""
    home = tmp_path / "home"
    home.mkdir()
    settings = "[init]\n\tdefaultBranch = main\n[user]\n\tname = Alice Nguyen\n\temail = alice@contoso.com\n"
    (home / "gitconfig").write_text(settings)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.fixture
def place(tmp_path: Path, env: dict[str, str]) -> Place:
    """A repository without a commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    made = Place(folder, env)
    made.git("init", "--quiet")
    return made


@pytest.fixture
def lone(place: Place) -> Place:
    """Alice's tenant, on a change branch."""
    place.init(Options(tenant="contoso"))
    place.git("switch", "--quiet", "--create", "change/more")
    return place


def refusal(place: Place, options: Options, key: Callable[[], str] = own_key) -> NotAllowedError:
    """How init refuses; it must have written nothing."""
    before, status = place.files(), place.status()
    with pytest.raises(NotAllowedError) as caught:
        place.init(options, key)
    assert (place.files(), place.status()) == (before, status)
    return caught.value


# --- a new tenant ----------------------------------------------------------------------------------------------------


def test_the_callers_key_and_git_name_make_the_first_account(place: Place) -> None:
    """Without accounts the caller is the only one: administrator, deployer, member of the approvers."""
    started = place.init(Options(tenant="contoso"))
    tenant = place.tenant()
    alice = tenant.accounts["alice-nguyen"]
    assert list(tenant.accounts) == ["alice-nguyen"]
    assert (alice.display_name, alice.user_principal_name) == ("Alice Nguyen", "alice@contoso.com")
    assert alice.roles == {ADMINISTRATOR, Role.DEPLOYER}
    assert alice.signing_keys == (key_of("alice"),)
    assert tenant.groups[GROUP].members == ("alice-nguyen",)
    assert (tenant.settings.tenant, tenant.settings.protected_branch) == ("contoso", "main")
    assert tenant.settings.targets == (Target("local", "local"),)
    assert started.branch == "main"


def test_with_one_account_no_policy_is_written_and_the_next_step_is_told(place: Place) -> None:
    """Nobody could satisfy an access policy yet."""
    started = place.init(Options(tenant="contoso"))
    again = "maa init --account NAME=PUBLIC_KEY_FILE"
    assert place.tenant().policies == {}
    assert started.notes == (
        "no access policy is written, since nobody could satisfy it: only alice-nguyen is in groups/approvers.yaml",
        f"add a second account: git switch -c change/second-account, {again}, maa submit -a",
        "share it: git remote add origin URL, git push -u origin main",
    )


def test_three_accounts_make_a_tenant_with_policies(place: Place) -> None:
    """The first account is the administrator and deployer, everybody is an approver, every type is protected."""
    started = place.init(THREE, no_key)
    tenant = place.tenant()
    assert {name: account.roles for name, account in tenant.accounts.items()} == {
        "alice": {ADMINISTRATOR, Role.DEPLOYER},
        "bob": frozenset(),
        "carol": frozenset(),
    }
    assert tenant.groups[GROUP].members == ("alice", "bob", "carol")
    assert {name: (policy.profile_type, policy.approver_groups) for name, policy in tenant.policies.items()} == {
        "access-policies": ("accessPolicy", (GROUP,)),
        "apps": ("app", (GROUP,)),
        "scripts": ("script", (GROUP,)),
    }
    assert all(not policy.scope and policy.required_approvals == 1 for policy in tenant.policies.values())
    assert started.notes == ("share it: git remote add origin URL, git push -u origin main",)


def test_the_commit_is_on_the_current_branch_by_gits_identity(place: Place) -> None:
    """One commit, which this clone takes as its trusted start of the branch that it protects."""
    first = place.commit({"README.md": "hello\n"})
    place.git("switch", "--quiet", "--create", "release/live")
    started = place.init(THREE)
    assert place.git("rev-list", "--parents", "HEAD").splitlines() == [f"{started.commit} {first}", first]
    assert (
        place.git("log", "-1", "--format=%an <%ae> %cI") == "Alice Nguyen <alice@contoso.com> 2026-11-23T12:00:00+00:00"
    )
    assert place.git("config", "--local", "maa.protectedBranch") == "release/live"
    assert place.git("config", "--local", "maa.trustedStart") == started.commit
    assert place.tenant().settings.protected_branch == "release/live"
    assert place.status() == []


def test_the_new_tenant_is_a_history_to_go_on_from(place: Place) -> None:
    """The commit is good; that nobody knows an address of Carol's is all there is to say."""
    started = place.init(THREE)
    repository = place.open()
    assert started.commit is not None
    assert walk(repository, Memory(started.commit), started.commit, NOON).tip_is_good
    problems = validate(repository, repository.commit(started.commit).tree)
    assert [(problem.path, problem.code) for problem in problems] == [("accounts/carol.yaml", "noAddress")]


def test_a_remote_is_never_pushed_to(place: Place, tmp_path: Path) -> None:
    """The person is told to push."""
    subprocess.run([GIT, "init", "--bare", "--quiet", tmp_path / "remote.git"], env=place.env, check=True)
    place.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    assert place.init(THREE).notes == ("share it: git push -u origin main",)
    assert place.git("ls-remote", "origin") == ""


def test_only_its_own_files_are_committed(place: Place) -> None:
    """What is staged, changed, untracked or ignored stays as it is, and ignore rules do not keep its files out."""
    place.commit({"a.txt": "a\n", "b.txt": "b\n", ".gitignore": "*.json\npolicies\nsecret\n"})
    place.write("a.txt", "changed\n")
    place.write("b.txt", "staged\n")
    place.write("new.txt", "staged\n")
    place.git("add", "b.txt", "new.txt")
    place.write("untracked.txt", "mine\n")
    place.write("secret", "mine\n")
    started = place.init(THREE)
    assert place.status() == [" M a.txt", "M  b.txt", "A  new.txt", "?? untracked.txt"]
    assert place.git("diff-tree", "-r", "--name-only", "HEAD^", "HEAD").splitlines() == list(started.files)
    assert {"maa.yaml", "schemas/maa/app.schema.json", *POLICIES} <= set(started.files)


def test_a_repository_without_a_commit_may_have_files_staged(place: Place) -> None:
    """They are not part of the first commit."""
    place.write("junk.txt", "staged\n")
    place.git("add", "junk.txt")
    started = place.init(THREE)
    assert place.git("ls-tree", "-r", "--name-only", "HEAD").splitlines() == list(started.files)
    assert place.status() == ["A  junk.txt"]


def test_existing_accounts_stay_and_are_people_of_the_tenant(place: Place) -> None:
    """Sound files of the tenant's own are built upon, not written over."""
    dave = f"displayName: Dave\nsigningKeys: ['{key_of('dave')}']\n"
    place.commit({"accounts/dave.yaml": dave, ".github/CODEOWNERS": "* @dave\n", "resources/apps/README.md": "Apps\n"})
    place.init(Options(tenant="contoso", accounts=(ALICE,)))
    assert place.read("accounts/dave.yaml") == dave
    assert place.tenant().groups[GROUP].members == ("dave", "alice")
    assert list(place.tenant().policies) == ["access-policies", "apps", "scripts"]


# --- what it writes --------------------------------------------------------------------------------------------------


def test_every_document_names_its_schema_and_conforms_to_it(place: Place) -> None:
    """The first line leads, from where the file is, to a copy of the schema that the tool itself uses."""
    started = place.init(THREE)
    documents = [path for path in started.files if path.endswith(".yaml")]
    assert len(documents) == 8
    for path in documents:
        first = place.read(path).splitlines()[0]
        start, _, relative = first.partition("=")
        copy = (place.path / path).parent / relative
        schema = json.loads(copy.read_bytes())
        document, _ = read_yaml((place.path / path).read_bytes(), path)
        assert start == "# yaml-language-server: $schema"
        assert document is not None
        assert schema == shipped_schema(copy.name.removesuffix(".schema.json"))
        assert check_schema(document, schema) == ()


def test_every_shipped_schema_is_copied(place: Place) -> None:
    """Byte for byte."""
    place.init(THREE)
    copies = {file.name: file.read_bytes() for file in (place.path / "schemas/maa").iterdir()}
    assert copies == {f"{n}.schema.json": shipped.shipped_file("schemas", f"{n}.schema.json") for n in schema_names()}


def test_the_settings_that_are_commented_out_are_valid(place: Place) -> None:
    """Who takes the number signs away has settings that the tool accepts; they are the defaults, but for the type."""
    place.init(THREE)
    plain = place.tenant().settings
    first, *lines = place.read("maa.yaml").splitlines()
    place.commit({"maa.yaml": "\n".join([first, *(line.removeprefix("# ") for line in lines), ""])})
    settings = place.tenant().settings
    assert (settings.expire_after_days, settings.complete_by) == (plain.expire_after_days, CompleteBy.ANYONE)
    assert [profile_type.name for profile_type in settings.profile_types] == ["app", "script", "compliancePolicy"]


def test_git_neither_converts_nor_merges_records(place: Place) -> None:
    """Records are signed bytes; documents have line feeds, on Windows too."""
    place.init(THREE)
    attributes = ("text", "eol", "merge", "diff", "linguist-generated")
    told = place.git("check-attr", *attributes, "--", "requests/2026/x.jsonl", "maa.yaml").splitlines()
    assert [line.split(": ", 1)[1] for line in told] == [
        *("text: unset", "eol: lf", "merge: unset", "diff: unspecified", "linguist-generated: set"),
        *("text: auto", "eol: lf", "merge: unspecified", "diff: unspecified", "linguist-generated: unspecified"),
    ]


def test_an_existing_gitattributes_is_left_and_what_it_lacks_is_told(place: Place) -> None:
    """The person adds the lines."""
    place.commit({".gitattributes": "* text=auto eol=lf\n*.png binary\n"})
    started = place.init(THREE)
    assert place.read(".gitattributes") == "* text=auto eol=lf\n*.png binary\n"
    missing = ("resources/**/*.ps1 -text", "resources/**/*.sh -text", "requests/** -text -merge linguist-generated")
    assert started.notes[:3] == tuple(f".gitattributes is left as it is; add the line: {line}" for line in missing)


def test_folders_of_the_built_in_types_exist(place: Place) -> None:
    """Where there are resources already no placeholder is needed."""
    place.commit({"resources/scripts/set-time-zone.yaml": "type: deviceManagementScript\n"})
    assert {path for path in place.init(THREE).files if path.startswith("resources")} == {"resources/apps/.gitkeep"}


@pytest.mark.parametrize("folder", ["policies", "schemas"])
def test_shipped_files_are_found_in_a_checkout_and_in_a_wheel(folder: str, tmp_path: Path) -> None:
    """A wheel has the folders inside the package, a checkout beside it."""
    package = tmp_path / "maa_gitops"
    shutil.copytree(Path(shipped.__file__).parent.parent / folder, package / folder)
    spec = importlib.util.spec_from_file_location("installed", shutil.copy(shipped.__file__, package))
    assert spec is not None
    assert spec.loader is not None
    installed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(installed)
    assert installed.shipped_names(folder) == shipped.shipped_names(folder)
    assert "access-policies.yaml" in shipped.shipped_names("policies")


# --- accounts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "email", "account", "address"),
    [
        ("José Núñez-Ibáñez", "jose@contoso.com", "jose-nunez-ibanez", "jose@contoso.com"),
        ("王伟", "wang.wei@contoso.com", "wang-wei", "wang.wei@contoso.com"),
        ("x" * 80, "root@machine", "x" * 64, None),
        ("Null", "root@mac.local", "null", None),
        ('Anne "A: #1" O\'Neil', "anne@contoso.com", "anne-a-1-o-neil", "anne@contoso.com"),
    ],
)
def test_the_first_accounts_name_comes_from_gits(
    place: Place, name: str, email: str, account: str, address: str | None
) -> None:
    """Lower-case ASCII of the name, else of the mail's local part; an address is only what looks like one."""
    place.git("config", "user.name", name)
    place.git("config", "user.email", email)
    place.init(Options(tenant="contoso"))
    made = place.tenant().accounts[account]
    assert (made.display_name, made.user_principal_name) == (name, address)
    assert place.tenant().groups[GROUP].members == (account,)


def test_a_key_comment_that_is_an_address_is_the_accounts(place: Place) -> None:
    """The caller's address comes from git, though, and what ssh-keygen puts into a key by itself is no address."""
    place.init(THREE)
    accounts = place.tenant().accounts.values()
    assert [(account.display_name, account.user_principal_name) for account in accounts] == [
        ("Alice Nguyen", "alice@contoso.com"),
        ("Bob", "bob@contoso.com"),
        ("Carol", None),
    ]
    assert BOB[1].strip() in place.read("accounts/bob.yaml")


def test_admins_and_deployers_are_who_is_named(place: Place) -> None:
    """With administrators named, the first account is none; deployers are then those administrators."""
    place.init(Options("contoso", (ALICE, BOB, CAROL), admins=("bob", "carol")))
    roles = {name: account.roles for name, account in place.tenant().accounts.items()}
    both = {ADMINISTRATOR, Role.DEPLOYER}
    assert roles == {"alice": frozenset(), "bob": both, "carol": both}


def test_a_deployer_need_not_be_an_admin(place: Place) -> None:
    """Each gets the role that was asked for."""
    place.init(Options("contoso", (ALICE, BOB), deployers=("bob",)))
    roles = {name: account.roles for name, account in place.tenant().accounts.items()}
    assert roles == {"alice": {ADMINISTRATOR}, "bob": {Role.DEPLOYER}}


def test_without_any_key_there_is_no_first_account(place: Place) -> None:
    """What was found out about the caller's keys is what the error says."""
    with pytest.raises(RepositoryError, match="found none"):
        place.init(Options(tenant="contoso"), no_key)
    assert place.files() == set()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (Options(None, (ALICE,)), "missingTenant", "a new tenant needs a name"),
        (Options("con toso", (ALICE,)), "invalidDocument", "maa.yaml:3:9: tenant: expected a tenant's name"),
        (Options("c", (("Alice", ALICE[1]),)), "invalidName", "'Alice' cannot name an account"),
        (Options("c", (("../alice", ALICE[1]),)), "invalidName", "'../alice' cannot name an account"),
        (Options("c", (ALICE, ALICE)), "invalidName", "account alice is given twice"),
        (Options("c", (ALICE, ("bob", ALICE[1]))), "invalidDocument", "account alice has the same signing key"),
        (Options("c", (("alice", "ssh-dss AAAA"),)), "unusableKey", "key type ssh-dss is not accepted"),
        (Options("c", (("alice", f"{ALICE[1]}\n{BOB[1]}"),)), "unusableKey", "not an OpenSSH public key line"),
        (Options("c", (ALICE,), admins=("bob",)), "unknownAccount", "--admin bob: there is no such account"),
        (Options("c", (ALICE, BOB), deployers=("eve",)), "unknownAccount", "--deployer eve: .* there are: alice, bob"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(place: Place, options: Options, code: str, message: str) -> None:
    """With the reason, and before anything is written."""
    error = refusal(place, options)
    assert (error.code, bool(re.search(message, error.message))) == (code, True)


def test_a_name_of_which_no_account_can_be_made_is_refused(place: Place) -> None:
    """The person is told to name the account."""
    place.git("config", "user.name", "王伟")
    place.git("config", "user.email", "王@contoso.com")
    error = refusal(place, Options(tenant="contoso"))
    assert (error.code, error.hint) == ("invalidName", "maa init --account NAME=PUBLIC_KEY_FILE")


# --- what stands in the way ------------------------------------------------------------------------------------------


def test_all_files_that_collide_are_listed(place: Place) -> None:
    """Nothing is written before all of it is mended."""
    place.commit(
        {
            "policies": "we have some\n",
            "Groups/README.md": "case\n",
            "accounts/broken.yaml": "displayName: x\ncolour: red\n",
            "resources/foo.txt": "x\n",
            "resources/Apps/x.yaml": "type: winGetApp\n",
            "requests/2026/old.jsonl": "{}\n",
            "requests/README.md": "x\n",
            "schemas/maa": "a file\n",
        }
    )
    planned = place.plan(THREE)
    assert [(problem.path, problem.code) for problem in planned.problems] == [
        ("Groups", "refused"),
        ("accounts/broken.yaml", "missingKey"),
        ("accounts/broken.yaml", "unknownKey"),
        ("policies", "refused"),
        ("requests/2026/old.jsonl", "refused"),
        ("requests/README.md", "refused"),
        ("resources/Apps/x.yaml", "refused"),
        ("resources/foo.txt", "refused"),
        ("schemas/maa", "refused"),
    ]
    error = refusal(place, THREE)
    assert all(problem.message in error.message for problem in planned.problems)


@pytest.mark.parametrize(
    "path",
    [
        "maa.yaml/x",
        "accounts/alice.yaml/x",
        "resources",
        "requests",
        "accounts",
        "schemas/maa/app.schema.json",
        "MAA.yaml",
    ],
)
def test_one_file_that_collides_is_told_once(place: Place, path: str) -> None:
    """Whether it lies where a folder must be, or a folder where a file must be."""
    place.commit({path: "mine\n"})
    assert [problem.path for problem in place.plan(THREE).problems] == [path]
    refusal(place, THREE)


def test_d5_links_and_executables_on_reserved_paths_are_refused(place: Place) -> None:
    """What could not land later does not begin a tenant either."""
    place.commit({"resources/apps/x.sh": "#!/bin/sh\n", "accounts/README.md": "x\n"})
    place.git("update-index", "--chmod=+x", "resources/apps/x.sh")
    (place.path / "groups").symlink_to("elsewhere")
    place.git("add", "groups")
    place.git("commit", "--quiet", "-m", "link")
    assert [problem.path for problem in place.plan(THREE).problems] == ["groups", "resources/apps/x.sh"]


@pytest.mark.parametrize("path", ["accounts/alice.yaml", "policies", "schemas/maa/app.schema.json/x", "ignored"])
def test_uncommitted_files_in_the_way_are_told(place: Place, path: str) -> None:
    """They are not in any commit, so writing over them would lose them."""
    ignored = "maa.yaml" if path == "ignored" else "nothing"
    place.commit({".gitignore": f"{ignored}\n"})
    file = "maa.yaml" if path == "ignored" else path
    place.write(file, "mine\n")
    error = refusal(place, THREE)
    assert f"{file}: not committed, and stands where init writes a file of its own" in error.message
    assert place.read(file) == "mine\n"


def test_a_bare_repository_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    """There is nowhere to write files to."""
    folder = tmp_path / "bare.git"
    subprocess.run([GIT, "init", "--bare", "--quiet", folder], env=env, check=True)
    with pytest.raises(RepositoryError, match="without a work tree"):
        Place(folder, env).init(THREE)


def test_git_must_know_who_commits(place: Place) -> None:
    """The commit of a new tenant has an author."""
    bare = Place(place.path, {**place.env, "GIT_CONFIG_GLOBAL": os.devnull})
    with pytest.raises(RepositoryError, match="does not know your name"):
        bare.init(THREE)
    assert place.files() == set()


# --- which branch ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("switch", "--create", "change/x"), ("checkout", "--detach")])
def test_a_new_tenant_does_not_begin_on_a_change_branch_or_none(place: Place, arguments: tuple[str, ...]) -> None:
    """The current branch becomes the protected one."""
    place.commit({"README.md": "hello\n"})
    place.git("-c", "advice.detachedHead=false", *arguments)
    error = refusal(place, THREE)
    assert (error.code, error.hint) == ("noProtectedBranch", "git switch -c main")


def test_a_clone_that_protects_another_branch_begins_no_second_tenant(place: Place) -> None:
    """Its configuration names the branch to be on."""
    place.commit({"README.md": "hello\n"})
    place.git("config", "maa.protectedBranch", "live")
    assert refusal(place, THREE).hint == "git switch live"


def test_a_tenant_that_lost_its_settings_is_not_begun_anew(place: Place) -> None:
    """A new trusted start would hide what happened since the old one."""
    commit = place.init(THREE).commit
    place.git("rm", "--quiet", "maa.yaml")
    place.commit({})
    error = refusal(place, THREE)
    assert (error.code, error.hint) == ("lostTenant", f"git restore --source={commit} maa.yaml")


def test_h26_a_shallow_clone_begins_no_tenant(place: Place, tmp_path: Path) -> None:
    """What lies before its first commit may be a tenant."""
    place.init(THREE)
    place.git("rm", "--quiet", "maa.yaml")
    place.commit({})
    place.git("clone", "--quiet", "--depth=1", f"file://{place.path}", str(tmp_path / "shallow"))
    with pytest.raises(RepositoryError) as caught:
        Place(tmp_path / "shallow", place.env).init(THREE)
    assert (caught.value.code, caught.value.hint) == ("missingObject", "git fetch --unshallow")


@pytest.mark.parametrize("arguments", [("switch", "main"), ("switch", "--create", "topic"), ("checkout", "--detach")])
def test_an_existing_tenant_is_added_to_on_a_change_branch_only(lone: Place, arguments: tuple[str, ...]) -> None:
    """Everything that init writes needs approval from then on."""
    lone.git("-c", "advice.detachedHead=false", *arguments)
    error = refusal(lone, Options(accounts=(BOB,)))
    assert error.code == "notOnChangeBranch"
    assert error.hint == "git switch -c change/add-what-is-missing, then run init again"


# --- again, in a tenant that exists ----------------------------------------------------------------------------------


def test_the_second_account_brings_the_policies(lone: Place) -> None:
    """It is left to submit to commit them; settings and first account stay."""
    head, settings = lone.git("rev-parse", "HEAD"), lone.git("config", "--local", "--list")
    started = lone.init(Options(accounts=(BOB,)))
    assert started.commit is None
    assert started.files == ("accounts/bob.yaml", "groups/approvers.yaml", *POLICIES)
    assert started.notes == ("send it for approval: maa submit -a",)
    assert (lone.git("rev-parse", "HEAD"), lone.git("config", "--local", "--list")) == (head, settings)
    assert lone.git("diff", "--cached", "--name-only") == ""
    lone.commit({})
    tenant = lone.tenant()
    assert tenant.groups[GROUP].members == ("alice-nguyen", "bob")
    assert tenant.accounts["bob"].roles == frozenset()
    assert list(tenant.policies) == ["access-policies", "apps", "scripts"]


def test_it_goes_on_from_what_is_not_committed_yet(lone: Place) -> None:
    """Run once for each account, it loses nobody."""
    lone.init(Options(accounts=(BOB,)))
    started = lone.init(Options(accounts=(CAROL,)))
    assert started.files == ("accounts/carol.yaml", "groups/approvers.yaml")
    lone.commit({})
    assert lone.tenant().groups[GROUP].members == ("alice-nguyen", "bob", "carol")


def test_nothing_is_missing_in_a_whole_tenant(place: Place) -> None:
    """Then nothing is written."""
    place.init(THREE)
    place.git("switch", "--quiet", "--create", "change/more")
    started = place.init(Options(tenant="contoso", accounts=(BOB,)))
    assert started == Started("change/more", (), None, ("there is nothing to add",))
    assert place.status() == []


def test_comments_of_the_group_are_kept(lone: Place) -> None:
    """Only the line of the members changes."""
    text = lone.read("groups/approvers.yaml").replace("members: [alice-nguyen]", "# two\n\nmembers: []  # none yet")
    lone.commit({"groups/approvers.yaml": text})
    lone.init(Options(accounts=(BOB, ("null", CAROL[1]))))
    assert lone.read("groups/approvers.yaml") == text.replace("members: []", 'members: [bob, "null"]')


@pytest.mark.parametrize("members", ["members:\n  - alice-nguyen\n", "members: [alice-nguyen,]\n"])
def test_a_group_of_another_shape_is_left_and_the_members_are_told(lone: Place, members: str) -> None:
    """Text that init did not write it does not rewrite; nobody is an approver yet, so there are no policies."""
    text = f"displayName: Approvers\n{members}"
    lone.commit({"groups/approvers.yaml": text})
    started = lone.init(Options(accounts=(BOB,)))
    assert lone.read("groups/approvers.yaml") == text
    assert started.files == ("accounts/bob.yaml",)
    assert started.notes[0] == "groups/approvers.yaml is left as it is; add to its members: bob"
    assert started.notes[1].startswith("no access policy is written")


def test_a_missing_group_is_made_of_all_enabled_people(lone: Place) -> None:
    """Services and those who are disabled approve nothing."""
    (lone.path / "groups/approvers.yaml").unlink()
    service = f"displayName: Deployment\nkind: service\nsigningKeys: ['{key_of('service')}']\n"
    lone.commit({"accounts/ci.yaml": service, "accounts/old.yaml": "displayName: O\nenabled: false\nsigningKeys: []\n"})
    lone.init(Options(accounts=(BOB,)))
    lone.commit({})
    assert lone.tenant().groups[GROUP].members == ("alice-nguyen", "bob")


def test_who_is_disabled_is_not_made_a_member(lone: Place) -> None:
    """Naming an account that exists does not bring it back."""
    lone.commit({"accounts/carol.yaml": f"displayName: Carol\nenabled: false\nsigningKeys: ['{CAROL[1]}']\n"})
    assert lone.init(Options(accounts=(CAROL,))).files == ()
    assert lone.tenant().groups[GROUP].members == ("alice-nguyen",)


def test_existing_accounts_are_left_and_what_they_lack_is_told(lone: Place) -> None:
    """A key or a role is given to somebody by hand."""
    before = lone.read("accounts/alice-nguyen.yaml")
    lone.init(Options(accounts=(BOB,)))
    started = lone.init(
        Options(accounts=(("bob", CAROL[1]),), admins=("alice-nguyen", "bob"), deployers=("alice-nguyen",))
    )
    assert started.files == ()
    assert started.notes == (
        f"accounts/bob.yaml is left as it is; add to its signingKeys: {CAROL[1]}",
        "accounts/bob.yaml is left as it is; add to its roles: intuneServiceAdministrator",
        "there is nothing to add",
    )
    assert lone.read("accounts/alice-nguyen.yaml") == before


def test_older_schemas_are_refreshed(lone: Place) -> None:
    """After an upgrade of the tool, editors check with what the tool checks with."""
    current = lone.read("schemas/maa/app.schema.json")
    (lone.path / "schemas/maa/group.schema.json").unlink()
    lone.commit({"schemas/maa/app.schema.json": "{}\n"})
    started = lone.init(Options())
    assert started.files == ("schemas/maa/app.schema.json", "schemas/maa/group.schema.json")
    assert lone.read("schemas/maa/app.schema.json") == current


def test_d5_a_link_in_place_of_a_schema_is_not_followed(lone: Place, tmp_path: Path) -> None:
    """Else init would write to wherever it leads."""
    outside = tmp_path / "outside.json"
    outside.write_text("{}\n")
    schema = lone.path / "schemas/maa/app.schema.json"
    schema.unlink()
    schema.symlink_to(outside)
    assert "schemas/maa/app.schema.json: stands" in refusal(lone, Options()).message
    assert outside.read_text() == "{}\n"


def test_an_ignored_file_is_not_written_over(lone: Place) -> None:
    """Git does not tell of it, so it is found when it is in the way; then nothing is changed."""
    lone.commit({".gitignore": "policies/scripts.yaml\n"})
    lone.write("policies/scripts.yaml", "mine\n")
    before = lone.files()
    with pytest.raises(RepositoryError, match=r"policies/scripts\.yaml"):
        lone.init(Options(accounts=(BOB,)))
    assert (lone.files(), lone.status()) == (before, [])
    assert lone.read("policies/scripts.yaml") == "mine\n"


def test_a_broken_tenant_is_mended_first(lone: Place) -> None:
    """What is missing cannot be told from rules that do not read."""
    lone.write("groups/approvers.yaml", "members: [eve\n")
    assert refusal(lone, Options(accounts=(BOB,))).message.startswith(
        "this would not make a tenant repository: groups/approvers.yaml:"
    )


def test_the_tenants_name_never_changes(lone: Place) -> None:
    """It is part of every signature."""
    assert refusal(lone, Options(tenant="fabrikam")).code == "otherTenant"


def test_a_third_key_of_somebody_else_is_refused(lone: Place) -> None:
    """No key is held by two accounts, also where one of them is there already."""
    assert "same signing key" in refusal(lone, Options(accounts=(("eve", key_of("alice")),))).message


# --- all or nothing --------------------------------------------------------------------------------------------------


def test_a_file_that_appears_meanwhile_stops_everything(place: Place) -> None:
    """What was written before it is taken back, folders too."""
    place.commit({"README.md": "hello\n"})
    planned = place.plan(THREE)
    place.write("policies/scripts.yaml", "mine\n")
    with pytest.raises(RepositoryError) as caught:
        carry_out(place.open(), planned, NOON)
    assert caught.value.code == "writeFailed"
    assert place.status() == ["?? policies/scripts.yaml"]
    assert sorted(path.name for path in place.path.iterdir()) == [".git", "README.md", "policies"]


def test_a_branch_that_moved_meanwhile_stops_everything(place: Place) -> None:
    """The plan was made for another commit."""
    planned = place.plan(THREE)
    place.commit({"README.md": "hello\n"})
    with pytest.raises(RemoteError) as caught:
        carry_out(place.open(), planned, NOON)
    assert (caught.value.code, place.status()) == ("lostRace", [])


@pytest.mark.parametrize("commits", [0, 1])
def test_a_locked_index_stops_everything(place: Place, commits: int) -> None:
    """The branch goes back to where it was, if it was anywhere."""
    for _ in range(commits):
        place.commit({"README.md": "hello\n"})
    before = place.git("for-each-ref")
    planned = place.plan(THREE)
    (place.path / ".git/index.lock").touch()
    with pytest.raises(RepositoryError, match="index"):
        carry_out(place.open(), planned, NOON)
    (place.path / ".git/index.lock").unlink()
    assert (place.git("for-each-ref"), place.status()) == (before, [])


def test_a_locked_configuration_does_not_undo_the_tenant(place: Place) -> None:
    """The commit is made; what this clone should remember is told."""
    planned = place.plan(THREE)
    (place.path / ".git/config.lock").touch()
    with pytest.raises(RepositoryError) as caught:
        carry_out(place.open(), planned, NOON)
    head = place.git("rev-parse", "HEAD")
    assert caught.value.hint == f"git config maa.protectedBranch main && git config maa.trustedStart {head}"
    assert place.status() == []


def test_a_plan_changes_nothing(place: Place) -> None:
    """It only puts objects into git's store, which nothing refers to."""
    planned = place.plan(THREE)
    assert (place.files(), place.git("for-each-ref"), planned.problems) == (set(), "", ())
    assert load(place.open(), planned.tree).errors == ()
    assert all(problem.level is Level.WARNING for problem in load(place.open(), planned.tree).problems)
