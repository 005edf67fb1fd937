"""Receipts: what is read as one, which chains are good, what the branch may hold, what they say of a request."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from maa_gitops import receipt
from maa_gitops.canonical import canonical_json, digest
from maa_gitops.errors import RepositoryError
from maa_gitops.git import Entry, Identity, Repository
from maa_gitops.model import Account, AccountKind, ObjectId, Outcome, Role, Settings, TargetOutcome, Tenant
from maa_gitops.receipt import AppliedObject, AppliedOperation, Context, Draft, Intent, ObjectOutcome
from maa_gitops.shipped import shipped_file
from maa_gitops.signing import Signer
from tests.applying import NOW, environment, git, make_keys

COMMITS = tuple(str(number) * 40 for number in range(5))
"""The protected branch, oldest first; the fourth is bad."""

BAD = COMMITS[3]
HELD = AppliedObject("id-1", digest(b"state"), digest(b"files"))
OBJECTS = receipt.objects_file({"app/a": HELD})
OTHER_OBJECTS = receipt.objects_file({"app/a": HELD, "app/b": HELD})

Sign = Callable[[bytes, str], str]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody's keys."""
    return make_keys(tmp_path_factory.mktemp("receipts") / "keys")


def public_key(keys: Path, name: str) -> str:
    """The canonical key of somebody."""
    return " ".join((keys / f"{name}.pub").read_text().split()[:2])


def sign_as(keys: Path, name: str) -> Sign:
    """How somebody signs."""
    return Signer(public_key(keys, name), keys / name, environment(keys)).sign


@pytest.fixture(scope="module")
def context(keys: Path) -> Context:
    """What receipts are held to: bob becomes a deployer with the third commit, dave is disabled, carol is none."""

    def account(name: str, *roles: Role, enabled: bool = True, kind: AccountKind = AccountKind.PERSON) -> Account:
        key = public_key(keys, name)
        return Account(name, name, kind, roles=frozenset(roles), enabled=enabled, signing_keys=(key,))

    def tenant_at(commit: str) -> Tenant:
        accounts = (
            account("alice", Role.DEPLOYER, kind=AccountKind.SERVICE),
            account("bob", *((Role.DEPLOYER,) if COMMITS.index(commit) >= 2 else ())),
            account("carol", Role.GLOBAL_ADMINISTRATOR),
            account("dave", Role.DEPLOYER, enabled=False),
        )
        return Tenant(Settings("contoso", "main"), {found.name: found for found in accounts}, {}, {})

    places = {commit: place for place, commit in enumerate(COMMITS) if commit != BAD}
    return Context("contoso", "local", places.get, tenant_at)


DRAFT = Draft(
    account="alice",
    at=NOW,
    commit=COMMITS[1],
    outcomes=(
        ObjectOutcome("app/a", AppliedOperation.CREATE, Outcome.APPLIED, None, "id-1", HELD.digest),
        ObjectOutcome("app/b", AppliedOperation.EDIT, Outcome.FAILED, "Größe\n\u202e"),
    ),
    run="run-1",
    store="store-1",
    target="local",
    tenant="contoso",
    state=digest(OBJECTS),
    failed=("app/b",),
)


def chain(keys: Path, *drafts: Draft) -> bytes:
    """A chain of receipts, each signed by its account."""
    data = b""
    for draft in drafts:
        data = receipt.extend(data, draft, sign_as(keys, draft.account))
    return data


def faults(data: bytes, context: Context) -> list[str | None]:
    """What is wrong with each line."""
    return [fault for _, fault in receipt.receipt_facts(data, context)]


# --- one line --------------------------------------------------------------------------------------------------------


def test_a_receipt_is_read_back_as_it_was_drafted(keys: Path) -> None:
    """Every field survives, umlauts and control characters of a message included."""
    line = chain(keys, DRAFT).removesuffix(b"\n")
    found = receipt.parse_receipt(line)
    assert found is not None
    assert {name: getattr(found, name) for name in Draft.__dataclass_fields__} == {
        name: getattr(DRAFT, name) for name in Draft.__dataclass_fields__
    }
    assert (found.previous, found.digest) == (None, digest(line))


def test_a_receipt_keeps_to_the_published_schema(keys: Path) -> None:
    """What is written is what ``maa schema receipt`` says."""
    schema = Draft202012Validator(json.loads(shipped_file("schemas", "receipt.schema.json")))
    lines = chain(keys, DRAFT, replace(DRAFT, failed=())).splitlines()
    assert [list(schema.iter_errors(json.loads(line))) for line in lines] == [[], []]


SPOILED: Mapping[str, Callable[[dict[str, object]], object]] = {
    "unknown field": lambda plain: plain | {"approved": True},
    "missing field": lambda plain: {key: value for key, value in plain.items() if key != "failed"},
    "null instead of absent": lambda plain: plain | {"previous": None},
    "another version": lambda plain: plain | {"version": 2},
    "true for one": lambda plain: plain | {"version": True},
    "another action": lambda plain: plain | {"action": "approve"},
    "short commit": lambda plain: plain | {"commit": "1" * 39},
    "time of another form": lambda plain: plain | {"at": "2026-11-23T10:00:00+00:00"},
    "failed twice": lambda plain: plain | {"failed": ["app/a", "app/a"]},
    "failed not sorted": lambda plain: plain | {"failed": ["app/b", "app/a"]},
    "failed is no list": lambda plain: plain | {"failed": "app/a"},
    "object that leads elsewhere": lambda plain: plain | {"failed": ["app/../x"]},
    "no outcomes": lambda plain: plain | {"outcomes": None},
    "outcomes not sorted": lambda plain: plain | {"outcomes": list(reversed(plain["outcomes"]))},  # type: ignore[call-overload]
    "outcome pending": lambda plain: plain | {"outcomes": [_outcome(outcome="pending")]},
    "outcome with more": lambda plain: plain | {"outcomes": [_outcome(by="me")]},
    "outcome that is none": lambda plain: plain | {"outcomes": ["app/a"]},
    "unknown operation": lambda plain: plain | {"outcomes": [_outcome(operation="replace")]},
    "empty message": lambda plain: plain | {"outcomes": [_outcome(message="")]},
    "endless message": lambda plain: plain | {"outcomes": [_outcome(message="x" * 4097)]},
    "line feed in a remote id": lambda plain: plain | {"outcomes": [_outcome(remoteId="1\n2")]},
    "a list": lambda plain: [plain],
}


def _outcome(**fields: str) -> dict[str, str]:
    return {"object": "app/a", "operation": "edit", "outcome": "applied", **fields}


@pytest.mark.parametrize("name", SPOILED)
def test_h16_a_line_of_another_form_is_no_receipt(keys: Path, name: str) -> None:
    """Fields are what they must be, all of them and no others."""
    plain = json.loads(chain(keys, DRAFT))
    assert receipt.parse_receipt(canonical_json(plain)) is not None
    assert receipt.parse_receipt(canonical_json(SPOILED[name](plain))) is None


@pytest.mark.parametrize("spelled", [b" %s", b"%s ", b"%s\r", b"\xff%s", b"[" * 99_999])
def test_h16_bytes_that_are_not_canonical_are_no_receipt(keys: Path, spelled: bytes) -> None:
    """One receipt has one spelling; nothing that anybody writes raises."""
    line = chain(keys, DRAFT).removesuffix(b"\n")
    assert receipt.parse_receipt(spelled.replace(b"%s", line)) is None


def test_a_receipt_that_would_not_be_read_back_is_not_made(keys: Path) -> None:
    """What is signed is in its form."""
    with pytest.raises(ValueError, match="not in its form"):
        chain(keys, replace(DRAFT, store="a b"))


def test_a_message_becomes_what_a_receipt_can_hold() -> None:
    """Any text of a target's can be told."""
    assert receipt.plain_message("\ud800" + "x" * 5000) == "?" + "x" * 4095
    assert receipt.plain_message("") == "it gave no reason"


# --- the chain -------------------------------------------------------------------------------------------------------


def test_a_chain_of_good_receipts_has_no_fault(keys: Path, context: Context) -> None:
    """Commits may repeat and go on; deployers may take turns; the signer may be a service."""
    data = chain(
        keys,
        DRAFT,
        replace(DRAFT, run="run-2"),
        replace(DRAFT, account="bob", commit=COMMITS[2]),
        replace(DRAFT, commit=COMMITS[4]),
    )
    assert faults(data, context) == [None] * 4
    assert faults(b"", context) == []


FORGERIES: Mapping[str, tuple[Draft, str, str]] = {
    "by nobody": (DRAFT, "mallory", "not by a key of account alice"),
    "under another's name": (DRAFT, "bob", "not by a key of account alice"),
    "by an account that is not there": (replace(DRAFT, account="mallory"), "mallory", "not by a key of account"),
    "by somebody without the role": (replace(DRAFT, account="carol"), "carol", "did not have the role deployer"),
    "by a disabled account": (replace(DRAFT, account="dave"), "dave", "was disabled"),
    "by a deployer of later": (replace(DRAFT, account="bob"), "bob", "did not have the role deployer"),
    "for a bad commit": (replace(DRAFT, commit=BAD), "alice", "is not a good commit"),
    "for a commit of nowhere": (replace(DRAFT, commit="f" * 40), "alice", "is not a good commit"),
    "for another target": (replace(DRAFT, target="graph"), "alice", "is for target graph"),
    "for another tenant": (replace(DRAFT, tenant="fabrikam"), "alice", "of tenant fabrikam"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_h10_a_forged_receipt_is_found(keys: Path, context: Context, name: str) -> None:
    """Who signs must be an enabled deployer at the good commit that the receipt names, for this target and tenant."""
    draft, signer, words = FORGERIES[name]
    (fault,) = faults(receipt.extend(b"", draft, sign_as(keys, signer)), context)
    assert words in (fault or "")


def test_a12_a_signature_in_another_namespace_is_not_valid(keys: Path, context: Context) -> None:
    """The signature of an event cannot be made one of a receipt."""
    sign = sign_as(keys, "alice")
    data = receipt.extend(b"", DRAFT, lambda payload, _: sign(payload, "maa-gitops"))
    assert faults(data, context) == ["its signature is not valid"]


def test_f7_an_edited_receipt_is_found(keys: Path, context: Context) -> None:
    """No field can be changed: the failure of app/b cannot be struck out."""
    plain = json.loads(chain(keys, DRAFT)) | {"failed": []}
    assert faults(canonical_json(plain) + b"\n", context) == ["its signature is not valid"]


def test_f7_a_chain_cannot_be_cut_or_reordered(keys: Path, context: Context) -> None:
    """Lines are bound to the one before: none can be dropped in front, in the middle, or put elsewhere."""
    one, two, three = chain(keys, DRAFT, replace(DRAFT, run="run-2"), replace(DRAFT, run="run-3")).splitlines(True)
    gap = "it does not continue the receipt before"
    assert faults(two + three, context)[0] == gap
    assert faults(one + three, context) == [None, gap]
    assert faults(one + three + two, context) == [None, gap, gap]
    assert faults(one + one, context) == [None, gap]


def test_f6_a_receipt_for_an_older_commit_is_found(keys: Path, context: Context) -> None:
    """A target does not go back."""
    data = chain(keys, replace(DRAFT, commit=COMMITS[2]), DRAFT)
    assert faults(data, context) == [None, "its commit is older than that of the receipt before"]


def test_junk_between_receipts_is_found(keys: Path, context: Context) -> None:
    """A line that is no receipt spoils itself and the one after it; a last line must end."""
    one, two = chain(keys, DRAFT, replace(DRAFT, run="run-2")).splitlines(True)
    after = "it follows a line that is no receipt"
    assert faults(one + b"\n" + two, context) == [None, "it is no receipt", after]
    assert faults(one + two.removesuffix(b"\n"), context) == [None, "it is no receipt"]


# --- the branch ------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    git(tmp_path, "init", "-q")
    return Repository.open(tmp_path, environment(tmp_path))


def commit(repository: Repository, files: Mapping[str, bytes], parent: str | None = None, mode: str = "100644") -> str:
    """A commit with these files, as anybody who can push could make it."""
    tree = repository.write_tree(Entry(name, mode, repository.write_blob(data)) for name, data in files.items())
    return commit_tree(repository, tree, parent)


def commit_tree(repository: Repository, tree: str, parent: str | None = None) -> str:
    """A commit of a tree."""
    parents = [parent] if parent else []
    return repository.write_commit(tree=tree, parents=parents, message="m", identity=Identity("A", "a@b.c"), at=NOW)


INTENT = Intent("run-2", "clone-1", NOW)


def test_the_branch_is_read_back_as_it_was_written(keys: Path, repository: Repository, context: Context) -> None:
    """Receipts, object map and intent."""
    data = chain(keys, DRAFT)
    first = commit_tree(repository, receipt.tree_of(repository, data, OBJECTS))
    begun = commit_tree(repository, receipt.tree_with_intent(repository, first, INTENT), first)
    found = receipt.read(repository, begun, context)
    assert (found.commit, found.data, found.objects, found.intent) == (begun, data, {"app/a": HELD}, INTENT)
    assert [one.run for one in found.receipts] == ["run-1"]
    assert receipt.read(repository, first, context).intent is None


def test_no_branch_and_a_first_intent_are_no_receipts(repository: Repository, context: Context) -> None:
    """Nothing has been applied: that is an answer too."""
    begun = commit_tree(repository, receipt.tree_with_intent(repository, None, INTENT))
    for found, intent in (
        (receipt.read(repository, None, context), None),
        (receipt.read(repository, begun, context), INTENT),
    ):
        assert (found.newest, dict(found.objects), found.intent) == (None, {}, intent)


SPOILED_BRANCHES: Mapping[str, Mapping[str, bytes | None]] = {
    "edited map": {"objects.json": OTHER_OBJECTS},
    "lost map": {"objects.json": None},
    "lost receipts": {"receipts.jsonl": b""},
    "no receipts": {"receipts.jsonl": None},
    "junk": {"receipts.jsonl": b"junk\n"},
    "strange file": {"README.md": b""},
    "intent of another form": {"intent.json": b"{}"},
    "intent that is no JSON": {"intent.json": b"\xff"},
}


@pytest.mark.parametrize("name", SPOILED_BRANCHES)
def test_f7_a_spoiled_branch_is_reported(keys: Path, repository: Repository, context: Context, name: str) -> None:
    """The message says what is wrong, the hint how to start anew."""
    files = {"receipts.jsonl": chain(keys, DRAFT), "objects.json": OBJECTS, **SPOILED_BRANCHES[name]}
    spoiled = {path: content for path, content in files.items() if content is not None}
    with pytest.raises(RepositoryError, match="do not read") as caught:
        receipt.read(repository, commit(repository, spoiled), context)
    assert (caught.value.code, "maa apply --rebuild" in (caught.value.hint or "")) == ("receiptsUnreadable", True)


def test_h10_a_branch_with_a_forged_receipt_is_reported(keys: Path, repository: Repository, context: Context) -> None:
    """One receipt that is not good, and none is believed."""
    forged = receipt.extend(chain(keys, DRAFT), DRAFT, sign_as(keys, "mallory"))
    with pytest.raises(RepositoryError, match="receipt 2: its signature is not by a key of account alice"):
        receipt.read(repository, commit(repository, {"receipts.jsonl": forged, "objects.json": OBJECTS}), context)


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"app/a":{}}', b'{"a":{}}', b"\xff", b'{"app/a":1}'])
def test_a_signed_map_of_another_form_is_reported(
    keys: Path, repository: Repository, context: Context, content: bytes
) -> None:
    """Even a deployer's own tools crash nothing."""
    data = chain(keys, replace(DRAFT, state=digest(content)))
    with pytest.raises(RepositoryError, match=r"objects\.json is not in its form"):
        receipt.read(repository, commit(repository, {"receipts.jsonl": data, "objects.json": content}), context)


def test_d5_links_on_the_branch_are_reported(keys: Path, repository: Repository, context: Context) -> None:
    """Files there are regular files."""
    files = {"receipts.jsonl": chain(keys, DRAFT), "objects.json": OBJECTS}
    with pytest.raises(RepositoryError, match="does not belong there"):
        receipt.read(repository, commit(repository, files, mode="120000"), context)


def test_an_intent_is_read_alone_where_receipts_do_not_read(repository: Repository) -> None:
    """A rebuild still sees that a run is on; what is no intent is none."""
    broken = commit(repository, {"receipts.jsonl": b"junk"})
    begun = commit_tree(repository, receipt.tree_with_intent(repository, broken, INTENT), broken)
    junk = commit(repository, {"intent.json": b"junk"})
    assert [receipt.read_intent(repository, one) for one in (begun, broken, junk, None)] == [INTENT, None, None, None]


def test_the_map_after_an_earlier_receipt_is_found(keys: Path, repository: Repository, context: Context) -> None:
    """The branch's own history keeps the maps; one that the receipt was not signed for is passed over."""
    early, late = chain(keys, DRAFT), chain(keys, DRAFT, replace(DRAFT, state=digest(OTHER_OBJECTS)))
    first = commit(repository, {"receipts.jsonl": early, "objects.json": OBJECTS})
    forged = commit(repository, {"receipts.jsonl": early, "objects.json": b"{}\n"}, first)
    tip = commit(repository, {"receipts.jsonl": late, "objects.json": OTHER_OBJECTS}, forged)
    one, two = receipt.read(repository, tip, context).receipts
    assert receipt.objects_after(repository, tip, one) == {"app/a": HELD}
    assert receipt.objects_after(repository, tip, two) == {"app/a": HELD, "app/b": HELD}
    assert receipt.objects_after(repository, first, two) == {}


# --- what they say of a request --------------------------------------------------------------------------------------

A, B = ObjectId("app", "a"), ObjectId("app", "b")


def outcomes(keys: Path, context: Context, merge: str, objects: set[ObjectId], *drafts: Draft) -> list[TargetOutcome]:
    """How a request stands on the one target."""
    receipts = [found for found, _ in receipt.receipt_facts(chain(keys, *drafts), context) if found is not None]
    return list(receipt.request_outcomes(merge, {"local": objects}, {"local": receipts}, context.place))


def test_rule9_a_request_waits_for_a_receipt_at_or_after_its_merge(keys: Path, context: Context) -> None:
    """An earlier receipt, or none, says nothing of it."""
    pending = [TargetOutcome("local", Outcome.PENDING)]
    assert outcomes(keys, context, COMMITS[1], {A}) == pending
    assert outcomes(keys, context, COMMITS[2], {A}, DRAFT) == pending
    assert outcomes(keys, context, BAD, {A}, DRAFT) == pending
    assert receipt.request_outcomes(COMMITS[1], {"local": {A}}, {}, context.place) == tuple(pending)


def test_rule9_a_request_is_applied_by_the_first_receipt_without_its_objects_among_the_failed(
    keys: Path, context: Context
) -> None:
    """What failed before or fails later takes nothing away; the first commit of all counts as any other."""
    later = replace(DRAFT, at=NOW + timedelta(hours=1), commit=COMMITS[2], failed=())
    applied = [TargetOutcome("local", Outcome.APPLIED, later.at)]
    assert outcomes(keys, context, COMMITS[1], {B}, DRAFT, later, replace(later, failed=("app/b",))) == applied
    assert outcomes(keys, context, COMMITS[1], {A}, DRAFT) == [TargetOutcome("local", Outcome.APPLIED, NOW)]
    first = replace(DRAFT, commit=COMMITS[0], failed=())
    assert outcomes(keys, context, COMMITS[0], {A}, first) == [TargetOutcome("local", Outcome.APPLIED, NOW)]


def test_rule9_a_request_has_failed_while_the_newest_receipt_lists_one_of_its_objects(
    keys: Path, context: Context
) -> None:
    """The message names the objects and what the target said."""
    later = replace(DRAFT, at=NOW + timedelta(hours=1), outcomes=(), failed=("app/a", "app/b"))
    (found,) = outcomes(keys, context, COMMITS[1], {A, B}, DRAFT)
    assert found == TargetOutcome("local", Outcome.FAILED, NOW, "app/b: Größe\n\u202e")
    (found,) = outcomes(keys, context, COMMITS[1], {B}, DRAFT, later)
    assert (found.at, found.message) == (later.at, "app/b: it is not at the state of the commit")


def test_rule9_a_target_that_takes_nothing_of_it_has_no_outcome(context: Context) -> None:
    """A request that changes the rules alone waits for nobody."""
    assert receipt.request_outcomes(COMMITS[1], {"local": ()}, {}, context.place) == ()
