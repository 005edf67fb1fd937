"""One spelling for everything that is signed or hashed."""

import hashlib
import json
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maa_gitops.canonical import canonical_json, change_digest, content_hash, digest, plain_changes
from maa_gitops.model import FileChange

PROPERTY = settings(deadline=None, database=None, max_examples=100)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner)
    ),
    max_leaves=10,
)
EDIT = FileChange("resources/apps/company-portal.yaml", "100644", "a" * 64, "b" * 64)


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        ({"b": 1, "a": [True, None, "x"]}, b'{"a":[true,null,"x"],"b":1}'),
        ({}, b"{}"),
        ([], b"[]"),
        ("Gr\u00fc\u00dfe \U0001f511", '"Gr\u00fc\u00dfe \U0001f511"'.encode()),
        ('a "quote", a \\ and\na line', b'"a \\"quote\\", a \\\\ and\\na line"'),
        ("\x00\x1f\x7f", b'"\\u0000\\u001f\x7f"'),
        ("</script>\u2028", '"</script>\u2028"'.encode()),
        (-12345678901234567890, b"-12345678901234567890"),
    ],
)
def test_canonical_json_is_spelled_so(value: object, spelling: bytes) -> None:
    """Sorted keys, no spaces, UTF-8 and no escape but those that JSON demands."""
    assert canonical_json(value) == spelling


def test_keys_are_sorted_by_code_point() -> None:
    """Capitals before small letters, and what is beyond the basic plane last: not by UTF-16 units."""
    assert (
        canonical_json({"\U0001f511": 1, "\uff5e": 2, "a": 3, "B": 4})
        == '{"B":4,"a":3,"\uff5e":2,"\U0001f511":1}'.encode()
    )


@PROPERTY
@given(PLAIN)
def test_canonical_json_reads_back(value: object) -> None:
    """Any JSON reader gets the value back, and it is spelled the same again."""
    spelled = canonical_json(value)
    assert json.loads(spelled) == value
    assert canonical_json(json.loads(spelled)) == spelled


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), {"a": [0.5]}, {1: "a"}, {None: "a"}, {True: "a"}, (1, 2), {"a": {1}}, b"bytes", object()],
    ids=lambda value: type(value).__name__,
)
def test_h16_other_than_plain_data_is_refused(value: object) -> None:
    """Floats, keys that are no strings, tuples, sets and bytes have no canonical spelling, however deep they are."""
    with pytest.raises(ValueError, match=r"canonical spelling|not a string"):
        canonical_json(value)


@pytest.mark.parametrize("value", ["\ud800", {"\udcff": 1}, ["ok", "a\udfff"]], ids=ascii)
def test_h15_surrogates_are_refused(value: object) -> None:
    """Text that is not Unicode has no canonical spelling."""
    with pytest.raises(ValueError, match="surrogates"):
        canonical_json(value)


def test_enumerations_are_spelled_as_their_values() -> None:
    """A member of a text enumeration is text."""

    class Colour(StrEnum):
        RED = "red"

    assert canonical_json({"colour": Colour.RED}) == b'{"colour":"red"}'


def test_digest_names_its_algorithm() -> None:
    """A digest is sha256: and the hash in hex, a content hash the bare hex."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (digest(b""), content_hash(b"")) == (f"sha256:{empty}", empty)


def test_change_digest_of_a_known_change() -> None:
    """The digest is over the canonical JSON of changes and tenant, which is written out here."""
    spelled = (
        '{"changes":[{"mode":"100644","new":"' + "b" * 64 + '","old":"' + "a" * 64 + '",'
        '"path":"resources/apps/company-portal.yaml"}],"tenant":"contoso"}'
    )
    assert change_digest([EDIT], "contoso") == "sha256:" + hashlib.sha256(spelled.encode()).hexdigest()


def test_change_digest_never_changes() -> None:
    """Signatures of years ago hold: this value may never be another."""
    assert change_digest([EDIT], "contoso") == "sha256:b16ea56742e5043ed39073d7844c5909476a8242c01af3b704bb4810679d9542"


def test_changes_are_sorted_by_the_bytes_of_the_path() -> None:
    """The order of the list does not matter; created and deleted files have nulls."""
    created = FileChange("resources/apps/\u00fcber.yaml", "100644", None, "b" * 64)
    deleted = FileChange("resources/apps/z.yaml", None, "a" * 64, None)
    beyond = FileChange("resources/apps/\U0001f511.yaml", "100644", None, "b" * 64)
    assert [change["path"] for change in plain_changes([beyond, created, deleted, EDIT])] == [
        "resources/apps/company-portal.yaml",
        "resources/apps/z.yaml",
        "resources/apps/\u00fcber.yaml",
        "resources/apps/\U0001f511.yaml",
    ]
    assert plain_changes([deleted]) == [{"mode": None, "new": None, "old": "a" * 64, "path": "resources/apps/z.yaml"}]
    assert change_digest([created, deleted, EDIT], "contoso") == change_digest([EDIT, created, deleted], "contoso")


@pytest.mark.parametrize(
    ("change", "tenant"),
    [
        (FileChange(EDIT.path + "x", EDIT.mode, EDIT.old, EDIT.new), "contoso"),
        (FileChange(EDIT.path, "100755", EDIT.old, EDIT.new), "contoso"),
        (FileChange(EDIT.path, EDIT.mode, None, EDIT.new), "contoso"),
        (FileChange(EDIT.path, EDIT.mode, EDIT.old, "c" * 64), "contoso"),
        (EDIT, "fabrikam"),
    ],
)
def test_c2_c3_everything_is_in_the_digest(change: FileChange, tenant: str) -> None:
    """Path, mode, old and new content and the tenant each make another digest."""
    assert change_digest([change], tenant) != change_digest([EDIT], "contoso")
