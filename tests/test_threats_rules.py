"""Threats of family B: by whose rules a change is judged, and how the rules themselves change.

Records and commits are forged with ssh-keygen and git plumbing; the verdict is asked of the real command line.
"""

from pathlib import Path

import pytest

from tests.support import (
    APP,
    APPROVED,
    Forger,
    Forgery,
    World,
    access_policy,
    account,
    app,
    applied,
    group,
    refused_until_healed,
    settings,
    verified,
)

ADMINISTRATOR = "intuneServiceAdministrator, deployer"
LACKING = (3, "needsApproval", ["needsApprovals"])
INVALID = (3, "needsApproval", ["invalidDocument"])
UNPROTECTED = (0, None, ["nothingProtected"])
APPS, RULES, GROUP = "policies/apps.yaml", "policies/access-policies.yaml", "groups/approvers.yaml"
EDITED = {APP: app(description="New.")}


def mallory(world: World) -> tuple[dict[str, str | None], Path]:
    """The files that let mallory in, and the key."""
    key, public = world.key("mallory")
    mine = account("mallory", public, roles=ADMINISTRATOR)
    return {"accounts/mallory.yaml": mine, GROUP: group("alice", "bob", "carol", "mallory")}, key


# --- B1: the rules come from the protected branch --------------------------------------------------------------------


def test_b1_an_approver_whom_the_branch_itself_lets_in_is_nobody(world: World, forger: Forger) -> None:
    """Accounts and groups of the change do not count for the change; rules and resources go one after the other."""
    files, key = mallory(world)
    Forgery.honest(forger)
    Forgery.honest(forger, files)
    mixed = Forgery(forger, files={**files, **EDITED}).submit(world.alice).approve(key).push()
    codes = ["mixedRequest", "needsApprovals", "needsApprovals", "unknownSigner"]
    assert mixed.check() == (3, "needsApproval", codes)
    own = Forgery(forger, files=files).submit(world.alice).approve(key).push()
    assert own.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])


def test_b1_a_landed_request_that_lets_its_own_approver_in_is_a_violation(world: World, forger: Forger) -> None:
    """Pushed around the gate it is found, and the app that came along is not applied."""
    good = world.tip()
    files, key = mallory(world)
    Forgery(forger, files={**files, **EDITED}).submit(world.alice).approve(key).complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert all(code in message for code in ("mixedRequest", "needsApprovals", "unknownSigner"))


def test_b1_rules_and_resources_at_once_are_refused_even_if_approved(world: World, forger: Forger) -> None:
    """Two real approvals do not make a mixed request good."""
    good = world.tip()
    files, _ = mallory(world)
    mixed = Forgery(forger, files={**files, **EDITED}).submit(world.alice).approve(world.bob).approve(world.carol)
    assert mixed.push().check() == (3, "needsApproval", ["mixedRequest"])
    mixed.complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "mixedRequest" in message


def test_b1_a_new_approver_decides_once_the_rules_have_landed(world: World, forger: Forger) -> None:
    """Let in by others first, the new approver's decision counts."""
    files, key = mallory(world)
    later = Forgery(forger, "later").submit(world.alice).approve(key).push()
    assert later.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])
    Forgery(forger, files=files).submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert later.check() == APPROVED


def test_b1_rules_are_changed_by_administrators_only(world: World, forger: Forger) -> None:
    """Dave has no role: no number of approvals lets his request on the rules pass, though his apps may."""
    listed = ["alice", "dave"]
    mine = Forgery(forger, files={APPS: access_policy("app", "approvers", required=2)})
    mine.submit(world.dave, contributors=listed).approve(world.bob).approve(world.carol).push()
    assert mine.check() == (3, "needsApproval", ["missingRole"])
    apps = Forgery(forger, "apps").submit(world.dave, contributors=listed).approve(world.bob).push()
    assert apps.check() == APPROVED
    good = world.tip()
    mine.complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "missingRole" in message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".github/workflows/gate.yml", "on: push\n"),
        (".gitattributes", "* -diff\n"),
        ("schemas/x.schema.json", "{}\n"),
        ("policies/README.md", "# Anything goes\n"),
        ("groups/.gitkeep", ""),
        ("accounts/eve.yaml", "displayName: Eve\nenabled: false\nsigningKeys: []\n"),
    ],
)
def test_b1_whatever_the_rules_rest_on_needs_a_request(world: World, forger: Forger, path: str, text: str) -> None:
    """Workflows, attributes, schemas and files beside the rules are rules: never pushed, but approved."""
    good = world.tip()
    Forgery(forger, files={path: text}).land()
    assert refused_until_healed(forger, good)[0] == ["unapprovedChange"]
    Forgery.honest(forger, {path: text}).complete(world.alice).land()
    assert verified(world) == (0, ["unapprovedChange"])


# --- B2, B3: which branch --------------------------------------------------------------------------------------------


def test_b2_rules_of_a_weak_branch_do_not_judge_what_grows_on_it(world: World, forger: Forger) -> None:
    """A branch without access policies is no base: its changes are those against the protected branch."""
    weak = forger.commit([world.tip()], {APPS: None, "policies/scripts.yaml": None, RULES: None})
    forger.push(weak, "weak")
    forged = Forgery(forger, files={APPS: None, "policies/scripts.yaml": None, RULES: None, **EDITED})
    forged.submit(world.alice)
    forger.push(forger.commit([weak], {**EDITED, forged.path: forger.record(*forged.lines)}), "change/forged")
    assert forged.check() == (3, "needsApproval", ["mixedRequest", "needsApprovals", "needsApprovals"])


def test_b2_an_event_names_a_base_on_the_protected_branch(world: World, forger: Forger) -> None:
    """Approvals that were signed for another branch, or for a side of a merge, break the record."""
    old = world.tip()
    side = forger.commit([old], {"README.md": "A side.\n"})
    forger.push(side, "weak")
    forger.push(forger.commit([old, side], {"README.md": "A side.\n"}))
    Forgery.honest(forger)
    broken = (3, "needsApproval", ["brokenRecord", "wrongBase", "needsApprovals"])
    for base in (side, "0" * 40, world.git(world.server, "rev-parse", "main^{tree}")):
        assert Forgery(forger).submit(world.alice).approve(world.bob, base=base).push().check() == broken
    earlier = Forgery(forger).submit(world.alice, base=old).approve(world.bob, base=old).push()
    assert earlier.check() == APPROVED


def test_b2_a_landed_approval_for_another_base_is_a_violation(world: World, forger: Forger) -> None:
    """The same, pushed around the gate; and a completion must name the last good commit itself."""
    side = forger.commit([world.tip()], {APPS: None})
    forger.push(side, "weak")
    old = world.tip()
    good = forger.commit([old], {"README.md": "On.\n"})
    forger.push(good)
    forged = Forgery(forger).submit(world.alice).approve(world.bob, base=side).complete(world.alice)
    forged.land()
    assert refused_until_healed(forger, good)[0] == ["wrongBase", "unapprovedChange"]
    healed = world.tip()
    late = Forgery(forger, "late").submit(world.alice).approve(world.bob).complete(world.alice, base=good)
    late.land()
    codes, message = refused_until_healed(forger, healed)
    assert codes == ["unapprovedChange"]
    assert "wrongBase" in message


def test_b2_events_are_for_one_tenant(world: World, forger: Forger) -> None:
    """What was signed for fabrikam is nothing in contoso, be it the event or the digest."""
    Forgery.honest(forger)
    other = Forgery(forger).submit(world.alice).approve(world.bob, tenant="fabrikam").push()
    assert other.check() == (3, "needsApproval", ["brokenRecord", "needsApprovals"])
    digest = forger.digest(other.changes, tenant="fabrikam")
    other = Forgery(forger).submit(world.alice).approve(world.bob, change=digest).push()
    assert other.check() == (3, "needsApproval", ["needsApprovals", "staleChange"])
    whole = Forgery(forger).submit(world.alice, tenant="fabrikam").approve(world.bob, tenant="fabrikam").push()
    assert whole.check() == (3, "needsApproval", ["brokenRecord", "needsApprovals"])


@pytest.mark.parametrize(
    "text",
    [
        settings().replace("protectedBranch: main", "protectedBranch: weak"),
        settings().replace("tenant: contoso", "tenant: fabrikam"),
    ],
    ids=["protectedBranch", "tenant"],
)
def test_b2_a_change_cannot_name_another_branch_or_tenant(world: World, forger: Forger, text: str) -> None:
    """``protectedBranch`` and ``tenant`` never change, whoever approves it."""
    good = world.tip()
    forged = Forgery(forger, files={"maa.yaml": text}).submit(world.alice).approve(world.bob).approve(world.carol)
    assert forged.push().check() == INVALID
    forged.complete(world.alice).land()
    assert refused_until_healed(forger, good)[0] == ["invalidDocument"]
    Forgery.honest(forger, {"maa.yaml": settings("requests: {expireAfterDays: 3}\n")})


def test_b2_a_clone_that_watches_another_branch_than_maa_yaml_names_says_nothing(world: World, forger: Forger) -> None:
    """Neither side wins: the question cannot be answered."""
    Forgery.honest(forger)
    forger.push(world.tip(), "weak")
    world.dave.git("config", "maa.protectedBranch", "weak")
    refused = world.dave.maa("check", "honest", "--format", "json", code=4)
    assert refused.error["code"] == "noProtectedBranch"


def test_b3_a_tag_named_like_the_protected_branch_changes_nothing(world: World, forger: Forger) -> None:
    """Full names only: tags and stray branches called main, origin/main or like a request are not asked."""
    honest = Forgery.honest(forger)
    waiting = Forgery(forger, "waiting").submit(world.alice).push()
    evil = forger.commit([world.tip()], {APPS: None, "policies/scripts.yaml": None})
    good = world.tip()
    for name in ("tags/main", "tags/origin/main", "tags/change/waiting", "heads/origin/main", "heads/refs/heads/main"):
        world.alice.git("push", "-q", "origin", f"{evil}:refs/{name}")
        world.dave.git("fetch", "-q", "origin", f"refs/{name}")
        world.dave.git("update-ref", f"refs/{name}", evil)
    world.dave.git("update-ref", "refs/heads/main", evil)
    assert (honest.check(), waiting.check()) == (APPROVED, LACKING)
    verdict = world.dave.maa("verify", "--format", "json").json
    assert (verdict["to"], verdict["good"]) == (good, True)
    assert world.dave.maa("verify", "main", "--format", "json", code=4).error["code"] == "ambiguousRevision"
    assert world.dave.maa("verify", evil, "--format", "json", code=3).json["good"] is False


# --- B4, B5: rules that are gone, empty, or match nothing ------------------------------------------------------------

TAKEN_AWAY: dict[str, tuple[dict[str, str | None], tuple[int, str | None, list[str]]]] = {
    "all rules unprotected": ({RULES: None}, INVALID),
    "the group": ({GROUP: None}, (3, "needsApproval", ["invalidDocument"] * 4)),
    "an approver": ({"accounts/bob.yaml": None}, INVALID),
    "the settings": ({"maa.yaml": None}, INVALID),
    "empty policy": ({APPS: ""}, INVALID),
    "a policy of comments": ({APPS: "# nothing\n"}, INVALID),
    "policy that is null": ({APPS: "null\n"}, INVALID),
    "empty settings": ({"maa.yaml": ""}, INVALID),
    "empty group file": ({GROUP: ""}, INVALID),
    "policy moved below": ({APPS: None, "policies/old/apps.yaml": access_policy("app", "approvers")}, INVALID),
    "policy renamed to .yml": ({APPS: None, "policies/apps.yml": access_policy("app", "approvers")}, INVALID),
    "policy cut off by a second document": ({APPS: access_policy("app", "approvers") + "---\n"}, INVALID),
    "rules for part of the rules": ({RULES: access_policy("accessPolicy", "approvers", extra="scope: [x]\n")}, INVALID),
}


def test_b4_rules_do_not_vanish_or_empty_themselves(world: World, forger: Forger) -> None:
    """What would leave the tenant without readable rules is refused, however well it is approved."""
    found = {}
    for number, (name, (files, _)) in enumerate(TAKEN_AWAY.items()):
        forged = Forgery(forger, f"forged-{number}", files).submit(world.alice).approve(world.bob).push()
        found[name] = forged.check()
    assert found == {name: verdict for name, (_, verdict) in TAKEN_AWAY.items()}
    assert Forgery(forger, files={APPS: None}).submit(world.alice).push().check() == LACKING
    Forgery.honest(forger, {APPS: None})


@pytest.mark.parametrize("name", ["all rules unprotected", "the settings", "empty policy", "policy moved below"])
def test_b4_rules_taken_away_by_a_push_still_rule(world: World, forger: Forger, name: str) -> None:
    """The last good commit's rules stay in force, also for what is pushed after the rules are gone."""
    good = world.tip()
    waiting = Forgery(forger, "waiting").submit(world.alice).push()
    assert waiting.check() == LACKING
    forger.push(forger.commit([good], TAKEN_AWAY[name][0]))
    forger.push(forger.commit([world.tip()], EDITED))
    code, _, reasons = waiting.check()
    assert (code, "needsApprovals" in reasons) == (3, True)
    codes, _ = refused_until_healed(forger, good)
    assert set(codes) == {"invalidDocument", "unapprovedChange"}
    assert waiting.check() == LACKING


def test_b4_an_emptied_protected_branch_deletes_nothing(world: World, forger: Forger) -> None:
    """A commit with an empty tree is a violation; the tenant keeps what it has."""
    assert applied(world) == (0, None)
    good = world.tip()
    empty = world.alice.git("hash-object", "-t", "tree", "-w", "--stdin", data=b"")
    forger.push(forger.commit([good], {}, tree_of=empty))
    assert refused_until_healed(forger, good)[0] == ["invalidDocument", "unapprovedChange"]
    held = world.bob.maa("tenant", "--format", "json").json["objects"]
    assert [found["properties"]["displayName"] for found in held] == ["Company Portal"]


def test_b4_without_access_policies_the_rules_still_need_an_administrators_request(
    world: World, forger: Forger
) -> None:
    """Before there are policies nobody approves, but a push or somebody without role changes no rules."""
    forger.refound({APPS: None, "policies/scripts.yaml": None, RULES: None})
    good = world.tip()
    first = {APPS: access_policy("app", "approvers"), RULES: access_policy("accessPolicy", "approvers")}
    assert Forgery(forger, files=first).submit(world.alice).push().check() == APPROVED
    by_dave = Forgery(forger, files=first).submit(world.dave, contributors=["alice", "dave"]).push()
    assert by_dave.check() == (3, "needsApproval", ["missingRole"])
    Forgery(forger, files=first).land()
    assert refused_until_healed(forger, good)[0] == ["unapprovedChange"]


def test_b5_a_scope_that_matches_nothing_protects_nothing_and_says_so(world: World, forger: Forger) -> None:
    """Outside every scope a push is as good as a request; inside, and for the rules, nothing passes by itself."""
    forger.refound({APPS: access_policy("app", "approvers", extra='scope: ["finance/*"]\n')})
    free = Forgery(forger, "free").submit(world.alice).push()
    assert free.check() == UNPROTECTED
    explained = world.dave.maa("explain", APP, "--format", "json").json
    assert (explained["protected"], explained["policies"]) == (False, [])
    covered = {"resources/apps/finance/payroll.yaml": app("Payroll")}
    assert Forgery(forger, "covered", covered).submit(world.alice).push().check() == LACKING
    Forgery.honest(forger, covered)
    free.land()
    assert verified(world) == (0, [])


def test_b5_every_policy_on_its_own(world: World, forger: Forger) -> None:
    """Of two policies on one app the one that is satisfied does not stand in for the other."""
    forger.refound(
        {
            "groups/owners.yaml": group("carol"),
            "policies/apps-owners.yaml": access_policy("app", "owners", extra='scope: ["company*"]\n'),
        }
    )
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == LACKING
    assert [(found["policy"], found["satisfied"]) for found in forged.show()["policies"]] == [
        ("apps", True),
        ("apps-owners", False),
    ]
    assert forged.approve(world.carol).push().check() == APPROVED


def test_b5_a_completed_request_on_something_else_carries_nothing_protected(world: World, forger: Forger) -> None:
    """A record that needs no approval, since it signs nothing that is protected, does not let an app pass along."""
    good = world.tip()
    forged = Forgery(forger, files={"README.md": "Read me.\n"}).submit(world.alice).complete(world.alice)
    forged.files.update(EDITED)
    forged.land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "editedSinceSubmit" in message
    Forgery.honest(forger)


def test_b5_a_request_for_nothing_is_no_request(world: World, forger: Forger) -> None:
    """An empty list of changes, which everything would satisfy, is no event."""
    good = Forgery.honest(forger).start
    forged = Forgery(forger)
    forged.changes = []
    forged.submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert refused_until_healed(forger, good)[0] == ["brokenRecord", "unapprovedChange"]


# --- B6: weakening step by step --------------------------------------------------------------------------------------


def test_b6_a_lower_threshold_is_approved_by_the_old_one(world: World, forger: Forger) -> None:
    """While two are required, one person does not make it one; nor where it is pushed."""
    good = forger.refound({RULES: access_policy("accessPolicy", "approvers", required=2)})
    weaker = {RULES: access_policy("accessPolicy", "approvers")}
    forged = Forgery(forger, files=weaker).submit(world.alice).approve(world.bob).push()
    assert forged.check() == LACKING
    forged.complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "has 1 of 2 approvals" in message
    both = Forgery(forger, "both", weaker).submit(world.alice).approve(world.bob).approve(world.carol)
    assert both.push().check() == APPROVED


def test_b6_a_new_group_does_not_vote_itself_in(world: World, forger: Forger) -> None:
    """Whoever a request makes an approver has no say in it; a person who is known but no approver neither."""
    files = {"groups/daves.yaml": group("dave"), APPS: access_policy("app", "daves")}
    forged = Forgery(forger, files=files).submit(world.alice).approve(world.dave).push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "notApprover"])
    Forgery.honest(forger, files)


def test_b6_an_unapproved_loosening_loosens_nothing_that_follows(world: World, forger: Forger) -> None:
    """A request that would be fine by rules which were pushed around the gate is judged by the good ones."""
    good = forger.refound({APPS: access_policy("app", "approvers", required=2)})
    forger.push(forger.commit([good], {APPS: access_policy("app", "approvers")}))
    second = Forgery(forger).submit(world.alice, base=good).approve(world.bob, base=good)
    second.complete(world.alice, base=good).land()
    codes, _ = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange", "unapprovedChange"]
    assert Forgery(forger, "again").submit(world.alice).approve(world.bob).push().check() == LACKING


# --- B7: going back --------------------------------------------------------------------------------------------------


def tightened(world: World, forger: Forger) -> tuple[str, str]:
    """Let a policy of two approvals land, seen by everybody; returns the commits before and after."""
    before = world.tip()
    files = {APPS: access_policy("app", "approvers", required=2)}
    Forgery(forger, "tighten", files).submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert verified(world) == (0, [])
    world.bob.maa("requests")
    world.dave.maa("requests")
    world.carol.git("fetch", "-q", "origin")
    return before, world.tip()


def test_b7_an_older_protected_branch_is_noticed(world: World, forger: Forger) -> None:
    """Whoever has seen the newer rules goes by no older ones, though these were good in their time."""
    before, after = tightened(world, forger)
    Forgery(forger).submit(world.alice, base=before).approve(world.bob, base=before).push()
    forger.push(before, force=True)
    for person, command in ((world.dave, "check forged"), (world.dave, "verify"), (world.bob, "apply")):
        refused = person.maa(*command.split(), "--format", "json", code=3)
        assert refused.error["code"] == "lostChain"
        assert after in refused.error["message"]
    forger.push(after, force=True)
    assert world.dave.maa("check", "forged", "--format", "json", code=3).reasons == ["needsApprovals"]


def test_b7_old_rules_put_on_top_are_a_change_like_any_other(world: World, forger: Forger) -> None:
    """A commit that brings the older tree back is a violation."""
    before, after = tightened(world, forger)
    forger.push(forger.commit([after], {}, tree_of=before))
    assert refused_until_healed(forger, after)[0] == ["recordAltered"]


@pytest.mark.parametrize("way", ["newer side second", "unrelated", "without the newest"])
def test_b7_every_rewriting_is_noticed(world: World, forger: Forger, way: str) -> None:
    """The newest commit seen must be on the first-parent chain, with or without a merge that hides it."""
    before, after = tightened(world, forger)
    parents = {"newer side second": [before, after], "unrelated": [], "without the newest": [before]}[way]
    tree_of = after if way == "newer side second" else before
    forger.push(forger.commit(parents, {"README.md": "Rewritten.\n"}, tree_of=tree_of), force=True)
    assert world.dave.maa("verify", "--format", "json", code=3).error["code"] == "lostChain"
    assert world.bob.maa("apply", "--format", "json", code=3).error["code"] == "lostChain"
    pinned = world.carol.maa("verify", "--from", after, "--format", "json", code=3)
    assert pinned.error["code"] == "lostChain"


# --- B8, B9: where the rules are read --------------------------------------------------------------------------------


def test_b8_a_key_that_the_branch_brings_verifies_nothing(world: World, forger: Forger) -> None:
    """Neither a key added to bob's file on the branch, nor what lies in a work tree or in git's own signers file."""
    key, public = world.key("mallorys")
    more = account("bob", world.bob.public_key, public, roles=ADMINISTRATOR)
    forged = Forgery(forger, files={"accounts/bob.yaml": more}).submit(world.alice).approve(key, "bob").push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])
    plain = Forgery(forger, "plain").submit(world.alice).approve(key, "bob").push()
    world.dave.write("accounts/bob.yaml", more)
    world.dave.git("add", "accounts/bob.yaml")
    world.dave.write("signers", f"bob@contoso.com {public}\n* {public}\n")
    world.dave.git("config", "gpg.ssh.allowedSignersFile", str(world.dave.clone / "signers"))
    assert plain.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])
    Forgery.honest(forger, {"accounts/bob.yaml": more})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("maa.yaml", settings("include: https://evil.example/maa.yaml\n")),
        ("maa.yaml", settings("extends: ../other\n")),
        (APPS, access_policy("app", "approvers", extra="remote: contoso/policies\n")),
        (GROUP, group("bob", "carol") + "membersFrom: https://evil.example/members\n"),
        ("accounts/bob.yaml", account("bob", "ssh-ed25519 AAAA", extra="keysFrom: https://github.com/bob.keys\n")),
    ],
)
def test_b9_rules_include_nothing_from_elsewhere(world: World, forger: Forger, path: str, text: str) -> None:
    """There is no way to name rules that lie outside the commit."""
    forged = Forgery(forger, files={path: text}).submit(world.alice).approve(world.carol).push()
    code, status, reasons = forged.check()
    assert (code, status, set(reasons)) == (3, "needsApproval", {"invalidDocument"})
