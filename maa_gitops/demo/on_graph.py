"""The story on an existing Intune: import, adoption, reach, a change around the gate, a namesake, its own approval."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from maa_gitops.demo.intune import APPS, Intune, serving
from maa_gitops.demo.people import edit, found_repository, settle, start_branch
from maa_gitops.demo.stage import Scene, Stage, expect, failed, maa, narrate, place_of

_POLICIES = "deviceManagement/operationApprovalPolicies"
_REQUESTS = "deviceManagement/operationApprovalRequests"

_SETTINGS = """\
version: 1
tenant: contoso
protectedBranch: main
targets:
  intune:
    provider: graph
    tenantId: {tenant}
    url: {url}
"""
_PORTAL, _HOLIDAYS = "resources/apps/company-portal.yaml", "resources/apps/holiday-requests.yaml"
_DESCRIPTION, _BETTER = "Apps and compliance of this device.", "Where staff find their apps."
_SHEETS = {"displayName": "Timesheets", "publisher": "Contoso", "appUrl": "https://time.contoso.com"}
_TIMESHEETS = "type: webApp\n" + "".join(f"{key}: {value}\n" for key, value in _SHEETS.items())


@contextmanager
def scenes(stage: Stage) -> Iterator[tuple[Scene, ...]]:
    """The scenes, for as long as the Intune that they play in is served.

    Raises:
        RepositoryError: ``demoFailed``, it cannot be served.
    """
    narrate(
        stage, "A server on this machine is Intune here: Microsoft Graph's address space with a small tenant in it."
    )
    with serving(stage) as intune:
        yield tuple((title, partial(scene, intune)) for title, scene in _SCENES)


def _connect(intune: Intune, stage: Stage) -> None:
    narrate(stage, "Alice, Bob and Carol each get a home and a new SSH key. A bare repository is the server.")
    settle(stage)
    narrate(stage, "Alice makes the tenant repository. All three may approve: one another's changes, never their own.")
    found_repository(stage)
    narrate(stage, "She names Intune as the target. That is a change of the rules, so that Bob has to approve it.")
    tenant = intune.read("organization")["value"][0]["id"]
    start_branch(stage, "alice", "connect", {"maa.yaml": _SETTINGS.format(tenant=tenant, url=intune.url)})
    maa(stage, "alice", "submit", "-a", "-m", "We keep Intune as code.", shows=("Needs approval", "maa.yaml"))
    maa(stage, "bob", "approve", "connect", shows=("Approved", "satisfied"))
    maa(stage, "alice", "complete", "connect", shows=("Completed", "Merged"))


def _adopt(intune: Intune, stage: Stage) -> None:
    narrate(stage, "Alice makes files of what Intune holds. What cannot be kept as a file is named, with the reason.")
    shows = ("on change/import-intune", "written", "left out", "VPN client")
    maa(stage, "alice", "import", shows=shows)
    reason = "What Intune holds today."
    maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "app/company-portal"))
    narrate(stage, "Bob asks what completing this would do. Everything is there already, and will be adopted.")
    maa(stage, "bob", "plan", "import-intune", shows=("adopt app/company-portal", "adopt script/set-time-zone"))
    maa(stage, "bob", "approve", "import-intune", shows=("Approved", "satisfied"))
    before = _last_changes(intune)
    maa(stage, "alice", "complete", "import-intune", shows=("app/company-portal (import-intune)", "Completed"))
    if _last_changes(intune) != before:
        raise failed("maa complete import-intune", "it changed an app in Intune")
    narrate(stage, "No app in Intune was touched: each says that it was last changed before.")


def _last_changes(intune: Intune) -> dict[str, str]:
    """When each app was changed last, by id."""
    return {app["id"]: app["lastModifiedDateTime"] for app in intune.read(APPS)["value"]}


def _reach(intune: Intune, stage: Stage) -> None:
    narrate(stage, "Staff may install an app for holiday requests. Alice wants everybody to have it.")
    start_branch(stage, "alice", "holidays", {})
    _replace(stage, _HOLIDAYS, {"intent: available": "intent: required", "allUsers: true": "group: All Staff"})
    reason = "Requests by mail get lost."
    maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "assign app/"))
    maa(stage, "alice", "approve", "holidays", exits=3, shows=("alice submitted this request", "hint:"))
    narrate(stage, "Bob sees how many people and devices that reaches, which Intune is asked at this moment.")
    shows = ("assign app/", "reaches All Staff: 12 people", "-    allUsers: true", '+    group: "All Staff"')
    maa(stage, "bob", "plan", "holidays", shows=shows)
    maa(stage, "bob", "approve", "holidays", "-m", "Agreed with the works council.", shows=("Approved", "satisfied"))
    maa(stage, "alice", "complete", "holidays", shows=("assign app/holiday-requests", "Completed"))
    path = f"{APPS}/{intune.the_only(APPS, 'Holiday requests')}/assignments"
    if [found["intent"] for found in intune.read(path)["value"]] != ["required"]:
        raise failed("maa complete holidays", "the app is not required in Intune")


def _drift(intune: Intune, stage: Stage) -> None:
    narrate(stage, "Carol may still change things in Intune itself, and does. Nobody approved that, and it is found.")
    portal = f"{APPS}/{intune.the_only(APPS, 'Company Portal')}"
    changed = {"@odata.type": "#microsoft.graph.winGetApp", "description": "Ask Carol."}
    intune.act("carol", "PATCH", portal, changed)
    shows = ("edit app/company-portal: changed", f'-description: "{_DESCRIPTION}"', '+description: "Ask Carol."')
    maa(stage, "bob", "drift", exits=3, shows=shows)
    narrate(stage, "Applying puts back what was approved. (To keep it instead: maa drift --open-request.)")
    maa(stage, "alice", "apply", shows=("edit app/company-portal: applied",))
    intune.hold(portal, description=_DESCRIPTION)
    maa(stage, "bob", "drift", shows=("no drift",))


def _namesake(intune: Intune, stage: Stage) -> None:
    narrate(stage, "Carol makes an app in Intune. Bob, who does not know, writes a file for one of the same name.")
    intune.act("carol", "POST", APPS, {"@odata.type": "#microsoft.graph.webApp", **_SHEETS})
    start_branch(stage, "bob", "timesheets", {"resources/apps/timesheets.yaml": _TIMESHEETS})
    maa(stage, "bob", "submit", "-a", "-m", "Timesheets for everybody.", shows=("Needs approval", "create app/"))
    narrate(stage, "Two of a name would confuse, and Carol's may be something else: maa neither makes nor takes one.")
    maa(stage, "bob", "plan", "timesheets", exits=4, shows=("an object named 'Timesheets' is there already",))
    narrate(stage, "Bob looks, and says in his file that it is the same one, by its id. Carol approves that as well.")
    there = intune.the_only(APPS, "Timesheets")
    edit(stage, "bob", {"resources/apps/timesheets.yaml": f"{_TIMESHEETS}adopt: {{intune: {there}}}\n"})
    maa(stage, "bob", "submit", "-a", "-m", "Timesheets, which Carol has made.", shows=("Needs approval",))
    maa(stage, "carol", "approve", "timesheets", shows=("Approved", "satisfied"))
    maa(stage, "alice", "complete", "timesheets", shows=("adopt app/timesheets (timesheets): applied", "Completed"))
    intune.the_only(APPS, "Timesheets")


def _own_approval(intune: Intune, stage: Stage) -> None:
    narrate(stage, "Carol switches Intune's own Multi Admin Approval on for apps, so that the portal is no way around.")
    group = intune.the_only("groups", "IT Administrators")
    policy = {"displayName": "Apps need two people", "policyType": "app", "approverGroupIds": [group]}
    intune.act("carol", "POST", _POLICIES, policy)
    maa(stage, "bob", "lint", "--graph", shows=("scripts are protected here, but nothing in Intune",))
    narrate(stage, "A change of Alice's is approved and completed. In Intune it waits, and nothing has changed.")
    start_branch(stage, "alice", "words", {})
    _replace(stage, _PORTAL, {_DESCRIPTION: _BETTER})
    maa(stage, "alice", "submit", "-a", "-m", "Say what it is for.", shows=("Needs approval", "edit app/"))
    maa(stage, "bob", "approve", "words", shows=("Approved", "satisfied"))
    shows = ("waits for Intune's own approval", "Approved, being applied")
    maa(stage, "alice", "complete", "words", exits=4, shows=shows)
    portal = f"{APPS}/{intune.the_only(APPS, 'Company Portal')}"
    intune.hold(portal, description=_DESCRIPTION)
    narrate(stage, "In Intune Carol sees who asked, who approved, and which commit it is. She approves it there.")
    request = _waiting(intune)
    stage.say(f"      {request['requestJustification']}")
    words = {"justification": "As in the repository.", "approvalSource": "adminConsole"}
    intune.act("carol", "POST", f"{_REQUESTS}/{request['id']}/approve", words)
    narrate(stage, "The next apply, on GitHub an hourly job, goes on from there.")
    maa(stage, "alice", "apply", shows=("edit app/company-portal: applied",))
    intune.hold(portal, description=_BETTER)
    expect(stage, "words", status="completed", requestor="alice", approver="bob")


def _waiting(intune: Intune) -> dict[str, str]:
    """The one request that waits in Intune."""
    found: list[dict[str, str]] = [one for one in intune.read(_REQUESTS)["value"] if one["status"] == "needsApproval"]
    if len(found) != 1:
        raise failed("maa complete words", f"{len(found)} requests wait in Intune, not one")
    return found[0]


def _read_log(intune: Intune, stage: Stage) -> None:
    narrate(stage, "Carol audits. Her clone alone tells who did what, when and why, and what became of it in Intune.")
    shows = [f"\t{action}\t" for action in ("submit", "approve", "complete", "apply")]
    maa(stage, "carol", "audit", shows=shows)
    narrate(stage, "It proves that nothing landed on main which was not approved; and Intune holds just that.")
    maa(stage, "carol", "verify", shows=("good:",))
    maa(stage, "carol", "drift", shows=("no drift",))
    intune.the_only(APPS, "VPN client")


def _replace(stage: Stage, path: str, texts: Mapping[str, str]) -> None:
    """Let Alice change texts in a file of her clone."""
    text = (place_of(stage, "alice") / path).read_text(encoding="utf-8")
    for old, new in texts.items():
        if old not in text:
            raise failed(f"alice edits {path}", f"it does not hold '{old}'")
        text = text.replace(old, new)
    edit(stage, "alice", {path: text})


_SCENES: tuple[tuple[str, Callable[[Intune, Stage], None]], ...] = (
    ("A tenant repository for an Intune that exists", _connect),
    ("What Intune holds becomes code, and is adopted as it is", _adopt),
    ("A change shows whom it reaches; a self-approval is refused", _reach),
    ("A change around the gate is found, and put back", _drift),
    ("An object of the same name is not taken over unasked", _namesake),
    ("Intune's own approval as well", _own_approval),
    ("The audit log", _read_log),
)
