"""Names of imported resources, and which found object is which resource; laws over orders and imports."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maa_gitops.importing.ground import Known
from maa_gitops.importing.matching import Matched, match
from maa_gitops.importing.names import new_names, slug
from maa_gitops.importing.values import Found
from maa_gitops.model import ObjectId
from maa_gitops.providers import DesiredObject
from maa_gitops.tenant.paths import NAME

CALLED = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["App", "app", "A p p", "Äpp", "con", "日本"]
)
OBJECTS = st.lists(st.tuples(st.sampled_from(["app", "script"]), CALLED), max_size=12)


def found(called: str, remote_id: str | None = "1", kind: str = "webApp", **more: str) -> Found:
    """An app that was found."""
    state = DesiredObject("app", {"type": kind, "displayName": called})
    return Found(state, f"intune:{remote_id}", called, remote_id, **more)


def known(name: str, called: str = "", kind: str = "webApp", **adopt: str) -> Known:
    """What the document of an app tells."""
    return Known(ObjectId("app", name), kind, called, adopt)


def matched(ones: Sequence[Found], resources: Sequence[Known], target: str | None = "intune") -> Matched:
    """Match for the tenant of the tests."""
    return match(ones, resources, "contoso", target)


def names(result: Matched) -> dict[str | None, str]:
    """The resources of objects, by remote id; new ones with a plus."""
    there = {one.remote_id: str(governed) for one, governed in result.there}
    return there | {one.remote_id: f"+{governed}" for one, governed in result.new}


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("Company Portal", "company-portal"),
        ("Größe & Übersicht", "groesse-uebersicht"),
        ("Café Łódź \u2013 Ñandú", "cafe-lodz-nandu"),
        ("7-Zip 23.01 (x64)", "7-zip-23-01-x64"),
        ("ﬁx_it", "fix-it"),
        ("A\u030angstro\u0308m", "angstroem"),
        ("x" * 70, "x" * 64),
        ("../../etc/passwd", "etc-passwd"),
        ("日本語 🎈", ""),
        ("--", ""),
        ("İstanbul", "istanbul"),
    ],
)
def test_a_name_is_what_people_call_it_in_small_plain_letters(called: str, name: str) -> None:
    """Accents are folded, everything else is a hyphen, and nothing leads out of the folder."""
    assert slug(called) == name


@given(OBJECTS, st.randoms(use_true_random=False))
def test_every_object_gets_a_name_of_its_own_whatever_the_order(objects: list[tuple[str, str]], random: object) -> None:
    """Names are valid, no two of a type are the same, and the order of what is found does not tell."""
    ones = [
        Found(DesiredObject(profile_type, {"type": "x"}), "", called, str(index))
        for index, (profile_type, called) in enumerate(objects)
    ]
    given_names = dict(zip((one.remote_id for one in ones), new_names(ones, {}), strict=True))
    assert all(NAME.fullmatch(name) for name in given_names.values())
    assert len({(one.state.profile_type, given_names[one.remote_id]) for one in ones}) == len(ones)
    shuffled = sorted(ones, key=lambda _: random.random())  # type: ignore[attr-defined]
    again = dict(zip((one.remote_id for one in shuffled), new_names(shuffled, {}), strict=True))
    assert again == given_names


def test_objects_that_are_called_alike_are_told_apart_by_their_ids() -> None:
    """Each of them, so that it does not matter which came first; digits depend on nothing but the id."""
    first, second = new_names([found("Mail", "1"), found("mail", "2")], {})
    assert (first, second) == ("mail-6b86b273", "mail-d4735e3a")
    assert new_names([found("MAIL", "2")], {"app": {"mail"}}) == ("mail-d4735e3a",)
    assert new_names([found("Mail", "2")], {"script": {"mail"}}) == ("mail",)


def test_what_has_no_letters_is_named_by_its_type_and_devices_of_windows_are_no_names() -> None:
    """Never empty, and never a file that a system cannot have."""
    assert new_names([found("日本", "1"), found("NUL", "2")], {}) == ("app-6b86b273", "nul-d4735e3a")


# --- which is which --------------------------------------------------------------------------------------------------


def test_a_resource_that_adopts_an_object_stays_it_whatever_it_is_called() -> None:
    """A renamed resource stays renamed; of another target the id tells nothing."""
    assert names(matched([found("Mail", "1")], [known("letters", "Letters", intune="1")])) == {"1": "app/letters"}
    assert names(matched([found("Mail", "1")], [known("letters", "Letters", other="1")])) == {"1": "+app/mail"}


def test_a_mark_of_this_tenant_and_the_object_map_tell_which_resource_it_is() -> None:
    """Also where the resource is not there any more, or not here yet."""
    marked, mapped = found("Mail", "1", mark="maa:contoso:app/a/b"), found("Post", "2", name="app/post-office")
    assert names(matched([marked, mapped], [known("post-office")])) == {"1": "+app/a/b", "2": "app/post-office"}


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        ("maa:fabrikam:app/mail", "another repository keeps it"),
        ("maa:contoso:app/../../x", "is of no resource that it could be"),
        ("maa:contoso:script/mail", "is of no resource that it could be"),
    ],
)
def test_an_object_with_a_mark_that_cannot_be_ours_stays_out(mark: str, why: str) -> None:
    """Anybody can write a mark; what another repository keeps is not taken from it."""
    (one,) = matched([found("Mail", "1", mark=mark)], []).left_out
    assert (one.name, why in one.why) == ("Mail", True)


def test_two_objects_that_are_one_resource_stay_out_both() -> None:
    """A copy made in the portal bears the mark too; a person has to say which is the wrong one."""
    copies = [found("Mail", remote_id, mark="maa:contoso:app/mail") for remote_id in ("1", "2")]
    result = matched(copies, [known("mail", "Mail")])
    assert (result.there, result.new) == ((), ())
    assert {one.why for one in result.left_out} == {"several objects are app/mail: 1, 2; delete the wrong ones"}


def test_an_object_that_two_resources_adopt_stays_out() -> None:
    """It can be applied from one of them only."""
    (one,) = matched([found("Mail", "1")], [known("a", intune="1"), known("b", intune="1")]).left_out
    assert one.why == "several resources adopt it: app/a, app/b"


def test_a_resource_that_could_be_the_object_is_not_doubled() -> None:
    """With the same name and kind but no word of which object it is, a person has to say so."""
    (one,) = matched([found("Mail", "1")], [known("post", "Mail")]).left_out
    assert (
        one.why == "app/post is called the same and adopts nothing; if it is this object, add to it: adopt: {intune: 1}"
    )
    assert names(matched([found("Mail", "1")], [known("post", "Mail", kind="winGetApp")])) == {"1": "+app/mail"}
    assert names(matched([found("Mail", "1")], [known("mail", "Mail", intune="9")])) == {"1": "+app/mail-6b86b273"}


def test_without_ids_what_is_called_the_same_is_the_same() -> None:
    """One object and one resource of a name and kind; where there are several, nobody guesses."""
    one = replace(found("Mail"), remote_id=None)
    (pair,) = matched([one], [known("post", "Mail")], None).there
    assert str(pair[1]) == "app/post"
    several = matched([one, one], [known("post", "Mail")], None)
    assert (several.there, several.new, len(several.left_out)) == ((), (), 2)
    assert len(matched([one, one], [], None).left_out) == 2
    assert len(matched([one], [known("a", "Mail"), known("b", "Mail")], None).left_out) == 1


def test_objects_of_one_name_are_found_again_by_their_digits_where_nothing_can_be_adopted() -> None:
    """Ids tell them apart at the second import too, though no resource says them."""
    ones = [found("Mail", "1"), found("Mail", "2")]
    first = names(matched(ones, [], None))
    assert first == {"1": "+app/mail-6b86b273", "2": "+app/mail-d4735e3a"}
    resources = [known(name.removeprefix("+app/"), "Mail") for name in first.values()]
    assert names(matched(ones, resources, None)) == {"1": "app/mail-6b86b273", "2": "app/mail-d4735e3a"}


@given(OBJECTS, st.randoms(use_true_random=False))
def test_a_second_import_knows_everything_again(objects: list[tuple[str, str]], random: object) -> None:
    """What the first import names and adopts is there at the second, whatever the order."""
    ones = [
        Found(DesiredObject(profile_type, {"type": "x"}), "", called, str(index))
        for index, (profile_type, called) in enumerate(objects)
    ]
    first = matched(ones, [])
    assert (first.there, first.left_out) == ((), ())
    resources = [Known(governed, "x", one.display_name, {"intune": one.remote_id or ""}) for one, governed in first.new]
    shuffled = sorted(ones, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert matched(shuffled, resources) == Matched(first.new, (), ())
