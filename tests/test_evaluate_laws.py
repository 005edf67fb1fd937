"""Laws that hold for every request, whatever its tenant and its record: tried on random ones.

``orderly`` facts are what honest people make of it: every event is good and dated after the one before. ``wild`` facts
are anything that can be put into the types. An inserted event is dated like the latest before it, so that it is judged
for what it is and not for its time.

Where a law says "nor expired before": an expired request can come back when an approval is taken out, because the first
event with which everything was satisfied is then a later one, and it expires later (rule 6).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, assume, find, given, settings
from hypothesis import strategies as st

from maa_gitops.canonical import change_digest
from maa_gitops.evaluate import evaluate, landing_reasons
from maa_gitops.model import (
    ACCESS_POLICY_TYPE,
    AccessPolicy,
    Account,
    AccountKind,
    Action,
    ApproverGroup,
    CompleteBy,
    Evaluation,
    Event,
    EventFact,
    Evidence,
    Facts,
    FileChange,
    ForgeIdentity,
    Held,
    Merge,
    ObjectId,
    Outcome,
    Reason,
    ReasonCode,
    Role,
    Settings,
    Status,
    TargetOutcome,
    Tenant,
)

LAW = settings(max_examples=120, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
OPENED = datetime(2026, 11, 23, 10, tzinfo=UTC)
PEOPLE = ("alice", "bob", "carol", "dave")
SERVICES = ("notary", "pipeline")
OBJECTS = (ObjectId("app", "portal"), ObjectId("app", "finance/payroll"), ObjectId(ACCESS_POLICY_TYPE, "maa.yaml"))
NOT_APPROVED_BEFORE = frozenset(Status) - {Status.APPROVED, Status.EXPIRED}
NO_EVENT = EventFact(None)


# --- random facts ----------------------------------------------------------------------------------------------------


def mostly[T](usual: T, *others: T) -> st.SearchStrategy[T]:
    return st.sampled_from((*(usual,) * 8, *others))
