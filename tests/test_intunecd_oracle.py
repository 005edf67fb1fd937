"""IntuneCD backs up the embedded Graph as it would back up Microsoft's, and its backup imports as the tenant does.

IntuneCD runs in an environment of its own, which ``.ci/oracles`` makes.
"""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.documents import read_yaml
from maa_gitops.embedded.options import Options
from maa_gitops.embedded.seed import fill
from maa_gitops.embedded.tenant import Tenant
from maa_gitops.providers.store import Store
from tests.support import Person, World
from tests.support.graph import Clock, Graph, serve
from tests.support.oracles import back_up
from tests.support.world import access_policy, account, group

Json = Any

SETTINGS = """version: 1
tenant: contoso
protectedBranch: main
targets:
  intune: {{provider: graph, tenantId: {tenant}, url: "{url}"}}
profileTypes:
  compliancePolicy: {{folder: compliance-policies}}
  configurationPolicy: {{folder: configuration-policies}}
  role: {{folder: roles}}
  tenantConfiguration: {{folder: device-categories}}
"""
SCRIPTS, APPS = "deviceManagement/deviceManagementScripts", "deviceAppManagement/mobileApps"
FOREIGN = "\ufeffWrite-Host 'Größe'\r\nexit 0"
SINGLES = ("--exclude", "APNs", "ManagedGooglePlay")
"""What there is only one of in a tenant, and none in an embedded one."""

LOST = ("description", "largeIcon")
"""What IntuneCD does not keep of an app: it drops descriptions, and a list of apps has no icons."""


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """The sample tenant with small pages, a script that is hard to keep, and an app with an icon."""
    clock, path = Clock(), tmp_path / "graph.sqlite3"
    store = Store.open(path)
    fill(Tenant(store, Options(clock)), clock())
    store.close()
    with serve(path, clock=clock, page=3, lenient=True) as found:
        script = {"displayName": "Größe: 1/2", "fileName": "größe.ps1", "runAsAccount": "user"}
        content = {"scriptContent": base64.b64encode(FOREIGN.encode()).decode()}
        assert found.post(SCRIPTS, {**script, **content}).status == 201
        icon = {"type": "image/png", "value": base64.b64encode(b"\x89PNG").decode()}
        app = {"@odata.type": "#microsoft.graph.webApp", "displayName": "Lunch", "publisher": "Contoso"}
        assert found.post(APPS, {**app, "appUrl": "https://lunch.contoso.com", "largeIcon": icon}).status == 201
        yield found


@pytest.fixture
def world(tmp_path: Path, graph: Graph) -> World:
    """A tenant repository for it, with no resource yet: alice imports from the tenant, bob from a backup."""
    world = World(tmp_path / "world")
    for name in ("alice", "bob"):
        world.person(name)
    files = {
        "maa.yaml": SETTINGS.format(tenant=graph.get("organization").value[0]["id"], url=graph.url),
        "groups/approvers.yaml": group("alice", "bob"),
        "policies/apps.yaml": access_policy("app", "approvers"),
        "policies/access-policies.yaml": access_policy("accessPolicy", "approvers"),
    }
    for person in world.people.values():
        roles = "intuneServiceAdministrator, deployer"
        files[f"accounts/{person.name}.yaml"] = account(person.name, person.public_key, roles=roles)
    world.found(files)
    return world


def resources(person: Person) -> dict[str, bytes]:
    """The files of all resources in somebody's work tree, by path."""
    root = person.clone / "resources"
    return {found.relative_to(root).as_posix(): found.read_bytes() for found in root.rglob("*") if found.is_file()}


def documents(files: Mapping[str, bytes]) -> dict[str, dict[str, Json]]:
    """The documents among files, by path."""
    return {path: document(data) for path, data in files.items() if path.endswith(".yaml")}


def document(data: bytes) -> dict[str, Json]:
    """A document's properties."""
    found, _ = read_yaml(data, "")
    assert found is not None
    return found.data


def losing(path: str, document: Mapping[str, Json]) -> dict[str, Json]:
    """What a backup can have of a document."""
    return {key: value for key, value in document.items() if not (path.startswith("apps/") and key in LOST)}


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_a_backup_imports_as_the_tenant_itself(world: World, graph: Graph, tmp_path: Path, output: str) -> None:
    """The same files, byte for byte, but for what the backup does not keep of apps."""
    back_up(graph, tmp_path / "backup", output, "--append-id", *SINGLES)
    world.alice.maa("import")
    world.bob.maa("import", str(tmp_path / "backup"))
    there, backed_up = resources(world.alice), resources(world.bob)
    whole = documents(there)
    lossy = {path for path, found in whole.items() if losing(path, found) != found}
    assert lossy
    assert backed_up.keys() == there.keys()
    assert {path for path, data in there.items() if backed_up[path] != data} == lossy
    found = documents(backed_up)
    assert {path: found[path] for path in lossy} == {path: losing(path, whole[path]) for path in lossy}


def test_after_importing_a_backup_there_is_nothing_to_do_but_adopt(world: World, graph: Graph, tmp_path: Path) -> None:
    """Nothing is edited but apps of which the backup has not kept all; afterwards there is no drift."""
    back_up(graph, tmp_path / "backup", "json", "--append-id", *SINGLES)
    world.bob.maa("import", str(tmp_path / "backup"))
    edited = lost_properties(world.bob, graph)
    world.bob.maa("submit", "-a", "-m", "As it is there.")
    plan = world.bob.maa("plan", "import-intune", "--format", "json").json
    operations = {found["object"]: found["operation"] for found in plan["objects"]}
    expected = {name: "edit" if name in edited else "adopt" for name in names(world.bob).values()}
    assert operations == expected
    world.alice.maa("approve", "import-intune")
    world.bob.maa("complete", "import-intune")
    assert world.bob.maa("plan").out.endswith("nothing to do\n")
    assert "no drift" in world.bob.maa("drift").out


def names(person: Person) -> dict[str, str]:
    """The names of all resources in somebody's work tree, by the path of their documents."""
    types = {
        "apps": "app",
        "scripts": "script",
        "compliance-policies": "compliancePolicy",
        "configuration-policies": "configurationPolicy",
        "roles": "role",
        "device-categories": "tenantConfiguration",
    }
    found = {}
    for path in documents(resources(person)):
        folder, _, stem = path.removesuffix(".yaml").partition("/")
        found[path] = f"{types[folder]}/{stem}"
    return found


def lost_properties(person: Person, graph: Graph) -> set[str]:
    """The apps of which the tenant has what a backup does not keep."""
    return {
        name
        for path, name in names(person).items()
        if path.startswith("apps/") and any(there(person, path, graph).get(key) for key in LOST)
    }


def there(person: Person, path: str, graph: Graph) -> Mapping[str, Json]:
    """What the tenant has of the object that a document adopts."""
    remote_id = documents(resources(person))[path]["adopt"]["intune"]
    with graph.store() as store:
        return dict(store.graph_sides()[remote_id].properties)
