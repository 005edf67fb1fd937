"""The rulesets that a tenant repository on GitHub wants, as its importer takes them.

A bypass actor passes every rule of a ruleset, so what the deploy key may do and what nobody may do are apart. Stale
reviews are not dismissed and the last push needs no other approval: the change digest does both better.
"""

from collections.abc import Mapping, Sequence

from maa_gitops.forges.github import APPROVAL

Ruleset = Mapping[str, object]

PROTECTED_UPDATES = "maa: protected branch, updated by the deploy key only"
PROTECTED_HISTORY = "maa: protected branch, no rewriting"
CHANGE_HISTORY = "maa: change branches, no rewriting"
CHANGE_DELETION = "maa: change branches, deleted by the deploy key only"
RECEIPTS = "maa: receipts, by the deploy key only"

_DEPLOY_KEY = {"actor_id": None, "actor_type": "DeployKey", "bypass_mode": "always"}


def rulesets(protected_branch: str, *, merge_queue: bool = False) -> tuple[Ruleset, ...]:
    """Every ruleset. With a merge queue, what is not protected goes through it instead of ``maa github complete``."""
    protected = [f"refs/heads/{protected_branch}"]
    changes = ["refs/heads/change/**/*", "refs/heads/change/*"]
    receipts = ["refs/heads/maa/applied/*"]
    updates = _queue_rules() if merge_queue else [_rule("update", update_allows_fetch_and_merge=False)]
    return (
        _ruleset(PROTECTED_UPDATES, protected, [*updates, _status_rule()], deploy_key=True),
        _ruleset(PROTECTED_HISTORY, protected, [_rule("deletion"), _rule("non_fast_forward")], deploy_key=False),
        _ruleset(CHANGE_HISTORY, changes, [_rule("non_fast_forward")], deploy_key=False),
        _ruleset(CHANGE_DELETION, changes, [_rule("deletion")], deploy_key=True),
        _ruleset(
            RECEIPTS,
            receipts,
            [
                _rule("creation"),
                _rule("update", update_allows_fetch_and_merge=False),
                _rule("deletion"),
                _rule("non_fast_forward"),
            ],
            deploy_key=True,
        ),
    )


def _ruleset(
    name: str, include: Sequence[str], rules: Sequence[Mapping[str, object]], *, deploy_key: bool
) -> dict[str, object]:
    return {
        "name": name,
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": list(include), "exclude": []}},
        "rules": list(rules),
        "bypass_actors": [dict(_DEPLOY_KEY)] if deploy_key else [],
    }


def _rule(kind: str, **parameters: object) -> dict[str, object]:
    return {"type": kind, "parameters": parameters} if parameters else {"type": kind}


def _status_rule() -> dict[str, object]:
    return _rule(
        "required_status_checks",
        strict_required_status_checks_policy=False,
        do_not_enforce_on_create=False,
        required_status_checks=[{"context": APPROVAL}],
    )


def _queue_rules() -> list[dict[str, object]]:
    return [
        _rule(
            "pull_request",
            dismiss_stale_reviews_on_push=False,
            require_code_owner_review=False,
            require_last_push_approval=False,
            required_approving_review_count=0,
            required_review_thread_resolution=False,
        ),
        _rule(
            "merge_queue",
            check_response_timeout_minutes=30,
            grouping_strategy="ALLGREEN",
            max_entries_to_build=5,
            max_entries_to_merge=5,
            merge_method="MERGE",
            min_entries_to_merge=1,
            min_entries_to_merge_wait_minutes=1,
        ),
    ]


def missing(wanted: Ruleset, live: Sequence[Mapping[str, object]]) -> str | None:
    """Say what the live rulesets lack of one that is wanted, whatever they are called; None: nothing."""
    kinds = _kinds(wanted)
    for found in live:
        if found.get("enforcement") == "active" and _includes(wanted) <= _includes(found) and kinds <= _kinds(found):
            if _bypassed_by_others(wanted, found):
                return f"others than the deploy key may pass the ruleset '{found.get('name')}'"
            return None
    return f"no active ruleset has the rules {', '.join(sorted(kinds))} for {', '.join(sorted(_includes(wanted)))}"


def _bypassed_by_others(wanted: Ruleset, found: Mapping[str, object]) -> bool:
    """Whether somebody may pass a live ruleset who should not. Only administrators are shown who may."""
    actors = found.get("bypass_actors")
    allowed = {"DeployKey"} if wanted["bypass_actors"] else set()
    return isinstance(actors, list) and any(
        not isinstance(actor, dict) or actor.get("actor_type") not in allowed for actor in actors
    )


def _kinds(ruleset: Mapping[str, object]) -> set[str]:
    rules = ruleset.get("rules")
    return {str(rule.get("type")) for rule in rules if isinstance(rule, dict)} if isinstance(rules, list) else set()


def _includes(ruleset: Mapping[str, object]) -> set[str]:
    conditions = ruleset.get("conditions")
    names = conditions.get("ref_name") if isinstance(conditions, dict) else None
    included = names.get("include") if isinstance(names, dict) else None
    return {str(name) for name in included} if isinstance(included, list) else set()
