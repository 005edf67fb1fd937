"""Threats of family A: who signed, and whether that somebody may decide.

Records and commits are forged with ssh-keygen and git plumbing; the verdict is asked of the real command line.
"""

import base64
import json
from collections.abc import Callable
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
    canonical,
    group,
    refused_until_healed,
    verified,
)

ADMINISTRATOR = "intuneServiceAdministrator, deployer"
BOB_ON_GITHUB = "github: {login: bob-builder, id: 102}\n"
TWO_APPROVALS = {"policies/apps.yaml": access_policy("app", "approvers", required=2)}
LACKING = (3, "needsApproval", ["needsApprovals"])
NOT_VALID = (3, "needsApproval", ["brokenRecord", "badSignature", "needsApprovals"])
HEADER, FOOTER = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"


def resigned(line: bytes, change: Callable[[str], str]) -> bytes:
    """A line with its signature replaced by something made of it."""
    plain = json.loads(line)
    return canonical({**plain, "signature": change(plain["signature"])})


def armoured(blob: bytes) -> str:
    """A signature's bytes as ssh-keygen would print them."""
    text = base64.b64encode(blob).decode()
    return HEADER + "".join(text[at : at + 70] + "\n" for at in range(0, len(text), 70)) + FOOTER


def ssh_string(data: bytes) -> bytes:
    """A string in SSH's wire format."""
    return len(data).to_bytes(4) + data


def sshsig(key: bytes, proof: bytes, namespace: bytes = b"maa-gitops", digest: bytes = b"sha512") -> str:
    """A signature made up from its parts."""
    parts = (key, namespace, b"", digest, proof)
    return armoured(b"SSHSIG" + (1).to_bytes(4) + b"".join(map(ssh_string, parts)))


# --- A1: the requestor as somebody else ------------------------------------------------------------------------------


def test_a1_a_second_key_of_the_requestor_does_not_approve(world: World, forger: Forger) -> None:
    """A person is an account, whatever key signs: alice's token does not approve what alice's laptop submitted."""
    token, public = world.key("token")
    keys = account("alice", world.alice.public_key, public, roles=ADMINISTRATOR, extra="emails: [ally@home.example]\n")
    forger.refound({"accounts/alice.yaml": keys})
    Forgery.honest(forger)
    forged = Forgery(forger).submit(world.alice).approve(token, "alice").push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "selfApproval"])
    assert world.alice.maa("--key", str(token), "approve", "forged", "--format", "json", code=3).error["code"] == (
        "selfApproval"
    )


def test_a1_a_second_address_of_the_requestor_makes_nobody_else(world: World, forger: Forger) -> None:
    """Commits that alice makes under her private address are alice's, and change nothing about who may approve."""
    key = world.alice.public_key
    mine = account("alice", key, roles=ADMINISTRATOR, extra="emails: [ally@home.example]\n")
    forger.refound({"accounts/alice.yaml": mine})
    private = {"GIT_AUTHOR_EMAIL": "Ally@Home.Example", "GIT_COMMITTER_EMAIL": "ally@home.example"}
    forged = Forgery(forger).submit(world.bob, contributors=["bob"]).approve(world.alice).push(variables=private)
    assert forged.check() == (3, "needsApproval", ["contributorsIncomplete"])
    listed = Forgery(forger, "listed").submit(world.bob, contributors=["alice", "bob"]).approve(world.alice)
    assert listed.push(variables=private).check() == (3, "needsApproval", ["needsApprovals", "contributor"])
    assert listed.approve(world.carol).push(variables=private).check() == APPROVED


def test_a1_a_landed_self_approval_is_a_violation(world: World, forger: Forger) -> None:
    """Pushed straight to the protected branch, a self-approval is found by verify and not applied."""
    good = Forgery.honest(forger).start
    Forgery(forger).submit(world.alice).approve(world.alice).complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "selfApproval" in message


# --- A2, A3, A4: who worked on it ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "variables"),
    [
        ("forged", {"GIT_AUTHOR_EMAIL": "bob@contoso.com"}),
        ("forged", {"GIT_COMMITTER_EMAIL": "BOB@contoso.com"}),
        ("forged\n\nCo-authored-by: Bob <bob@contoso.com>", {}),
        ("forged\n\nco-authored-by: <bob@contoso.com> and more", {}),
        ("forged", {"GIT_AUTHOR_EMAIL": "102+whatever-he-is-called-today@users.noreply.github.com"}),
    ],
    ids=["author", "committer", "co-author", "sloppy co-author", "no-reply address"],
)
def test_a2_who_worked_on_the_change_does_not_approve_it(
    world: World, forger: Forger, message: str, variables: dict[str, str]
) -> None:
    """Whoever the commits name must be listed, and whoever is listed does not approve; another approver does."""
    forger.refound(
        {"accounts/bob.yaml": account("bob", world.bob.public_key, roles=ADMINISTRATOR, extra=BOB_ON_GITHUB)}
    )
    Forgery.honest(forger)
    hidden = Forgery(forger).submit(world.alice).approve(world.bob).push(message=message, variables=variables)
    assert hidden.check() == (3, "needsApproval", ["contributorsIncomplete"])
    assert world.bob.maa("approve", "forged", "-m", "Mine.", "--format", "json", code=3).error["code"] == (
        "contributorsIncomplete"
    )
    assert world.alice.maa("merge", "forged", "--format", "json", code=3).error["code"] == "contributorsIncomplete"
    listed = Forgery(forger, "listed").submit(world.alice, contributors=["alice", "bob"]).approve(world.bob)
    listed.push(message=message, variables=variables)
    assert listed.check() == (3, "needsApproval", ["needsApprovals", "contributor"])
    assert listed.approve(world.carol).push(message=message, variables=variables).check() == APPROVED


def test_a2_a_commit_in_the_middle_names_its_author(world: World, forger: Forger) -> None:
    """One commit of three by bob is enough, even if a later one takes back what it did."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    bobs = forger.commit(
        [forged.start], {APP: app(description="Bob's.")}, variables={"GIT_AUTHOR_EMAIL": "bob@contoso.com"}
    )
    mine = forger.commit([bobs], forged.files)
    forger.push(forger.commit([mine], {forged.path: forger.record(*forged.lines)}), "change/forged")
    assert forged.check() == (3, "needsApproval", ["contributorsIncomplete"])
    assert forged.push().check() == APPROVED  # the same record over alice's commits alone


def test_a2_pushing_the_branch_to_main_does_not_free_its_authors(world: World, forger: Forger) -> None:
    """Commits that reached a bad tip by a plain merge are still those of the change."""
    forged = Forgery(forger).submit(world.alice).push(variables={"GIT_AUTHOR_EMAIL": "bob@contoso.com"})
    assert forged.check() == (3, "needsApproval", ["contributorsIncomplete", "needsApprovals"])
    forger.push(forger.commit([forged.start, world.tip("change/forged")], {}, tree_of=world.tip("change/forged")))
    assert forged.check() == (3, "needsApproval", ["contributorsIncomplete", "needsApprovals"])
    assert world.bob.maa("approve", "forged", "--format", "json", code=3).error["code"] == "contributorsIncomplete"
    forged.approve(world.bob, base=forged.start).push(variables={"GIT_AUTHOR_EMAIL": "bob@contoso.com"})
    assert world.alice.maa("complete", "forged", "--format", "json", code=3).error["code"] == "contributorsIncomplete"
    assert verified(world) == (3, ["unapprovedChange"])


@pytest.mark.parametrize(
    "claim",
    [
        f"author x <{'1' * 5000}+x@users.noreply.github.com> 1 +0000",
        "author x <> 1 +0000",
        "author \xff\ufffd <b\xff@\xff> -1 -9999",
        "author co-authored-by: bob <\u202ebob@contoso.com> 1 +0000",
    ],
    ids=["endless number", "nothing", "not UTF-8", "bidirectional"],
)
def test_a2_an_odd_claim_of_authorship_is_nobody(world: World, forger: Forger, claim: str) -> None:
    """Whatever a commit says of its author, the answer is an answer."""
    forged = Forgery(forger).submit(world.alice).push()
    tree = world.git(world.server, "rev-parse", "change/forged^{tree}")
    head = f"tree {tree}\nparent {forged.start}\n{claim}\ncommitter x <x@example.com> 1 +0000\n"
    raw = f"{head}\nco-authored-by:{' ' * 9000}\n"
    commit = world.alice.git(
        "hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw.encode("latin-1", "replace")
    )
    forger.push(commit, "change/forged", force=True)
    assert forged.check() == LACKING


def test_a2_a_landed_approval_of_a_listed_contributor_is_a_violation(world: World, forger: Forger) -> None:
    """History goes by the list in the submit."""
    good = Forgery.honest(forger).start
    forged = Forgery(forger).submit(world.alice, contributors=["alice", "bob"]).approve(world.bob)
    forged.complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "contributor: " in message


def test_a3_somebody_elses_name_on_the_commits_frees_nobody(world: World, forger: Forger) -> None:
    """Commits in dave's name do not make the requestor an approver."""
    daves = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Dave"), ("EMAIL", "dave@contoso.com"))
    }
    forged = Forgery(forger).submit(world.alice, contributors=["dave"]).approve(world.alice).push(variables=daves)
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "selfApproval"])
    assert forged.approve(world.bob).push(variables=daves).check()[:2] == (0, "approved")


def test_a3_naming_an_approver_as_author_only_excludes_that_approver(world: World, forger: Forger) -> None:
    """A claim can take one approver away, visibly; it never gives an approval, and the others remain."""
    forged = Forgery(forger).submit(world.alice, contributors=["alice", "bob"])
    forged.push(variables={"GIT_AUTHOR_EMAIL": "bob@contoso.com"})
    assert forged.check() == LACKING
    shown = forged.show()
    assert (shown["contributors"], shown["policies"][0]["canApprove"]) == (["alice", "bob"], ["carol"])
    assert forged.approve(world.carol).push(variables={"GIT_AUTHOR_EMAIL": "bob@contoso.com"}).check() == APPROVED


def test_a4_rebasing_somebody_elses_commits_keeps_the_author(world: World, forger: Forger) -> None:
    """After alice rebased bob's commit she is its committer, and bob still its author."""
    elsewhere = forger.commit([world.tip()], {"README.md": "Moved on.\n"})
    bobs = forger.commit(
        [world.tip()], {APP: app(description="New.")}, variables={"GIT_AUTHOR_EMAIL": "bob@contoso.com"}
    )
    world.alice.git("switch", "-q", "--detach", bobs)
    world.alice.git("rebase", "-q", "--onto", elsewhere, f"{bobs}^")
    rebased = world.alice.git("rev-parse", "HEAD")
    assert world.alice.git("log", "-1", "--format=%ae %ce") == "bob@contoso.com alice@contoso.com"
    forger.push(elsewhere)
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    forger.push(forger.commit([rebased], {forged.path: forger.record(*forged.lines)}), "change/forged")
    assert forged.check() == (3, "needsApproval", ["contributorsIncomplete"])
    assert forged.push().check() == APPROVED


# --- A5, A6, A7: keys and people -------------------------------------------------------------------------------------


def test_a5_rules_by_which_two_people_hold_one_key_do_not_land(world: World, forger: Forger) -> None:
    """A key that is bob's already cannot become eve's as well, under whatever comment; even if that is approved."""
    good = world.tip()
    eve = {"accounts/eve.yaml": account("eve", f"{world.bob.public_key} eve's own", roles=ADMINISTRATOR)}
    forged = Forgery(forger, files=eve).submit(world.alice).approve(world.bob).push()
    assert forged.check() == (3, "needsApproval", ["invalidDocument"])
    own = {"accounts/eve.yaml": account("eve", world.key("eve")[1], roles=ADMINISTRATOR)}
    Forgery.honest(forger, own)
    forged.complete(world.alice).land()
    assert refused_until_healed(forger, good)[0] == ["invalidDocument"]


def test_a5_nothing_is_told_from_a_tenant_in_which_a_key_is_shared(world: World, forger: Forger) -> None:
    """If it was so from the start, there is no yes: the question cannot be answered."""
    forger.refound({"accounts/eve.yaml": account("eve", world.bob.public_key, roles=ADMINISTRATOR)})
    Forgery(forger).submit(world.alice).approve(world.bob).push()
    refused = world.dave.maa("check", "forged", "--format", "json", code=4)
    assert refused.error["code"] == "invalidDocument"


def test_a6_two_keys_of_one_person_are_one_approval(world: World, forger: Forger) -> None:
    """People are counted, not keys."""
    token, public = world.key("token")
    bob = account("bob", world.bob.public_key, public, roles=ADMINISTRATOR)
    forger.refound({**TWO_APPROVALS, "accounts/bob.yaml": bob})
    forged = Forgery(forger).submit(world.alice).approve(world.bob).approve(token, "bob").push()
    assert forged.check() == LACKING
    assert forged.worth() == [("alice", True, None), ("bob", False, None), ("bob", True, None)]
    assert forged.approve(world.carol).push().check() == APPROVED


def test_a6_landed_approvals_of_one_person_for_two_are_a_violation(world: World, forger: Forger) -> None:
    """What was approved by one of two people is not approved, whoever pushed it."""
    good = forger.refound(TWO_APPROVALS)
    Forgery(forger).submit(world.alice).approve(world.bob).approve(world.bob).complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "has 1 of 2 approvals" in message
    Forgery(forger, "real").submit(world.alice).approve(world.bob).approve(world.carol).complete(world.alice).land()
    assert verified(world) == (0, ["unapprovedChange"])


def test_a7_an_approval_copied_within_the_record_breaks_it(world: World, forger: Forger) -> None:
    """The same line twice does not chain."""
    forger.refound(TWO_APPROVALS)
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    forged.lines.append(forged.lines[-1])
    assert forged.push().check() == (3, "needsApproval", ["brokenRecord", "needsApprovals"])
    forged.lines.pop()
    assert forged.approve(world.carol).push().check() == APPROVED


def test_a7_an_ecdsa_signature_and_its_twin_are_one_approval(world: World, forger: Forger) -> None:
    """Who has no key can make (r, n - s) of (r, s): it says what the first said, and is not a second approval."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    key, public = world.key("bobs-ecdsa", "ecdsa")
    forger.refound({**TWO_APPROVALS, "accounts/bob.yaml": account("bob", public, roles=ADMINISTRATOR)})
    forged = Forgery(forger).submit(world.alice).approve(key, "bob")

    def twin(text: str) -> str:
        blob = base64.b64decode(text.removeprefix(HEADER).removesuffix(FOOTER))
        proof_at = blob.rindex(ssh_string(b"ecdsa-sha2-nistp256")) + 23 + 4
        first = int.from_bytes(blob[proof_at : proof_at + 4])
        second_at = proof_at + 4 + first
        other = order - int.from_bytes(blob[second_at + 4 :])
        numbers = blob[proof_at:second_at] + ssh_string(other.to_bytes(other.bit_length() // 8 + 1))
        proof = ssh_string(b"ecdsa-sha2-nistp256") + ssh_string(numbers)
        return sshsig(base64.b64decode(public.split()[1]), proof)

    forged.lines[-1] = resigned(forged.lines[-1], twin)
    assert forged.push().check() == LACKING
    assert forged.worth() == [("alice", True, None), ("bob", True, None)]
    original = forged.lines[-1]
    forged.lines.append(resigned(original, twin))
    assert forged.push().check() == (3, "needsApproval", ["brokenRecord", "needsApprovals"])
    forged.lines.pop()
    assert forged.approve(world.carol).push().check() == APPROVED


# --- A8: rules that mean everybody or nobody -------------------------------------------------------------------------

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqfS33CArsfoX+6+0c7YREHNOeyI4znXaDrXVp9UAiM"
RULES = "policies/access-policies.yaml"
SENSELESS = {
    "principal for everybody": ("accounts/eve.yaml", account("eve", f"* {KEY}")),
    "certificate authority": ("accounts/eve.yaml", account("eve", f"cert-authority {KEY}")),
    "options before the key": ("accounts/eve.yaml", account("eve", f'eve namespaces=\\"git\\" {KEY}')),
    "certificate": ("accounts/eve.yaml", account("eve", KEY.replace("ed25519", "ed25519-cert-v01@openssh.com", 1))),
    "nobody's key": ("accounts/eve.yaml", account("eve")),
    "threshold zero": (RULES, access_policy("accessPolicy", "approvers", required=0)),
    "threshold negative": (RULES, access_policy("accessPolicy", "approvers", required=-1)),
    "threshold true": (RULES, access_policy("accessPolicy", "approvers").replace("Approvals: 1", "Approvals: true")),
    "threshold 1.0": (RULES, access_policy("accessPolicy", "approvers").replace("Approvals: 1", "Approvals: 1.0")),
    "threshold text": (RULES, access_policy("accessPolicy", "approvers").replace("Approvals: 1", 'Approvals: "1"')),
    "threshold above the group": (RULES, access_policy("accessPolicy", "approvers", required=9)),
    "no groups": (RULES, access_policy("accessPolicy")),
    "unknown group": (RULES, access_policy("accessPolicy", "approvers", "leads")),
    "every group": (RULES, access_policy("accessPolicy", '"*"')),
    "unknown member": ("groups/approvers.yaml", group("alice", "bob", "carol", "eve")),
    "every account": ("groups/approvers.yaml", group("alice", "bob", '"*"')),
    "group in itself": ("groups/approvers.yaml", group("alice", "bob", "approvers")),
    "member twice": ("groups/approvers.yaml", group("alice", "bob", "bob")),
    "empty group": ("groups/approvers.yaml", group()),
}


def test_a8_senseless_rules_do_not_land(world: World, forger: Forger) -> None:
    """Rules that would match everybody, or nobody ever, are refused however well they are approved."""
    found = {}
    for number, (name, (path, text)) in enumerate(SENSELESS.items()):
        forged = Forgery(forger, f"forged-{number}", {path: text}).submit(world.alice).approve(world.bob).push()
        code, status, reasons = forged.check()
        found[name] = (code, status, set(reasons))
    assert found == dict.fromkeys(SENSELESS, (3, "needsApproval", {"invalidDocument"}))
    Forgery.honest(forger, {"groups/approvers.yaml": group("bob", "carol")})


def test_a8_landed_senseless_rules_are_a_violation(world: World, forger: Forger) -> None:
    """A threshold of zero that was pushed around the gate never rules anything."""
    good, path = world.tip(), "policies/apps.yaml"
    waiting = Forgery(forger, "waiting").submit(world.alice).push()
    assert waiting.check() == LACKING
    zero = Forgery(forger, files={path: access_policy("app", "approvers", required=0)})
    zero.submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert waiting.check() == (3, "needsApproval", ["outdated", "invalidDocument", "needsApprovals"])
    assert refused_until_healed(forger, good)[0] == ["invalidDocument"]
    assert waiting.check() == LACKING
    Forgery.honest(forger, {path: access_policy("app", "approvers", required=2)})


def test_a8_an_empty_group_approves_nothing(world: World, forger: Forger) -> None:
    """A policy whose group is empty is never satisfied."""
    forger.refound(
        {"groups/nobody.yaml": group(), "policies/apps.yaml": access_policy("app", "nobody")},
    )
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "unsatisfiable", "notApprover"])


# --- A9 to A12: signatures -------------------------------------------------------------------------------------------


def test_a9_an_approval_by_another_key_than_its_accounts_is_nobodys(world: World, forger: Forger) -> None:
    """An approval in bob's name counts with bob's key only, and is never attributed to who really signed."""
    Forgery.honest(forger)
    for key in (world.key("mallory")[0], world.alice.key, world.carol.key, world.dave.key):
        forged = Forgery(forger).submit(world.alice).approve(key, "bob").push()
        assert forged.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])
        assert forged.worth() == [("alice", True, None), (None, False, "unknownSigner")]


def test_a9_a_submit_by_another_key_is_nobodys(world: World, forger: Forger) -> None:
    """A submit in alice's name with mallory's key opens nothing, and names no requestor."""
    Forgery.honest(forger)
    mallory = world.key("mallory")[0]
    forged = Forgery(forger).submit(mallory, "alice").approve(world.bob).push()
    assert forged.check() == (3, "needsApproval", ["unknownSigner"])
    assert forged.show()["requestor"] is None


def test_a9_a_submit_signed_again_by_another_key_breaks_what_follows(world: World, forger: Forger) -> None:
    """The approval names the line that it approved, signature included."""
    honest = Forgery.honest(forger)
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    fields = {key: value for key, value in json.loads(forged.lines[0]).items() if key != "signature"}
    forged.lines[0] = forger.line(world.carol.key, fields)
    assert forged.push().check() == (3, "needsApproval", ["brokenRecord", "unknownSigner", "needsApprovals"])
    assert honest.check() == APPROVED


def test_a9_an_unsigned_approval_breaks_the_record(world: World, forger: Forger) -> None:
    """Nothing counts without a signature."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    signed = forged.lines[-1]
    no_event = (3, "needsApproval", ["brokenRecord", "needsApprovals"])
    values: tuple[object, ...] = (None, "", 1, [], {})
    for value in values:
        plain = {**json.loads(signed), "signature": value}
        forged.lines[-1] = canonical({key: item for key, item in plain.items() if item is not None})
        assert forged.push().check() == no_event
    for text in ("-", HEADER + FOOTER, "gpgsig"):
        forged.lines[-1] = canonical({**json.loads(signed), "signature": text})
        assert forged.push().check() == NOT_VALID
    forged.lines[-1] = signed
    assert forged.push().check() == APPROVED


def test_a9_a_landed_approval_without_valid_signature_is_a_violation(world: World, forger: Forger) -> None:
    """An unsigned approval does not become one by landing."""
    good = Forgery.honest(forger).start
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    forged.lines[-1] = resigned(forged.lines[-1], lambda _: HEADER + FOOTER)
    forged.complete(world.alice).land()
    assert refused_until_healed(forger, good)[0] == ["badSignature", "unapprovedChange"]


def test_a9_a_landed_approval_by_an_unknown_key_is_a_violation(world: World, forger: Forger) -> None:
    """A well-formed approval by nobody known is none."""
    good = Forgery.honest(forger).start
    mallory = world.key("mallory")[0]
    Forgery(forger).submit(world.alice).approve(mallory, "bob").complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "unknownSigner" in message


RESPELLED: dict[str, Callable[[str], str]] = {
    "two blocks": lambda text: text + text,
    "without line feed": lambda text: text.removesuffix("\n"),
    "line feed more": lambda text: text + "\n",
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "words before": lambda text: "Signature:\n" + text,
    "words after": lambda text: text + "gpgsig-sha256 too\n",
    "in one line": lambda text: HEADER + text[len(HEADER) : -len(FOOTER)].replace("\n", "") + "\n" + FOOTER,
    "blanks": lambda text: text.replace("\n", " \n"),
    "another header": lambda text: text.replace("SSH", "PGP"),
    "padding more": lambda text: text.replace("\n" + FOOTER, "=\n" + FOOTER),
    "flipped bit": lambda text: text[:-60] + ("A" if text[-60] != "A" else "B") + text[-59:],
}


def test_a10_a_signature_has_one_spelling(world: World, forger: Forger) -> None:
    """Exactly the text that ssh-keygen prints is a signature; anything made of it breaks the record."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    signed, found = forged.lines[-1], {}
    for name, change in RESPELLED.items():
        forged.lines[-1] = resigned(signed, change)
        found[name] = forged.push().check()
    assert found == dict.fromkeys(RESPELLED, NOT_VALID)
    forged.lines[-1] = signed
    assert forged.push().check() == APPROVED


@pytest.mark.parametrize(
    "twice",
    [
        "tree {tree}\ntree {good}\n{parent}{who}",
        "tree {good}\n{parent}{who}tree {tree}\n",
        "tree {tree}\n{parent}{parent}{who}{who}",
    ],
    ids=["tree, tree", "tree at the end", "two authors"],
)
def test_a10_a_commit_that_two_readers_read_differently_is_not_read(world: World, forger: Forger, twice: str) -> None:
    """A commit with two trees or two authors gives no answer, on a change branch as on the protected branch."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    parts = {
        "tree": world.git(world.server, "rev-parse", "change/forged^{tree}"),
        "good": world.git(world.server, "rev-parse", "main^{tree}"),
        "parent": f"parent {forged.start}\n",
        "who": "author A <alice@contoso.com> 1 +0000\ncommitter A <alice@contoso.com> 1 +0000\n",
    }
    raw = twice.format(**parts) + "\nforged\n"
    commit = world.alice.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw.encode())
    forger.push(commit, "change/forged", force=True)
    assert world.dave.maa("check", "forged", "--format", "json", code=4).error["code"] == "malformedCommit"
    forger.push(commit, force=True)
    assert world.dave.maa("verify", "--format", "json", code=4).error["code"] == "malformedCommit"
    assert world.bob.maa("apply", "--format", "json", code=4).error["code"] == "malformedCommit"


ED25519 = ssh_string(b"ssh-ed25519")
EVIL_SIGNATURES = {
    "empty": armoured(b""),
    "magic only": armoured(b"SSHSIG"),
    "endless string": armoured(b"SSHSIG" + (1).to_bytes(4) + b"\xff\xff\xff\xff"),
    "version 2": armoured(b"SSHSIG" + (2).to_bytes(4)),
    "no key": sshsig(b"", ED25519 + ssh_string(bytes(64))),
    "key of small order": sshsig(ED25519 + ssh_string(b"\1" + bytes(31)), ED25519 + ssh_string(b"\1" + bytes(63))),
    "key off the curve": sshsig(ED25519 + ssh_string(b"\2" + bytes(31)), ED25519 + ssh_string(bytes(64))),
    "rsa of one bit": sshsig(
        b"".join(map(ssh_string, (b"ssh-rsa", b"\3", b"\1"))), ssh_string(b"rsa-sha2-512") + ssh_string(b"\1")
    ),
    "rsa of nothing": sshsig(
        b"".join(map(ssh_string, (b"ssh-rsa", b"", b""))), ssh_string(b"rsa-sha2-512") + ssh_string(b"")
    ),
    "certificate": sshsig(
        ssh_string(b"ssh-ed25519-cert-v01@openssh.com") + ssh_string(bytes(32)), ED25519 + ssh_string(bytes(64))
    ),
    "ecdsa of nothing": sshsig(
        b"".join(map(ssh_string, (b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + bytes(64)))),
        ssh_string(b"ecdsa-sha2-nistp256") + ssh_string(ssh_string(b"") + ssh_string(b"")),
    ),
    "security key untouched": sshsig(
        ssh_string(b"sk-ssh-ed25519@openssh.com") + ssh_string(b"\1" + bytes(31)) + ssh_string(b"ssh:"),
        ssh_string(b"sk-ssh-ed25519@openssh.com") + ssh_string(bytes(64)) + bytes(5),
    ),
    "too long": HEADER + "A" * 70_000 + "\n" + FOOTER,
}


def test_a11_what_the_verifier_cannot_digest_is_not_valid(world: World, forger: Forger) -> None:
    """A signature made to break its reader is a bad signature, no crash and no yes."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    signed, found = forged.lines[-1], {}
    for name, text in EVIL_SIGNATURES.items():
        forged.lines[-1] = canonical({**json.loads(signed), "signature": text})
        found[name] = forged.push().check()
    assert found == dict.fromkeys(EVIL_SIGNATURES, NOT_VALID)
    forged.lines[-1] = signed
    assert forged.push().check() == APPROVED


def test_a12_a_signature_for_another_purpose_is_no_approval(world: World, forger: Forger) -> None:
    """Bob's key on exactly these bytes, but in another namespace, says nothing."""
    Forgery.honest(forger)
    for namespace in ("git", "file", "maa-gitops-receipt", "Maa-Gitops", "maa-gitops "):
        forged = Forgery(forger).submit(world.alice).approve(world.bob, namespace=namespace).push()
        assert forged.check() == NOT_VALID


def test_a12_a_signature_of_another_event_is_no_approval(world: World, forger: Forger) -> None:
    """Bob's signature under his rejection, put under an approval, is not valid there."""
    rejected = Forgery(forger).submit(world.alice).event("reject", world.bob)
    stolen = json.loads(rejected.lines[-1])["signature"]
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    signed = forged.lines[-1]
    forged.lines[-1] = resigned(signed, lambda _: stolen)
    assert forged.push().check() == NOT_VALID
    forged.lines[-1] = signed
    assert forged.push().check() == APPROVED


# --- A13: services, and attested events ------------------------------------------------------------------------------


def with_services(world: World, forger: Forger, *, attested: bool = True) -> tuple[Path, Path]:
    """A tenant with an attestor and a deploying service that stands in the approver group; returns their keys."""
    notary, notary_public = world.key("notary")
    robot, robot_public = world.key("robot")
    on_github = {
        name: account(
            name,
            world.people[name].public_key,
            roles=ADMINISTRATOR,
            extra=f"github: {{login: {name}-on-github, id: {number}}}\n",
        )
        for name, number in (("alice", 101), ("bob", 102), ("carol", 103))
    }
    forger.refound(
        {
            **{f"accounts/{name}.yaml": text for name, text in on_github.items()},
            "accounts/notary.yaml": account("notary", notary_public, roles="attestor", extra="kind: service\n"),
            "accounts/robot.yaml": account("robot", robot_public, roles="deployer", extra="kind: service\n"),
            "groups/approvers.yaml": group("alice", "bob", "carol", "robot"),
            "policies/apps.yaml": access_policy("app", "approvers", extra="attested: true\n" if attested else ""),
        }
    )
    return notary, robot


def evidence(user: object = 102, **more: object) -> dict[str, object]:
    """What an attestor says that it saw on GitHub."""
    plain = {
        "source": "github",
        "userId": user,
        "login": "whatever",
        "url": "https://github.com/contoso/tenant/pull/1#review-1",
        "commit": "c" * 40,
    }
    return {**plain, **more}


def test_a13_a_service_in_an_approver_group_does_not_approve(world: World, forger: Forger) -> None:
    """Only people decide; a service with a good key in the right group does not, but it may complete."""
    _, robot = with_services(world, forger)
    forged = Forgery(forger).submit(world.alice).approve(robot).push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "serviceAccount"])
    forged.approve(world.bob).push()
    assert forged.check()[:2] == (0, "approved")
    forged.complete(robot).land()
    assert verified(world) == (0, [])


def test_a13_a_service_does_not_submit(world: World, forger: Forger) -> None:
    """A request of a service is not approved by any number of people."""
    _, robot = with_services(world, forger)
    forged = (
        Forgery(forger).submit(robot, contributors=["alice", "robot"]).approve(world.bob).approve(world.carol).push()
    )
    assert forged.check() == (3, "needsApproval", ["serviceAccount"])


def test_a13_an_attestor_signs_for_whom_the_forge_names(world: World, forger: Forger) -> None:
    """Under a policy that accepts it, an attested approval is bob's; the record says who attested it."""
    notary, _ = with_services(world, forger)
    forged = Forgery(forger).submit(world.alice)
    forged.approve(notary, "bob", attestedBy="notary", evidence=evidence()).push()
    assert forged.check() == APPROVED
    shown = forged.show()
    assert (shown["approver"], shown["events"][-1]["attestedBy"]) == ("bob", "notary")
    forged.complete(world.alice).land()
    assert verified(world) == (0, [])


def test_a13_an_attested_approval_needs_a_policy_that_accepts_it(world: World, forger: Forger) -> None:
    """Without ``attested: true`` the same record is not approved, and is a violation where it lands."""
    notary, _ = with_services(world, forger, attested=False)
    good = world.tip()
    forged = Forgery(forger).submit(world.alice)
    forged.approve(notary, "bob", attestedBy="notary", evidence=evidence()).push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "notAttested"])
    forged.complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "notAttested" in message


@pytest.mark.parametrize(
    ("account_name", "attestor", "user", "codes"),
    [
        ("bob", "notary", 103, ["needsApprovals", "unknownSigner"]),
        ("dave", "notary", 102, ["needsApprovals", "unknownSigner"]),
        ("bob", "robot", 102, ["needsApprovals", "unknownSigner"]),
        ("alice", "notary", 101, ["needsApprovals", "selfApproval"]),
        ("robot", "notary", 102, ["needsApprovals", "unknownSigner"]),
        ("notary", "notary", 102, ["needsApprovals", "unknownSigner"]),
        ("mallory", "notary", 102, ["needsApprovals", "unknownSigner"]),
    ],
    ids=["wrong number", "no number", "not the attestor", "the requestor", "a service", "itself", "nobody"],
)
def test_a13_an_attestor_cannot_sign_for_others(
    world: World, forger: Forger, account_name: str, attestor: str, user: int, codes: list[str]
) -> None:
    """The number decides, the attestor must hold the key and the role, and the rules about people stay."""
    notary, _ = with_services(world, forger)
    forged = Forgery(forger).submit(world.alice)
    forged.approve(notary, account_name, attestedBy=attestor, evidence=evidence(user)).push()
    assert forged.check() == (3, "needsApproval", codes)


def test_a13_an_attestor_does_not_act_in_its_own_name(world: World, forger: Forger) -> None:
    """Without ``attestedBy`` it is a service like any other."""
    notary, _ = with_services(world, forger)
    forged = Forgery(forger).submit(world.alice).approve(notary).push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "serviceAccount"])
    own = Forgery(forger, "own").submit(notary, contributors=["alice", "notary"]).approve(world.bob).push()
    assert own.check() == (3, "needsApproval", ["serviceAccount"])


def test_a13_only_an_attestor_attests(world: World, forger: Forger) -> None:
    """A deploying service, or bob himself with his own key, cannot attest."""
    _, robot = with_services(world, forger)
    by_robot = Forgery(forger).submit(world.alice)
    by_robot.approve(robot, "bob", attestedBy="robot", evidence=evidence()).push()
    assert by_robot.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])
    by_himself = Forgery(forger, "himself").submit(world.alice)
    by_himself.approve(world.bob, attestedBy="bob", evidence=evidence()).push()
    assert by_himself.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])


def test_a13_the_attested_and_the_own_approval_of_a_person_are_one(world: World, forger: Forger) -> None:
    """Bob on the forge and bob with his key do not make two."""
    notary, _ = with_services(world, forger)
    forger.refound({"policies/apps.yaml": access_policy("app", "approvers", required=2, extra="attested: true\n")})
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    forged.approve(notary, "bob", attestedBy="notary", evidence=evidence()).push()
    assert forged.check() == LACKING
    forged.approve(notary, "carol", attestedBy="notary", evidence=evidence(103)).push()
    assert forged.check() == APPROVED


def test_a13_an_attested_submit_needs_every_policy_to_accept_it(world: World, forger: Forger) -> None:
    """Apps accept attested events and the rules do not: an attested submit opens requests on apps only."""
    notary, _ = with_services(world, forger)
    attested = {"attestedBy": "notary", "evidence": evidence(101)}
    assert Forgery(forger).submit(notary, "alice", **attested).approve(world.bob).push().check() == APPROVED
    rules = Forgery(forger, "rules", {"groups/more.yaml": group("bob")})
    assert rules.submit(notary, "alice", **attested).approve(world.bob).push().check() == (
        3,
        "needsApproval",
        ["notAttested"],
    )


def test_a13_an_attested_reject_takes_away_under_every_policy(world: World, forger: Forger) -> None:
    """Doubt needs no permission."""
    notary, _ = with_services(world, forger, attested=False)
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    forged.event("reject", notary, "carol", attestedBy="notary", evidence=evidence(103)).push()
    assert forged.check() == (3, "rejected", ["rejected"])


def test_a13_an_attested_event_has_one_form(world: World, forger: Forger) -> None:
    """Half of an attestation, or evidence of another shape, is no event."""
    notary, _ = with_services(world, forger)
    shapes: list[dict[str, object]] = [
        {"attestedBy": "notary"},
        {"evidence": evidence()},
        {"attestedBy": "notary", "evidence": evidence("102")},
        {"attestedBy": "notary", "evidence": evidence(True)},
        {"attestedBy": "notary", "evidence": evidence(0)},
        {"attestedBy": "notary", "evidence": evidence(source="gitlab")},
        {"attestedBy": "notary", "evidence": evidence(commit="HEAD")},
        {"attestedBy": "notary", "evidence": evidence(more="yes")},
        {"attestedBy": "notary", "evidence": evidence(login="")},
        {"attestedBy": "Notary", "evidence": evidence()},
    ]
    for fields in shapes:
        forged = Forgery(forger).submit(world.alice).approve(notary, "bob", **fields).push()
        assert forged.check() == (3, "needsApproval", ["brokenRecord", "needsApprovals"]), fields
    whole = Forgery(forger).submit(world.alice)
    assert whole.approve(notary, "bob", attestedBy="notary", evidence=evidence()).push().check() == APPROVED


def test_a13_a_completion_cannot_be_attested(world: World, forger: Forger) -> None:
    """An attestor may complete in its own name, but not in somebody else's."""
    notary, _ = with_services(world, forger)
    good = world.tip()
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    forged.complete(notary, "bob", attestedBy="notary", evidence=evidence()).land()
    assert refused_until_healed(forger, good)[0] == ["brokenRecord", "unapprovedChange"]
    Forgery(forger, "own").submit(world.alice).approve(world.bob).complete(notary).land()
    assert verified(world) == (0, ["brokenRecord", "unapprovedChange"])


def test_a13_who_lost_the_role_attests_no_more(world: World, forger: Forger) -> None:
    """An attested approval is judged with the attestor as it is now."""
    notary, _ = with_services(world, forger)
    forged = Forgery(forger).submit(world.alice)
    forged.approve(notary, "bob", attestedBy="notary", evidence=evidence()).push()
    assert forged.check() == APPROVED
    off = account("notary", (world.folder / "keys" / "notary.pub").read_text().strip(), roles="attestor")
    disabled = Forgery(forger, "off", {"accounts/notary.yaml": off + "kind: service\nenabled: false\n"})
    disabled.submit(world.bob).approve(world.carol).complete(world.bob).land()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])


# --- A14: names that look alike --------------------------------------------------------------------------------------


def test_a14_an_account_has_a_plain_lower_case_name(world: World, forger: Forger) -> None:
    """A file that would make a twin of alice is refused, whatever the alphabet."""
    twin = account("twin", world.key("twin")[1], roles=ADMINISTRATOR)
    expected = {
        "\u0430lice": {"malformedTree"},
        "\uff41lice": {"malformedTree"},
        "al\u0131ce": {"malformedTree"},
        "Alice": {"invalidDocument", "malformedTree"},
        "ALICE": {"invalidDocument", "malformedTree"},
        "alice.x": {"invalidDocument"},
        "-alice": {"invalidDocument"},
        "a" * 65: {"invalidDocument"},
    }
    found = {}
    for number, name in enumerate(expected):
        forged = Forgery(forger, f"forged-{number}", {f"accounts/{name}.yaml": twin})
        code, status, reasons = forged.submit(world.alice).approve(world.bob).push().check()
        assert (code, status) == (3, "needsApproval")
        found[name] = set(reasons)
    assert found == expected
    Forgery.honest(forger, {"accounts/alyce.yaml": twin})


def test_a14_an_event_names_its_account_plainly(world: World, forger: Forger) -> None:
    """An approval under a name that only looks like bob's is no event."""
    Forgery.honest(forger)
    for name in ("b\u043eb", "Bob", "\uff42ob", "bob ", "bob\u200b", "bob/x", "bob.yaml"):
        forged = Forgery(forger).submit(world.alice).approve(world.bob, name).push()
        assert forged.check() == (3, "needsApproval", ["brokenRecord", "needsApprovals"]), name


def test_a14_a_key_that_looks_like_members_is_unknown(world: World, forger: Forger) -> None:
    """A group's file with a full-width ``members`` beside the real one is refused."""
    text = group("alice", "bob", "carol") + "\uff4dembers: [dave]\n"
    forged = Forgery(forger, files={"groups/approvers.yaml": text}).submit(world.alice).approve(world.bob).push()
    assert forged.check() == (3, "needsApproval", ["invalidDocument"])
    Forgery.honest(forger, {"groups/approvers.yaml": group("alice", "bob", "carol", "dave")})
