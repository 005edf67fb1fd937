"""Writing YAML: what is written reads back as it was, in one order, and a person can read it."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maa_gitops.documents import read_yaml
from maa_gitops.documents.writing import yaml_bytes
from maa_gitops.providers import spelling

# Texts of what is likely to go wrong: indicators, blanks, line ends, words and numbers that YAML reads otherwise.
WORDS = ("0x1f", "yes", "null", "12:30", "2026-11-23", "1_000", "1e3", ".5", "---", "<<")
TRICKY = st.lists(st.sampled_from([*" \n\t:#-?'\"|>{],&*!%@`~\\aé1🎈", *WORDS]), max_size=8).map("".join)
NUMBERS = st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TRICKY | st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TRICKY, inner, max_size=4),
    max_leaves=12,
)


def read(data: bytes) -> Any:
    """What the reader makes of it; it must take it."""
    document, problems = read_yaml(data, "x.yaml")
    assert document is not None, (problems, data)
    return document.data


@given(st.dictionaries(TRICKY, VALUES, max_size=5))
def test_what_is_written_reads_back_as_it_was(data: Mapping[str, object]) -> None:
    """Every key, every value, and of every value its type."""
    assert spelling(read(yaml_bytes(data))) == spelling(data)


@given(st.dictionaries(TRICKY, VALUES, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_tell(data: dict[str, object], random: Any) -> None:
    """The same data gives the same bytes, in whatever order it was put together."""
    keys = list(data)
    random.shuffle(keys)
    assert yaml_bytes({key: data[key] for key in keys}) == yaml_bytes(data)


def test_a_resource_reads_as_a_person_would_write_it() -> None:
    """What it is first, to whom it is given last; blocks for texts of several lines, quotes only where they must be."""
    data = {
        "adopt": {"intune": "0177548a-548a-0177-8a54-77018a547701"},
        "assignments": [
            {"target": {"group": "All Staff"}, "intent": "required"},
            {"target": {"allDevices": True}, "intent": "available"},
        ],
        "publisher": "Contoso: IT",
        "appUrl": "https://holidays.contoso.com",
        "roleScopeTagIds": ["0"],
        "excludedApps": {},
        "localesToInstall": [],
        "notes": None,
        "description": "First line.\n\n  Indented # no comment\nlast line",
        "owner": "no",
        "developer": "Text.\n",
        "displayName": "Holiday requests",
        "type": "webApp",
        "retryCount": 3,
    }
    assert (
        yaml_bytes(data).decode()
        == """\
type: webApp
displayName: Holiday requests
description: |-
  First line.

    Indented # no comment
  last line
appUrl: https://holidays.contoso.com
developer: |
  Text.
excludedApps: {}
localesToInstall: []
notes: null
owner: "no"
publisher: "Contoso: IT"
retryCount: 3
roleScopeTagIds:
  - "0"
assignments:
  - intent: required
    target:
      group: All Staff
  - intent: available
    target:
      allDevices: true
adopt:
  intune: "0177548a-548a-0177-8a54-77018a547701"
"""
    )


@pytest.mark.parametrize("value", ["a\rb", "a\u200bb", "\ufeff", "\ud800", 10**20, math.inf, math.nan, "\u0085"])
def test_what_no_document_may_hold_is_refused_by_the_reader(value: object) -> None:
    """It is never turned into something else."""
    document, problems = read_yaml(yaml_bytes({"key": value}), "x.yaml")
    assert (document, len(problems)) == (None, 1)


def test_nothing_at_all_is_an_empty_mapping() -> None:
    """Even that reads back."""
    assert read(yaml_bytes({})) == {}
