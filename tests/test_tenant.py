"""From paths to objects, and what is wrong between documents that are each sound."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from maa_gitops.git import Repository
from maa_gitops.model import BUILT_IN_TYPES, Level, Problem, ProfileType
from maa_gitops.tenant import Kind, load, place, validate
from maa_gitops.tenant.paths import is_misfit
from tests.support import access_policy, account, app, group, settings

TYPES = (*BUILT_IN_TYPES, ProfileType("compliancePolicy", "compliance-policies"))

LONG = "a" * 64
MOBILE_APPS = "deviceAppManagement/mobileapps"  # Graph does not mind the case


@pytest.mark.parametrize(
    ("path", "kind", "governed"),
    [
        ("maa.yaml", Kind.RULE, "accessPolicy/maa.yaml"),
        (".gitattributes", Kind.RULE, "accessPolicy/.gitattributes"),
        ("policies/apps.yaml", Kind.RULE, "accessPolicy/policies/apps.yaml"),
        ("policies/README.md", Kind.RULE, "accessPolicy/policies/README.md"),
        (".github/workflows/gate.yml", Kind.RULE, "accessPolicy/.github/workflows/gate.yml"),
        ("schemas/x/y.json", Kind.RULE, "accessPolicy/schemas/x/y.json"),
        ("resources/apps/company-portal.yaml", Kind.RESOURCE, "app/company-portal"),
        ("resources/apps/finance/payroll.yaml", Kind.RESOURCE, "app/finance/payroll"),
        ("resources/scripts/fix.detection.ps1", Kind.RESOURCE, "script/fix"),
        ("resources/scripts/fix", Kind.RESOURCE, "script/fix"),
        ("resources/compliance-policies/x.yaml", Kind.RESOURCE, "compliancePolicy/x"),
        (f"resources/apps/{LONG}.yaml", Kind.RESOURCE, f"app/{LONG}"),
        ("resources/apps/README.md", Kind.COMPANION, None),
        ("resources/README.md", Kind.COMPANION, None),
        ("resources/apps/finance/.gitkeep", Kind.COMPANION, None),
        ("requests/2026/update.jsonl", Kind.RECORD, None),
        ("README.md", Kind.FREE, None),
        ("docs/policies/apps.yaml", Kind.FREE, None),
        ("maa.yml", Kind.FREE, None),
        ("requests/README.md", Kind.REFUSED, None),
        ("requests/2026/.gitkeep", Kind.REFUSED, None),
        ("requests/26/update.jsonl", Kind.REFUSED, None),
        ("requests/2026/Update.jsonl", Kind.REFUSED, None),
        ("requests/2026/a/b.jsonl", Kind.REFUSED, None),
        ("resources/x.yaml", Kind.REFUSED, None),
        ("resources/unknown/x.yaml", Kind.REFUSED, None),
        ("resources/Apps/x.yaml", Kind.REFUSED, None),
        ("resources/apps", Kind.REFUSED, None),
        ("resources/apps/X.yaml", Kind.REFUSED, None),
        ("resources/apps/-x.yaml", Kind.REFUSED, None),
        ("resources/apps/.hidden.yaml", Kind.REFUSED, None),
        ("resources/apps/fi.nance/x.yaml", Kind.REFUSED, None),
        (f"resources/apps/{LONG}a.yaml", Kind.REFUSED, None),
        ("resources/apps/x\n.yaml", Kind.REFUSED, None),
        ("Policies/apps.yaml", Kind.REFUSED, None),
        ("MAA.yaml", Kind.REFUSED, None),
        (".GitHub/x", Kind.REFUSED, None),
        ("Requests/2026/x.jsonl", Kind.REFUSED, None),
        ("policies", Kind.REFUSED, None),
        ("maa.yaml/x", Kind.REFUSED, None),
        ("requests", Kind.REFUSED, None),
    ],
)
def test_a_path_determines_its_object(path: str, kind: Kind, governed: str | None) -> None:
    """The table of what is protected, without reading a file."""
    found = place(path, TYPES)
    assert (found.kind, str(found.governed) if found.governed else None) == (kind, governed)


@pytest.mark.parametrize(
    ("name", "is_folder", "misfit"),
    [
        ("maa.yaml", False, False),
        ("maa.yaml", True, True),
        ("policies", True, False),
        ("policies", False, True),
        ("Policies", True, True),
        ("README.md", False, False),
        ("resources", False, True),
    ],
)
def test_reserved_names_of_the_root(name: str, is_folder: bool, misfit: bool) -> None:
    """A reserved name is a file or a folder as the contract says, and has no twin by case."""
    assert is_misfit(name, is_folder=is_folder) is misfit


# --- documents together ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Four public keys."""
    folder = tmp_path_factory.mktemp("keys")
    found = []
    for number in range(4):
        path = folder / str(number)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
        found.append(path.with_suffix(".pub").read_text().strip())
    return found


class Bench:
    """A repository in which trees are made from files."""

    def __init__(self, folder: Path, keys: list[str]) -> None:
        """Make it."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, env=environment)
        self.repository = Repository.open(folder, environment)
        admin = "globalAdministrator"
        self.usual = {
            "maa.yaml": settings(),
            "accounts/alice.yaml": account("alice", keys[0], roles=admin),
            "accounts/bob.yaml": account("bob", keys[1], roles=admin),
            "accounts/carol.yaml": account("carol", keys[2]),
            "groups/approvers.yaml": group("alice", "bob", "carol"),
            "policies/apps.yaml": access_policy("app", "approvers"),
            "policies/rules.yaml": access_policy("accessPolicy", "approvers"),
        }

    def tree(self, files: Mapping[str, str | None]) -> str:
        """Write a tree of the usual files with some replaced (None: left out)."""
        whole = {**self.usual, **files}
        placed = {
            path: ("100644", self.repository.write_blob(text.encode()))
            for path, text in whole.items()
            if text is not None
        }
        return self.repository.replace_paths(self.repository.write_tree(()), placed)

    def rules(self, files: Mapping[str, str | None]) -> tuple[Problem, ...]:
        """The problems of the rules."""
        return load(self.repository, self.tree(files)).problems

    def everything(self, files: Mapping[str, str | None]) -> tuple[Problem, ...]:
        """The problems of the whole tree."""
        return validate(self.repository, self.tree(files))


@pytest.fixture
def bench(tmp_path: Path, keys: list[str]) -> Bench:
    """A bench."""
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench", keys)


def told(problems: tuple[Problem, ...]) -> list[tuple[str, int, int, str, str]]:
    """What matters of problems."""
    return [(p.path, p.line, p.column, p.code, p.level.value) for p in problems]


def test_the_usual_tenant_has_no_problems(bench: Bench) -> None:
    """Three approvers, two administrators, every access policy satisfiable."""
    assert told(bench.rules({})) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"maa.yaml": None}, [("maa.yaml", 0, 0, "missingDocument", "error")]),
        (
            {"groups/approvers.yaml": group("alice", "bob", "carol", "mallory")},
            [("groups/approvers.yaml", 2, 30, "unknownAccount", "error")],
        ),
        (
            {"policies/apps.yaml": access_policy("app", "leads", "approvers")},
            [("policies/apps.yaml", 3, 18, "unknownGroup", "error")],
        ),
        (
            {"policies/apps.yaml": access_policy("apps", "approvers")},
            [("policies/apps.yaml", 2, 14, "unknownProfileType", "error")],
        ),
        ({"policies/rules.yaml": None}, [("maa.yaml", 1, 1, "rulesUnprotected", "error")]),
        (
            {"policies/rules.yaml": access_policy("accessPolicy", "approvers", extra='scope: ["groups/*"]\n')},
            [("maa.yaml", 1, 1, "rulesUnprotected", "error")],
        ),
        ({"policies/rules.yaml": None, "policies/apps.yaml": None}, []),
        ({"policies/sub/x.yaml": "x: 1\n"}, [("policies/sub/x.yaml", 0, 0, "unexpectedFile", "error")]),
        ({"accounts/Dave.yaml": "x: 1\n"}, [("accounts/Dave.yaml", 0, 0, "unexpectedFile", "error")]),
        ({"groups/README.md": "words\n", "accounts/.gitkeep": ""}, []),
        ({"policies/.yaml": "x: 1\n"}, [("policies/.yaml", 0, 0, "unexpectedFile", "error")]),
        ({"Policies/x.yaml": "x: 1\n"}, [("Policies", 0, 0, "refused", "error")]),
        (
            {"maa.yaml": settings("profileTypes:\n  app: {folder: more}\n")},
            [("maa.yaml", 7, 8, "builtInType", "error")],
        ),
        (
            {"maa.yaml": settings("profileTypes:\n  wipe: {folder: apps}\n")},
            [("maa.yaml", 7, 18, "sharedFolder", "error")],
        ),
        (
            {"maa.yaml": settings(f"profileTypes:\n  mine: {{folder: mine, graph: {{path: {MOBILE_APPS}}}}}\n")},
            [("maa.yaml", 7, 38, "sharedPlace", "error")],
        ),
        (
            {
                "maa.yaml": settings(
                    "profileTypes:\n  a: {folder: a, graph: {path: deviceManagement/x}}\n  b: {folder: b, "
                    "graph: {path: deviceManagement/X}}\n"
                )
            },
            [("maa.yaml", 8, 32, "sharedPlace", "error")],
        ),
        (
            {
                "maa.yaml": settings(
                    "profileTypes:\n  a: {folder: a, graph: {path: deviceManagement/x, markerProperty: displayName}}\n"
                )
            },
            [("maa.yaml", 7, 68, "sharedProperty", "error")],
        ),
        (
            {"maa.yaml": settings("profileTypes:\n  role: {folder: roles, schema: schemas/role.schema.json}\n")},
            [("schemas/role.schema.json", 0, 0, "missingDocument", "error")],
        ),
        (
            {"groups/few.yaml": group("alice", "bob"), "policies/apps.yaml": access_policy("app", "few")},
            [("policies/apps.yaml", 3, 17, "fewApprovers", "warning")],
        ),
        ({"groups/none.yaml": group()}, [("groups/none.yaml", 2, 10, "emptyGroup", "warning")]),
        (
            {"policies/apps.yaml": access_policy("app", "approvers", required=4)},
            [("policies/apps.yaml", 3, 17, "unsatisfiable", "warning")],
        ),
    ],
)
def test_b4_b5_e9_cross_references(
    bench: Bench, files: dict[str, str | None], expected: list[tuple[str, int, int, str, str]]
) -> None:
    """Each with its place; warnings for what may be meant."""
    assert told(bench.rules(files)) == expected


def test_h13_profile_types_that_differ_by_case_or_share_a_folder(bench: Bench) -> None:
    """A folder belongs to one type, whatever the case."""
    text = settings("profileTypes:\n  wipe: {folder: one}\n  Wipe: {folder: two}\n")
    assert "invalidKey" in {problem.code for problem in bench.rules({"maa.yaml": text})}
    text = settings("profileTypes:\n  wipeA: {folder: one}\n  wipea: {folder: two}\n")
    assert [problem.code for problem in bench.rules({"maa.yaml": text})] == ["caseTwin"]


def test_a5_a_key_a_forge_id_or_an_address_belongs_to_one_account(bench: Bench, keys: list[str]) -> None:
    """Each held twice is an error that names the other account."""
    github = "github: {login: x, id: 7}\n"
    problems = bench.rules(
        {
            "accounts/alice.yaml": account("alice", keys[0], roles="globalAdministrator", extra=github),
            "accounts/bob.yaml": account("bob", keys[0] + " other-comment", roles="globalAdministrator", extra=github),
            "accounts/carol.yaml": account("carol", keys[2], extra="emails: [ALICE@contoso.com]\n"),
        }
    )
    assert sorted((p.path, p.code) for p in problems if p.level is Level.ERROR) == [
        ("accounts/bob.yaml", "sharedForgeId"),
        ("accounts/bob.yaml", "sharedKey"),
        ("accounts/carol.yaml", "sharedAddress"),
    ]


def test_h25_rules_that_would_lock_everybody_out_are_errors(bench: Bench, keys: list[str]) -> None:
    """Too many approvals on access policies, or no administrator whose change others could approve."""
    tall = bench.rules({"policies/rules.yaml": access_policy("accessPolicy", "approvers", required=3)})
    assert [(p.path, p.code) for p in tall if p.level is Level.ERROR] == [("maa.yaml", "unsatisfiable")]
    nine = bench.rules({"policies/rules.yaml": access_policy("accessPolicy", "approvers", required=9)})
    assert {p.path for p in nine if p.level is Level.ERROR} == {"maa.yaml", "policies/rules.yaml"}
    disabled = {
        name: account(name[9:-5], keys[index], roles="globalAdministrator", extra="enabled: false\n")
        for index, name in enumerate(("accounts/alice.yaml", "accounts/bob.yaml"))
    }
    assert ("maa.yaml", "unsatisfiable") in [(p.path, p.code) for p in bench.rules(disabled)]


def test_h20_an_attestor_is_a_service_account_with_no_other_role_and_in_no_group(bench: Bench, keys: list[str]) -> None:
    """Anything else is an error."""
    service = "kind: service\n"
    fine = {"accounts/robot.yaml": account("robot", keys[3], roles="attestor", extra=service)}
    assert told(bench.rules(fine)) == []
    person = bench.rules({"accounts/robot.yaml": account("robot", keys[3], roles="attestor")})
    assert [p.code for p in person] == ["attestor"]
    both = bench.rules({"accounts/robot.yaml": account("robot", keys[3], roles="attestor, deployer", extra=service)})
    assert [p.code for p in both] == ["attestor"]
    grouped = bench.rules({**fine, "groups/approvers.yaml": group("alice", "bob", "carol", "robot")})
    assert [p.code for p in grouped] == ["attestor"]


def test_an_unusable_key_is_an_error_with_its_reason(bench: Bench) -> None:
    """A key that cannot verify anything does not hide in an account."""
    problems = bench.rules({"accounts/carol.yaml": account("carol", "ssh-ed25519 AAAA")})
    assert [(p.path, p.line, p.code) for p in problems] == [("accounts/carol.yaml", 4, "unusableKey")]


# --- resources -------------------------------------------------------------------------------------------------------

SCRIPT = "type: deviceManagementScript\ndisplayName: X\nscriptFile: x.ps1\nrunAsAccount: system\n"
SHELL = "type: deviceShellScript\ndisplayName: X\nscriptFile: x.sh\nrunAsAccount: system\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"resources/apps/x.yaml": app()}, []),
        ({"resources/apps/x.yaml": "type: winGetApp\n"}, ["missingKey", "missingKey", "missingKey"]),
        ({"resources/apps/x.txt": "x"}, ["missingDocument"]),
        ({"resources/scripts/x.yaml": SCRIPT, "resources/scripts/x.ps1": "x"}, []),
        ({"resources/scripts/x.yaml": SCRIPT}, ["missingFile"]),
        (
            {"resources/scripts/x.yaml": SCRIPT, "resources/scripts/x.ps1": "x", "resources/scripts/x.old.ps1": "x"},
            ["unusedFile"],
        ),
        (
            {"resources/scripts/x.yaml": SCRIPT.replace("x.ps1", "y.ps1"), "resources/scripts/y.ps1": "x"},
            ["missingFile", "missingDocument"],
        ),
        ({"resources/scripts/x.yaml": SHELL, "resources/scripts/x.sh": "echo\n"}, ["noShebang"]),
        ({"resources/scripts/x.yaml": SHELL, "resources/scripts/x.sh": "#!/bin/sh\n"}, []),
        ({"resources/x.yaml": "x"}, ["refused"]),
        ({"resources/apps/X.yaml": "x"}, ["refused"]),
        ({"requests/README.md": "x"}, ["refused"]),
        ({"resources/apps/x.yaml": app(), "resources/apps/x.YAML": app()}, ["unusedFile", "caseTwin"]),
        ({"policies/apps.yaml": access_policy("app", "approvers", extra='scope: ["hr/*"]\n')}, ["deadScope"]),
        ({"resources/apps/x.yaml": app().replace("publisher: Microsoft Corporation\n", "")}, ["bareApp"]),
    ],
)
def test_problems_of_resources(bench: Bench, files: dict[str, str | None], expected: list[str]) -> None:
    """A whole tree is looked at: documents, their files, the shape of the tree, what protects nothing."""
    assert [problem.code for problem in bench.everything(files)] == expected


def test_a_types_own_schema_is_held(bench: Bench) -> None:
    """A tenant's own profile type may bring a schema; without one every document is accepted."""
    text = settings(
        "profileTypes:\n  role: {folder: roles, schema: schemas/role.schema.json}\n  free: {folder: free}\n"
    )
    schema = '{"type": "object", "required": ["displayName"], "properties": {"displayName": {"type": "string"}}}'
    files = {"maa.yaml": text, "schemas/role.schema.json": schema, "resources/free/x.yaml": "anything: 1\n"}
    assert [p.code for p in bench.everything({**files, "resources/roles/x.yaml": "displayName: 1\n"})] == [
        "invalidValue"
    ]
    assert bench.everything({**files, "resources/roles/x.yaml": "displayName: X\n"}) == ()
    broken = {**files, "schemas/role.schema.json": '{"$ref": "https://example.com/x.json"}'}
    assert [p.code for p in bench.rules(broken)] == ["invalidSchema"]


@pytest.mark.parametrize("closed", [True, False])
def test_a_resource_of_a_types_own_may_adopt(bench: Bench, closed: bool) -> None:
    """Whatever its own schema says: what is adopted is no property of the object, and its form is held."""
    text = settings("profileTypes:\n  role: {folder: roles, schema: schemas/role.schema.json}\n")
    open_schema = '{"type": "object", "properties": {"displayName": {"type": "string"}}}'
    schema = open_schema.replace("}}}", '}}, "additionalProperties": false}') if closed else open_schema
    files = {"maa.yaml": text, "schemas/role.schema.json": schema}
    adopted = {**files, "resources/roles/x.yaml": "displayName: X\nadopt: {local: a-1}\n"}
    assert bench.everything(adopted) == ()
    wrong = {**files, "resources/roles/x.yaml": "displayName: X\nadopt: {LOCAL: a-1}\n"}
    assert [problem.code for problem in bench.everything(wrong)] == ["invalidKey"]


def test_broken_rules_do_not_hide_broken_resources(bench: Bench) -> None:
    """All problems are told at once, as long as the settings say what belongs to which type."""
    files = {"groups/approvers.yaml": "displayName: A\n", "resources/apps/x.yaml": "type: webApp\n"}
    assert {problem.path for problem in bench.everything(files)} == set(files)
