"""One file for the local provider and the embedded Graph: what either writes, the other shows."""

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.embedded.messages import Call, RefusedError
from maa_gitops.embedded.options import Options
from maa_gitops.embedded.service import Service
from maa_gitops.embedded.tenant import Tenant
from maa_gitops.errors import RemoteError
from maa_gitops.model import ProfileType
from maa_gitops.providers import DesiredObject
from maa_gitops.providers.local import LocalProvider
from maa_gitops.providers.store import Store
from tests.support.graph import Clock, Graph, serve

APPS = "deviceAppManagement/mobileApps"
SCRIPTS = "deviceManagement/deviceManagementScripts"
MARK = "maa:contoso:app/holidays"
STAFF = {"intent": "required", "target": {"group": "All Staff", "filter": {"name": "Corporate", "mode": "include"}}}
WEB = DesiredObject("app", {"type": "webApp", "displayName": "Holidays", "appUrl": "https://contoso.com"}, (STAFF,))
SHELL = DesiredObject("script", {"type": "deviceShellScript", "displayName": "Ünï", "scriptContent": "#!/bin/sh\r\n"})

VERSION_1 = (
    "CREATE TABLE store (id TEXT NOT NULL)",
    """CREATE TABLE objects (id TEXT PRIMARY KEY, marker TEXT UNIQUE,
        profile_type TEXT NOT NULL, data TEXT NOT NULL, assignments TEXT NOT NULL)""",
    "INSERT INTO store VALUES ('0123456789abcdef0123456789abcdef')",
    "INSERT INTO objects VALUES ('1', 'maa:contoso:app/old', 'app', '{\"type\":\"webApp\"}', '[]')",
    f"PRAGMA application_id = {0x4D414131}",
    "PRAGMA user_version = 1",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the tenant is."""
    return tmp_path / "tenant.sqlite3"


@pytest.fixture
def graph(file: Path) -> Iterator[Graph]:
    """The tenant, served."""
    with serve(file) as served:
        yield served


@contextmanager
def local(file: Path) -> Iterator[LocalProvider]:
    """The same tenant through the local provider."""
    provider = LocalProvider.open(file)
    try:
        yield provider
    finally:
        provider.close()


def names(graph: Graph, path: str = "groups") -> list[str]:
    """The display names in a collection."""
    return [item["displayName"] for item in graph.get(path).value]


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_file_of_version_1_is_brought_to_version_2(file: Path) -> None:
    """Its id and its objects stay; it is served like any other."""
    with sqlite3.connect(file) as old:
        for statement in VERSION_1:
            old.execute(statement)
    old.close()
    with local(file) as provider:
        assert (provider.store, list(provider.objects())) == ("0123456789abcdef0123456789abcdef", ["1"])
        assert provider._connection.execute("PRAGMA user_version").fetchone() == (2,)
    with serve(file) as graph:
        assert graph.get(f"{APPS}/1").body["notes"] == "[maa:contoso:app/old]"
        assert graph.get("organization").value[0]["id"] == "01234567-89ab-cdef-0123-456789abcdef"


def test_a_migration_that_is_cut_off_is_done_again(file: Path) -> None:
    """It is one transaction: the file is of the one version or of the other."""
    with sqlite3.connect(file) as old:
        for statement in VERSION_1:
            old.execute(statement)
    old.close()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE directory (kind TEXT)")
    other.close()
    Store.open(file).close()
    with sqlite3.connect(file) as opened:
        columns = [row[1] for row in opened.execute("PRAGMA table_info(directory)")]
    opened.close()
    assert columns == ["kind", "id", "data"]


def test_a_file_that_is_none_of_ours_is_not_served(tmp_path: Path) -> None:
    """The error is the local provider's."""
    notes = tmp_path / "notes.txt"
    notes.write_text("notes, not a database " * 100)
    with pytest.raises(RemoteError, match="not a database"), serve(notes):
        pass


def test_a_file_that_somebody_else_holds_is_a_503(file: Path) -> None:
    """The call can be made again; nothing has happened."""
    store = Store.open(file)
    store.connection.execute("PRAGMA busy_timeout = 0")
    service = Service(Tenant(store, Options(clock=Clock())))
    call = Call("GET", "groups", {}, {}, None, service.identity("Bearer alice"), "http://localhost/beta", Clock().now)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    answer = service.answer(call)
    with pytest.raises(RefusedError) as caught:
        service.identity("Bearer alice")
    other.close()
    assert [(found.status, found.headers) for found in (answer, caught.value)] == [(503, {"Retry-After": "1"})] * 2
    assert service.answer(call).status == 200
    store.close()


def test_a_row_that_is_no_object_is_a_500(graph: Graph) -> None:
    """What somebody wrote into the file by hand does not end the server."""
    with graph.store() as store:
        store.connection.execute("INSERT INTO objects VALUES ('1', NULL, 'app', '[]', '[]')")
    assert graph.get(APPS).status == 500
    with graph.store() as store:
        store.connection.execute("DELETE FROM objects")
    assert graph.get(APPS).status == 200


# --- from the local provider to Graph --------------------------------------------------------------------------------


def test_what_the_local_provider_made_is_served(graph: Graph, file: Path) -> None:
    """With its mark where Graph's provider looks for it, its texts in base64, published, assigned by ids."""
    with local(file) as provider:
        app_id = provider.create(WEB, MARK)
        script_id = provider.create(SHELL, "maa:contoso:script/rename")
    read = graph.get(f"{APPS}/{app_id}", expand="assignments").body
    shell = graph.get(f"deviceManagement/deviceShellScripts/{script_id}").body
    assert (read["@odata.type"], read["notes"], read["publishingState"]) == (
        "#microsoft.graph.webApp",
        f"[{MARK}]",
        "published",
    )
    assert base64.b64decode(shell["scriptContent"]) == b"#!/bin/sh\r\n"
    assert shell["description"] == "[maa:contoso:script/rename]"
    assert graph.get(SCRIPTS).value == []
    (target,) = [found["target"] for found in read["assignments"]]
    group, narrow = target["groupId"], target["deviceAndAppManagementAssignmentFilterId"]
    assert graph.get(f"groups/{group}").body["displayName"] == "All Staff"
    assert graph.get(f"deviceManagement/assignmentFilters/{narrow}").body["displayName"] == "Corporate"


def test_a_group_that_nobody_has_is_made_once(graph: Graph, file: Path) -> None:
    """Without anybody in it; the next object of that group finds it."""
    with local(file) as provider:
        provider.create(WEB, MARK)
        provider.create(WEB, f"{MARK}-2")
    assert (names(graph), names(graph)) == (["All Staff"], ["All Staff"])
    group_id = graph.get("groups").value[0]["id"]
    assert graph.get(f"groups/{group_id}/members").value == []


def test_what_graph_does_not_know_is_not_served_and_stays(graph: Graph, file: Path) -> None:
    """A profile type of the tenant's own without a place, a script of an unknown kind."""
    with local(file) as provider:
        provider.create(DesiredObject("firewall", {"displayName": "x"}), "maa:contoso:firewall/x")
        provider.create(DesiredObject("script", {"type": "spell", "displayName": "x"}), "maa:contoso:script/x")
    assert [graph.get(path).value for path in (APPS, SCRIPTS)] == [[], []]
    with local(file) as provider:
        assert len(provider.objects()) == 2


def test_a_profile_type_can_find_another_place(graph: Graph, file: Path) -> None:
    """Its objects are where ``maa.yaml`` says that they are, and stay in the file while it says nothing."""
    held = DesiredObject("terms", {"displayName": "Rules"}, ({"target": {"allUsers": True}},))

    def own(path: str) -> dict[str, Any]:
        return {"types": (ProfileType("terms", "terms", None, {"path": path, "assignProperty": "assignments"}),)}

    with local(file) as provider:
        provider.create(held, "maa:contoso:terms/rules")
    for path in ("deviceManagement/terms", "deviceManagement/conditions"):
        with serve(file, **own(path)) as other:
            assert names(other, path) == ["Rules"]
    other_group = {"displayName": "x", "mailNickname": "x", "mailEnabled": False, "securityEnabled": True}
    assert (graph.post("groups", other_group).status, graph.get("deviceManagement/conditions").status) == (201, 404)
    with serve(file, **own("deviceManagement/conditions")) as again:
        assert names(again, "deviceManagement/conditions") == ["Rules"]


def test_a_change_of_the_local_provider_is_taken_in(graph: Graph, file: Path) -> None:
    """Properties, assignments and the mark; the date moves, the id stays."""
    with local(file) as provider:
        app_id = provider.create(WEB, MARK)
    before = graph.get(f"{APPS}/{app_id}").body
    graph.clock.forward(hours=1)
    with local(file) as provider:
        provider.update(app_id, DesiredObject("app", {**WEB.data, "displayName": "Leave"}), "maa:contoso:app/leave")
    after = graph.get(f"{APPS}/{app_id}").body
    assert (after["displayName"], after["notes"]) == ("Leave", "[maa:contoso:app/leave]")
    assert (before["isAssigned"], after["isAssigned"]) == (True, False)
    assert before["createdDateTime"] == after["createdDateTime"] < after["lastModifiedDateTime"]
    with local(file) as provider:
        provider.delete(app_id)
    assert graph.get(f"{APPS}/{app_id}").status == 404


def test_what_graph_alone_knows_survives_until_somebody_else_writes(graph: Graph, file: Path) -> None:
    """A restart changes nothing."""
    odd = base64.b64encode(b"\xff").decode()
    body = {"displayName": "x", "fileName": "x.ps1", "runAsAccount": "user", "scriptContent": odd}
    script_id = graph.post(SCRIPTS, body).body["id"]
    with local(file) as provider:
        assert provider.objects()[script_id].held.data["scriptContent"] == {"base64": odd}
    with serve(file) as again:
        assert again.get(f"{SCRIPTS}/{script_id}").body["scriptContent"] == odd


class Overtaken(Tenant):
    """A tenant into which somebody else writes at the worst moment: once all is taken in, before the call is."""

    overtakings = 1

    def settle(self, now: datetime) -> None:
        """Take in what is there; then somebody writes."""
        super().settle(now)
        if self.overtakings:
            self.overtakings -= 1
            with local(self.store.path) as provider:
                provider.create(WEB, MARK)


def test_nothing_that_somebody_else_wrote_is_overlooked(file: Path) -> None:
    """A call sees everything that was there when it began, or nothing of it."""
    store = Store.open(file)
    service = Service(Overtaken(store, Options(clock=Clock())))
    caller, now = service.identity("Bearer alice"), Clock().now
    answer = service.answer(Call("GET", APPS, {}, {}, None, caller, "http://localhost/beta", now))
    assert [app["displayName"] for app in answer.body["value"]] == ["Holidays"]
    store.close()


# --- from Graph to the local provider --------------------------------------------------------------------------------


def test_what_was_made_through_graph_is_a_resource(graph: Graph, file: Path) -> None:
    """The mark is the mark, texts are texts, groups have names; ``maa tenant`` shows the same."""
    staff = graph.group("All Staff")
    text = base64.b64encode("Set-Ü\n".encode()).decode()
    body = {"displayName": "Zone", "fileName": "z.ps1", "runAsAccount": "system", "scriptContent": text}
    script_id = graph.post(SCRIPTS, {**body, "description": "Sets it.\n\n[maa:contoso:script/zone]"}).body["id"]
    target = {"@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget", "groupId": staff}
    sent = {"deviceManagementScriptAssignments": [{"target": target}]}
    assert graph.post(f"{SCRIPTS}/{script_id}/assign", sent).status == 204
    with local(file) as provider:
        (remote,) = provider.objects().values()
        assert provider.find("maa:contoso:script/zone") == script_id
    assert (remote.marker, remote.held.profile_type) == ("maa:contoso:script/zone", "script")
    expected = {
        "type": "deviceManagementScript",
        "displayName": "Zone",
        "description": "Sets it.",
        "fileName": "z.ps1",
        "runAsAccount": "system",
        "scriptContent": "Set-Ü\n",
    }
    assert remote.held.data == expected
    assert remote.held.assignments == ({"target": {"excludeGroup": "All Staff"}},)


def web(graph: Graph, **more: Any) -> str:
    """Make an app through Graph, read it; gives its id."""
    body = {"@odata.type": "#microsoft.graph.webApp", "displayName": "x", "appUrl": "https://contoso.com", **more}
    app_id = str(graph.post(APPS, body).body["id"])
    graph.get(f"{APPS}/{app_id}")
    return app_id


def markers(file: Path) -> list[str | None]:
    """The marks that the local provider sees, oldest first."""
    with local(file) as provider:
        return [remote.marker for remote in provider.objects().values()]


def test_a_mark_comes_and_goes_with_its_text(graph: Graph, file: Path) -> None:
    """A change of the text that drops it drops it; a change of something else does not."""
    app_id = web(graph, notes=f"[{MARK}]")
    graph.patch(f"{APPS}/{app_id}", {"displayName": "y"})
    assert (markers(file), graph.get(f"{APPS}/{app_id}").body["notes"]) == ([MARK], f"[{MARK}]")
    graph.patch(f"{APPS}/{app_id}", {"notes": "Mine."})
    assert (markers(file), graph.get(f"{APPS}/{app_id}").body["notes"]) == ([None], "Mine.")


@pytest.mark.parametrize("notes", [f"[{MARK}]  ", f"  [{MARK}]", f"x\n[{MARK}]", f"x\n\n[{MARK}]\n", "[maa:\ud800]"])
def test_a_text_is_given_back_to_the_letter(graph: Graph, notes: str) -> None:
    """However a mark stands in it."""
    app_id = web(graph, notes=notes)
    assert graph.get(f"{APPS}/{app_id}").body["notes"] == notes


def test_a_copy_of_a_mark_is_only_text(graph: Graph, file: Path) -> None:
    """Graph lets two objects bear one; the first keeps it, and nothing fails."""
    first, second = web(graph, notes=f"[{MARK}]"), web(graph, notes=f"[{MARK}]")
    assert markers(file) == [MARK, None]
    assert [graph.get(f"{APPS}/{app_id}").body["notes"] for app_id in (first, second)] == [f"[{MARK}]"] * 2


def test_the_new_name_of_a_group_is_everywhere(graph: Graph, file: Path) -> None:
    """Assignments go by id in Graph, by name in resources; one that is deleted is told by its id."""
    staff, app_id = graph.group("All Staff"), web(graph)
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": staff}
    graph.post(f"{APPS}/{app_id}/assign", {"mobileAppAssignments": [{"intent": "required", "target": target}]})

    def targets() -> list[object]:
        with local(file) as provider:
            return [found["target"] for found in provider.objects()[app_id].held.assignments]

    assert targets() == [{"group": "All Staff"}]
    graph.patch(f"groups/{staff}", {"displayName": "Everybody"})
    assert targets() == [{"group": "Everybody"}]
    other = graph.post("groups", {"displayName": "Everybody", "mailEnabled": False, "securityEnabled": True,
                                  "mailNickname": "everybody"}).body["id"]  # fmt: skip
    assert targets() == [{"group": "Everybody", "groupId": staff}]
    assert graph.get(f"{APPS}/{app_id}/assignments").value[0]["target"]["groupId"] == staff
    graph.delete(f"groups/{other}")
    graph.delete(f"groups/{staff}")
    assert targets() == [{"groupId": staff}]
    assert graph.get(f"{APPS}/{app_id}/assignments").value[0]["target"]["groupId"] == staff


def test_ids_in_a_resource_are_kept_when_it_is_taken_in_again(graph: Graph, file: Path) -> None:
    """Where a name tells nothing, the id beside it does."""
    one, _ = graph.group("Twins"), graph.group("Twins")
    assignments = (
        {"intent": "required", "target": {"group": "Twins", "groupId": one}},
        {"intent": "required", "target": {"excludeGroup": "Twins", "excludeGroupId": one}},
        {"intent": "required", "target": {"group": "Twins"}},
        {"intent": "required", "target": {"allDevices": True, "filter": {"nameId": "f", "mode": "exclude"}}},
        {"intent": "required"},
    )
    with local(file) as provider:
        app_id = provider.create(DesiredObject("app", WEB.data, assignments), MARK)
    targets = [found["target"] for found in graph.get(f"{APPS}/{app_id}/assignments").value]
    kinds = [target["@odata.type"].removeprefix("#microsoft.graph.") for target in targets]
    assert kinds == ["groupAssignmentTarget", "exclusionGroupAssignmentTarget", "allDevicesAssignmentTarget"]
    assert [target.get("groupId") for target in targets] == [one, one, None]
    assert targets[2]["deviceAndAppManagementAssignmentFilterId"] == "f"
