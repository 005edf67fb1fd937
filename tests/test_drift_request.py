"""``maa drift --open-request``: what was done around the gate becomes a change that somebody can approve, or not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, Provider, open_provider
from tests.support import APP, Answer, Person, World, app

SCRIPT = "resources/scripts/fix.yaml"
FILES = {
    APP: "# The portal.\n" + app(),
    SCRIPT: (
        "type: deviceHealthScript\ndisplayName: Fix\npublisher: Contoso\nrunAsAccount: system\n"
        "detectionScriptFile: fix.look.ps1\nremediationScriptFile: fix.mend.ps1\n"
        "assignments:\n- {target: {group: Staff}, runRemediationScript: true}\n"
    ),
    "resources/scripts/fix.look.ps1": "exit 1\n",
    "resources/scripts/fix.mend.ps1": "exit 0\n",
    "resources/apps/web.yaml": (
        "type: webApp\ndisplayName: Web\npublisher: Contoso\nappUrl: https://contoso.com\n"
        "adopt: {intune: 1f0c}\n"
    ),
}  # fmt: skip
BRANCH = "change/drift-local"
MARK = "maa:contoso:"


@pytest.fixture
def alice(world: World) -> Person:
    """Who looks for drift, in a clone whose local tenant has received three resources."""
    world.alice.submitted("resources", FILES)
    world.bob.maa("approve", "resources")
    world.alice.maa("complete", "resources")
    world.alice.git("switch", "-q", "main")
    world.alice.git("pull", "-q")
    return world.alice


@contextmanager
def tenant(person: Person) -> Iterator[Provider]:
    """The local tenant of a clone."""
    provider = open_provider(Target("local", "local"), person.clone / ".git")
    try:
        yield provider
    finally:
        provider.close()


def sql(person: Person, *statements: str) -> None:
    """Do with the local tenant's file what no provider does."""
    with closing(sqlite3.connect(person.clone / ".git/maa/tenants/local.sqlite3")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def change(person: Person, name: str, **more: object) -> None:
    """Change properties of an object around the gate."""
    with tenant(person) as provider:
        remote_id = provider.find(MARK + name) or ""
        held = provider.objects()[remote_id].held
        provider.update(remote_id, replace(held, data={**held.data, **more}), MARK + name)


def make(person: Person, name: str, **more: object) -> str:
    """Make an object around the gate; returns its id."""
    data = {"type": "webApp", "displayName": name, "publisher": "Contoso", "appUrl": "https://contoso.com", **more}
    with tenant(person) as provider:
        remote_id = provider.create(DesiredObject("app", data), "none")
    sql(person, "UPDATE objects SET marker = NULL WHERE marker = 'none'")
    return remote_id


def delete(person: Person, name: str) -> None:
    """Delete an object around the gate."""
    with tenant(person) as provider:
        provider.delete(provider.find(MARK + name) or "")


def opened(person: Person, code: int = 3) -> Answer:
    """Open a request for what drifted."""
    return person.maa("drift", "--open-request", "--format", "json", code=code)


def objects(answer: Answer, part: str) -> list[Any]:
    """The objects of a part of the answer; of what stays out the names with the reasons."""
    rows = answer.json[part]
    return [(row["name"], row["why"]) for row in rows] if part == "leftOut" else [row["object"] for row in rows]


def read(person: Person, path: str) -> str:
    """A file of the work tree."""
    return (person.clone / path).read_text(encoding="utf-8")


def test_drift_becomes_a_request_and_once_approved_there_is_none(world: World, alice: Person) -> None:
    """Changed, missing and foreign objects: the whole way to a target and a repository that agree again."""
    change(alice, "app/company-portal", description="Changed in the portal.", owner="IT")
    delete(alice, "app/web")
    remote_id = make(alice, "Holidays")
    answer = opened(alice)
    assert (answer.json["branch"], answer.json["target"]) == (BRANCH, "local")
    assert sorted(row["outcome"] for row in answer.json["objects"]) == ["changed", "foreign", "missing"]
    assert (objects(answer, "rewritten"), objects(answer, "written"), objects(answer, "deleted")) == (
        ["app/company-portal"], ["app/holidays"], ["app/web"]
    )  # fmt: skip
    assert alice.git("branch", "--show-current") == BRANCH
    assert alice.git("log", "--format=%H", f"origin/main..{BRANCH}") == ""
    assert f"adopt:\n  local: {remote_id}" in read(alice, "resources/apps/holidays.yaml").replace('"', "")
    assert not (alice.clone / "resources/apps/web.yaml").exists()
    alice.maa("submit", "-a", "-m", "Take it over.")
    world.bob.maa("approve", "drift-local")
    alice.maa("complete", "drift-local")
    assert alice.maa("drift").out.endswith("no drift\n")
    with tenant(alice) as provider:
        names = {remote.held.data["displayName"] for remote in provider.objects().values()}
        assert names == {"Company Portal", "Holidays", "Fix"}
        assert provider.objects()[remote_id].held.data["displayName"] == "Holidays"


def test_a_changed_resource_is_rewritten_to_what_is_there(alice: Person) -> None:
    """Scripts under the names that their files have, ids that it adopts kept; nothing else of the tree is touched."""
    change(alice, "script/fix", detectionScriptContent="exit 2\r\n", description="Two\nlines")
    change(alice, "app/web", appUrl="https://web.contoso.com")
    with tenant(alice) as provider:
        provider.assign(provider.find(MARK + "script/fix") or "", ({"target": {"allDevices": True}},))
    before = read(alice, APP)
    opened(alice)
    assert read(alice, SCRIPT) == (
        "type: deviceHealthScript\ndisplayName: Fix\ndescription: |-\n  Two\n  lines\n"
        "detectionScriptFile: fix.look.ps1\npublisher: Contoso\nremediationScriptFile: fix.mend.ps1\n"
        "runAsAccount: system\nassignments:\n  - target:\n      allDevices: true\n"
    )
    assert (alice.clone / "resources/scripts/fix.look.ps1").read_bytes() == b"exit 2\r\n"
    ending = 'appUrl: https://web.contoso.com\npublisher: Contoso\nadopt:\n  intune: "1f0c"\n'
    assert read(alice, "resources/apps/web.yaml").endswith(ending)
    assert read(alice, APP) == before
    assert alice.git("status", "--porcelain").splitlines() == [
        " M resources/apps/web.yaml", " M resources/scripts/fix.look.ps1", " M resources/scripts/fix.yaml"
    ]  # fmt: skip


def test_a_script_that_is_gone_or_new_takes_its_file_along(alice: Person) -> None:
    """A file that the document no longer names goes, one that it names now comes."""
    with tenant(alice) as provider:
        remote_id = provider.find(MARK + "script/fix") or ""
        held = provider.objects()[remote_id].held
        data = {key: value for key, value in held.data.items() if key != "remediationScriptContent"}
        provider.update(remote_id, replace(held, data=data), MARK + "script/fix")
    opened(alice)
    assert sorted(file.name for file in (alice.clone / "resources/scripts").glob("fix*")) == [
        "fix.look.ps1",
        "fix.yaml",
    ]
    alice.git("add", "--all")
    alice.git("commit", "-q", "-m", "Take over")
    change(alice, "script/fix", remediationScriptContent="exit 3\n")
    opened(alice)
    assert read(alice, "resources/scripts/fix.remediation.ps1") == "exit 3\n"
    assert alice.maa("validate").err == "no problems\n"


def test_opening_it_twice_changes_nothing(alice: Person) -> None:
    """What the branch has taken over already is unchanged, committed or not."""
    change(alice, "app/company-portal", description="Changed.")
    remote_id = make(alice, "Holidays")
    opened(alice)
    before = read(alice, APP), read(alice, "resources/apps/holidays.yaml")
    again = opened(alice)
    assert (objects(again, "rewritten"), objects(again, "written")) == ([], [])
    assert objects(again, "unchanged") == ["app/company-portal", "app/holidays"]
    with tenant(alice) as provider:
        held = provider.objects()[remote_id].held
        provider.update(remote_id, replace(held, data={**held.data, "notes": "New."}), "none")
    sql(alice, "UPDATE objects SET marker = NULL WHERE marker = 'none'")
    assert (read(alice, APP), read(alice, "resources/apps/holidays.yaml")) == before
    third = opened(alice)
    assert third.json["leftOut"][0]["why"] == "resources/apps/holidays.yaml has changes that are not committed"
    alice.git("add", "--all")
    alice.git("commit", "-q", "-m", "Take over")
    assert objects(opened(alice), "rewritten") == ["app/holidays"]
    assert "notes: New." in read(alice, "resources/apps/holidays.yaml")


def test_without_drift_there_is_nothing_to_open(alice: Person) -> None:
    """No branch is made; nothing applied yet, or another copy of the tenant, is none either."""
    answer = opened(alice, code=0)
    assert (answer.json["objects"], answer.json["message"]) == ([], None)
    assert alice.git("branch", "--list", BRANCH) == ""
    bob = alice.world.bob
    assert "this clone has no copy of the local tenant" in bob.maa("drift", "--open-request").out
    assert alice.maa("drift", "--open-request").out.endswith("no drift\n")


def test_what_nobody_can_tell_stays_out(alice: Person) -> None:
    """A mark of another repository, what a resource cannot say, what is no resource any more."""
    sql(
        alice,
        "CREATE TABLE copy AS SELECT * FROM objects WHERE marker LIKE '%portal'",
        "UPDATE copy SET id = 'copy', marker = 'maa:fabrikam:app/x'",
        "INSERT INTO objects SELECT * FROM copy",
        "DROP TABLE copy",
    )
    with tenant(alice) as provider:
        state = DesiredObject("app", {"type": "webApp", "displayName": "Odd"}, ({"target": {"groupId": "9"}},))
        odd = provider.create(state, "none")
    change(alice, "app/web", appUrl="https://web.contoso.com")
    alice.change("drift-local", {"resources/apps/web.yaml": None})
    answer = opened(alice)
    gone = "there is no such resource any more, so there is nothing to take over; maa apply brings the target to that"
    told = {
        ("Company Portal", "it bears the mark maa:fabrikam:app/x, so another repository keeps it"),
        (f"app/{odd}", "one of its assignments: nothing says what the group 9 is called"),
        ("app/web", gone),
    }
    assert set(objects(answer, "leftOut")) == told
    assert (objects(answer, "written"), objects(answer, "rewritten"), objects(answer, "deleted")) == ([], [], [])


def test_files_with_uncommitted_changes_are_not_overwritten(alice: Person) -> None:
    """Neither rewritten nor deleted; others are."""
    change(alice, "app/company-portal", description="Changed.")
    change(alice, "script/fix", description="Changed.")
    delete(alice, "app/web")
    alice.write(APP, app(description="Mine."))
    alice.write("resources/apps/web.yaml", "mine: too\n")
    answer = opened(alice)
    assert sorted(objects(answer, "leftOut")) == [
        ("Company Portal", f"{APP} has changes that are not committed"),
        ("app/web", "resources/apps/web.yaml has changes that are not committed"),
    ]
    assert (objects(answer, "rewritten"), objects(answer, "deleted")) == (["script/fix"], [])
    assert (read(alice, APP), read(alice, "resources/apps/web.yaml")) == (app(description="Mine."), "mine: too\n")


def test_in_text_it_shows_the_drift_and_what_to_do(alice: Person) -> None:
    """The difference first, then what was written, then the commands; the exit code is that of drift."""
    change(alice, "app/company-portal", description="Changed.")
    answer = alice.maa("drift", "--open-request", "--target", "local", code=3)
    lines = answer.out.splitlines()
    assert lines[1] == "  edit app/company-portal: changed"
    assert '-description: "Apps for work."' in lines
    assert lines[-5:] == [
        f"on {BRANCH}:",
        "  rewritten 1 app",
        "to ask for it:",
        "  maa validate",
        "  maa submit -a -m 'Take over what local holds'",
    ]


def test_it_takes_over_what_one_target_holds(world: World) -> None:
    """With several targets one has to be named."""
    two = "targets:\n  a: {provider: local}\n  b: {provider: local}\n"
    two = f"version: 1\ntenant: contoso\nprotectedBranch: main\n{two}"
    world.alice.submitted("targets", {"maa.yaml": two})
    world.bob.maa("approve", "targets")
    world.bob.maa("merge", "targets")
    answer = world.alice.maa("drift", "--open-request", code=2)
    assert "--open-request takes over what one target holds; name it with --target" in answer.err
    world.alice.maa("drift", "--open-request", "--target", "a")
