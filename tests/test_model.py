"""The nouns: the few facts that follow from a value alone."""

import re
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maa_gitops.model import (
    ACCESS_POLICY_TYPE,
    AccessPolicy,
    Account,
    AccountKind,
    ApproverGroup,
    Level,
    ObjectId,
    PolicyVerdict,
    Problem,
    Role,
    Settings,
    Tenant,
    matches,
    timestamp,
)

PROPERTY = settings(deadline=None, database=None)
WORDS = st.text("ab/", max_size=8)
PATTERNS = st.text("ab/*", max_size=8)


def _tenant(
    *accounts: Account, groups: tuple[ApproverGroup, ...] = (), policies: tuple[AccessPolicy, ...] = ()
) -> Tenant:
    return Tenant(
        Settings("contoso", "main"),
        {account.name: account for account in accounts},
        {group.name: group for group in groups},
        {policy.name: policy for policy in policies},
    )


def _policy(**differences: object) -> AccessPolicy:
    policy = AccessPolicy("apps", "Apps", profile_type="app", approver_groups=("approvers",))
    return replace(policy, **differences)  # type: ignore[arg-type]


# --- scopes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("payroll", "payroll"),
        ("*", ""),
        ("*", "finance/payroll"),
        ("finance/*", "finance/payroll/client"),
        ("*/payroll", "finance/emea/payroll"),
        ("f*e/*l", "finance/payroll"),
        ("**", "anything"),
        ("a*a", "aa"),
        ("*ab*ab*", "abab"),
    ],
)
def test_scope_pattern_matches(pattern: str, name: str) -> None:
    """The star stands for any text, none and slashes included."""
    assert matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("payroll", "payroll2"),
        ("payroll", "finance/payroll"),
        ("finance/*", "finance"),
        ("finance/*", "financial/planner"),
        ("*/payroll", "payroll"),
        ("a*a", "a"),
        ("ab*ba", "aba"),
        ("*ab*ab*", "abba"),
        ("*b*b", "ab"),
        ("", "a"),
    ],
)
def test_scope_pattern_does_not_match(pattern: str, name: str) -> None:
    """The whole name must match, and no part of it serves twice."""
    assert not matches(pattern, name)


@pytest.mark.parametrize("pattern", ["p?yroll", "[p]ayroll", "payrol.", "PAYROLL", "pay\\roll"])
def test_scope_has_one_wildcard_only(pattern: str) -> None:
    """Question marks, brackets, dots and backslashes mean themselves, and case counts."""
    assert not matches(pattern, "payroll")
    assert matches(pattern, pattern)


@settings(PROPERTY, max_examples=500)
@given(PATTERNS, WORDS)
def test_scope_pattern_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    """A pattern means the regular expression in which each star is ``.*``."""
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    assert matches(pattern, name) is (re.fullmatch(expression, name, re.DOTALL) is not None)


@settings(PROPERTY, max_examples=200)
@given(st.lists(WORDS, min_size=1), st.lists(WORDS, min_size=1))
def test_scope_pattern_matches_what_it_was_made_from(parts: list[str], fillings: list[str]) -> None:
    """Whatever stands in the places of the stars, the pattern matches."""
    filled = "".join(part + filling for part, filling in zip(parts, [*fillings, *[""] * len(parts)], strict=False))
    stars = min(len(parts), len(fillings))
    pattern = "".join(part + "*" * (number < stars) for number, part in enumerate(parts))
    assert matches(pattern, filled)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("*a" * 2_000 + "b", "a" * 20_000), ("*" * 50_000 + "b", "a" * 50_000), ("*ab" * 5_000, "ab" * 4_999 + "a")],
)
def test_e11_scope_pattern_of_many_stars_takes_no_time(pattern: str, name: str) -> None:
    """A pattern made to backtrack is refused in time proportional to its length."""
    start = process_time()
    assert not matches(pattern, name)
    assert process_time() - start < 1


def test_policy_without_scope_covers_its_type() -> None:
    """Without scope, an access policy covers every object of its one profile type and none of another."""
    assert _policy().covers(ObjectId("app", "anything"))
    assert not _policy().covers(ObjectId("script", "anything"))


def test_policy_with_scope_covers_what_one_pattern_matches() -> None:
    """With several patterns, one that matches is enough; the type must be right all the same."""
    policy = _policy(scope=("hr/*", "finance/*"))
    assert policy.covers(ObjectId("app", "finance/payroll"))
    assert not policy.covers(ObjectId("app", "company-portal"))
    assert not policy.covers(ObjectId("script", "finance/payroll"))


# --- the tenant ------------------------------------------------------------------------------------------------------


def test_object_id_reads_as_type_and_name() -> None:
    """An object is written as its type and its name."""
    assert str(ObjectId("app", "finance/payroll")) == "app/finance/payroll"
    assert str(ObjectId(ACCESS_POLICY_TYPE, "policies/apps.yaml")) == "accessPolicy/policies/apps.yaml"


def test_key_belongs_to_its_one_holder() -> None:
    """A key is its account's, whichever of the account's keys it is."""
    tenant = _tenant(Account("bob", "Bob", signing_keys=("one", "two")), Account("carol", "Carol"))
    assert [tenant.holder(key) for key in ("one", "two", "three", "")] == ["bob", "bob", None, None]


def test_a5_key_that_two_hold_is_nobodys() -> None:
    """Which account comes first in the tenant never decides who signed."""
    bob, carol = (Account(name, name, signing_keys=("shared", name)) for name in ("bob", "carol"))
    for tenant in (_tenant(bob, carol), _tenant(carol, bob)):
        assert tenant.holder("shared") is None
        assert tenant.holder("bob") == "bob"


def test_key_listed_twice_in_one_account_is_still_its() -> None:
    """One account that lists a key twice is one holder."""
    assert _tenant(Account("bob", "Bob", signing_keys=("one", "one"))).holder("one") == "bob"


def test_possible_approvers_are_enabled_people_of_the_groups() -> None:
    """Services, the disabled, unknown members and missing groups add nobody; members of several groups count once."""
    tenant = _tenant(
        Account("bob", "Bob"),
        Account("carol", "Carol", enabled=False),
        Account("dave", "Dave"),
        Account("erin", "Erin"),
        Account("bot", "Bot", kind=AccountKind.SERVICE),
        groups=(
            ApproverGroup("approvers", "Approvers", ("bob", "carol", "bot", "zoe")),
            ApproverGroup("leads", "Leads", ("bob", "dave")),
            ApproverGroup("others", "Others", ("erin",)),
        ),
    )
    assert tenant.possible_approvers(_policy(approver_groups=("approvers", "leads", "missing"))) == {"bob", "dave"}


def test_rules_are_protected_without_any_policy() -> None:
    """Objects of the rules always need a request; resources only where an access policy covers them."""
    rules, app, script = ObjectId(ACCESS_POLICY_TYPE, "maa.yaml"), ObjectId("app", "x"), ObjectId("script", "x")
    assert _tenant().protects(rules)
    assert not _tenant().protects(app)
    tenant = _tenant(policies=(_policy(),))
    assert [tenant.protects(governed) for governed in (rules, app, script)] == [True, True, False]


def test_covering_policies_are_those_that_cover_the_object() -> None:
    """Every access policy that covers the object is named."""
    apps, finance = _policy(), _policy(name="finance", scope=("finance/*",))
    tenant = _tenant(policies=(apps, finance))
    assert tenant.covering(ObjectId("app", "finance/payroll")) == (apps, finance)
    assert tenant.covering(ObjectId("app", "company-portal")) == (apps,)
    assert tenant.covering(ObjectId("script", "x")) == ()


def test_addresses_start_with_the_principal_name() -> None:
    """Commits of an account bear its principal name or one of its addresses."""
    account = Account("alice", "Alice", user_principal_name="alice@contoso.com", emails=("alice@personal.example",))
    assert account.addresses == ("alice@contoso.com", "alice@personal.example")
    assert Account("bob", "Bob").addresses == ()


@pytest.mark.parametrize(
    ("role", "is_administrator"),
    [
        (Role.INTUNE_SERVICE_ADMINISTRATOR, True),
        (Role.GLOBAL_ADMINISTRATOR, True),
        (Role.DEPLOYER, False),
        (Role.ATTESTOR, False),
    ],
)
def test_s11_two_roles_make_an_administrator(role: Role, *, is_administrator: bool) -> None:
    """Only the two administrator roles may submit changes to the rules."""
    assert Account("alice", "Alice", roles=frozenset({role})).is_administrator is is_administrator


def test_policy_is_satisfied_by_enough_approvals() -> None:
    """One less than required is not enough; one more does no harm."""
    policy = _policy(required_approvals=2)
    satisfied = [PolicyVerdict(policy, names, ()).satisfied for names in (("a",), ("a", "b"), ("a", "b", "c"))]
    assert satisfied == [False, True, True]


@pytest.mark.parametrize("required", [1, 0, -1])
def test_a8_policy_without_approvals_is_never_satisfied(required: int) -> None:
    """Whatever number a file has come by, one person must approve."""
    policy = _policy(required_approvals=required)
    assert policy.quorum == 1
    assert not PolicyVerdict(policy, (), ("a",)).satisfied


# --- values ----------------------------------------------------------------------------------------------------------


def test_timestamp_is_spelled_as_in_records() -> None:
    """A moment is written in UTC to the second, whatever its zone."""
    moment = datetime(2026, 11, 23, 11, 5, 7, tzinfo=timezone(timedelta(hours=1)))
    assert timestamp(moment) == "2026-11-23T10:05:07Z"


def test_c8_timestamp_of_the_first_and_last_year_has_four_digits() -> None:
    """The earliest and the latest moment that there are keep the form."""
    assert timestamp(datetime.min.replace(tzinfo=UTC)) == "0001-01-01T00:00:00Z"
    assert timestamp(datetime.max.replace(tzinfo=UTC)) == "9999-12-31T23:59:59Z"


@settings(PROPERTY, max_examples=100)
@given(st.datetimes(timezones=st.just(UTC)))
def test_timestamp_keeps_every_second(moment: datetime) -> None:
    """A timestamp reads back as the moment it was written from, to the second."""
    assert datetime.fromisoformat(timestamp(moment)) == moment.replace(microsecond=0)


def test_problem_is_the_same_on_another_line() -> None:
    """A problem is recognised by path, code and subject when the lines around it move."""
    problem = Problem("groups/apps.yaml", 3, 5, "unknownAccount", "zoe is no account", "zoe")
    moved = replace(problem, line=9, column=1, message="no such account", level=Level.WARNING)
    others = [replace(problem, path="x"), replace(problem, code="x"), replace(problem, subject="x")]
    assert moved.identity == problem.identity
    assert len({problem.identity, *(other.identity for other in others)}) == 4


def test_values_are_frozen() -> None:
    """What was judged cannot be changed afterwards."""
    account = Account("alice", "Alice")
    with pytest.raises(FrozenInstanceError):
        account.enabled = False  # type: ignore[misc]
