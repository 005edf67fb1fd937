"""At a terminal: acts ask, with the change shown first; lists are tables; and there are colours."""

import pytest

from tests.support import APP, World, app
from tests.support.process import run_at_terminal

NEW = app(description="New.")


def submitted(world: World) -> str:
    """A request of alice's that waits."""
    return world.alice.submitted("update", {APP: NEW})


def plain(shown: str) -> str:
    """What a terminal showed, without its escape sequences."""
    return "".join(part.partition("m")[2] if index else part for index, part in enumerate(shown.split("\x1b[")))


def actions(world: World, request: str) -> list[str]:
    """What was done, as anybody sees it."""
    return [event["action"] for event in world.dave.show(request).json["events"]]


@pytest.mark.parametrize(
    ("person", "arguments", "question"),
    [
        ("bob", ("approve", "update"), "approve 'update' as bob? [y/N]"),
        ("bob", ("reject", "update", "-m", "No."), "reject 'update' as bob? [y/N]"),
        ("alice", ("cancel", "update"), "cancel 'update' as alice? [y/N]"),
    ],
)
def test_an_act_asks_with_the_change_shown_first(
    world: World, person: str, arguments: tuple[str, ...], question: str
) -> None:
    """The answer no is 3, and nothing is done."""
    request = submitted(world)
    before = world.tip("change/update")
    answer = run_at_terminal(world.people[person], *arguments, typed=["n"])
    shown = plain(answer.err)
    assert answer.code == 3
    assert shown.index("Business justification\n  Wanted.\n") > 0
    assert 0 < shown.index("-description: Apps for work.\n+description: New.\n") < shown.index(question)
    assert shown.endswith("error: nothing was done\n")
    assert (world.tip("change/update"), actions(world, request)) == (before, ["submit"])


def test_a_withdrawal_asks_too(world: World) -> None:
    """Taking an approval back is an act like the others."""
    request = submitted(world)
    world.bob.maa("approve", request)
    assert run_at_terminal(world.bob, "withdraw", request, typed=["n"]).code == 3
    assert run_at_terminal(world.bob, "withdraw", request, typed=["y"]).code == 0
    assert actions(world, request) == ["submit", "approve", "withdraw"]


@pytest.mark.parametrize("typed", ["", "\x04"])
def test_anything_but_yes_is_no(world: World, typed: str) -> None:
    """An empty line declines; the end of the input interrupts."""
    request = submitted(world)
    answer = run_at_terminal(world.bob, "approve", request, typed=[typed])
    assert answer.code == (130 if typed else 3)
    assert "Traceback" not in answer.err
    assert actions(world, request) == ["submit"]


def test_yes_signs(world: World) -> None:
    """And the request is shown as it is then."""
    answer = run_at_terminal(world.bob, "approve", submitted(world), typed=["y"])
    assert answer.code == 0
    assert "Request update: Approved\n" in plain(answer.err)


def test_the_change_is_shown_where_the_question_is(world: World) -> None:
    """With the results going into a file, the person still sees what is asked about."""
    answer = run_at_terminal(world.bob, "approve", submitted(world), typed=["y"], piped=True)
    assert answer.out.startswith("Request update: Approved\n")
    assert "+description: New." not in answer.out
    assert "+description: New." in plain(answer.err)


@pytest.mark.parametrize("arguments", [("-y", "approve", "update"), ("approve", "update", "-y")])
def test_y_asks_nothing(world: World, arguments: tuple[str, ...]) -> None:
    """Before the command or after it."""
    submitted(world)
    answer = run_at_terminal(world.bob, *arguments)
    assert answer.code == 0
    assert "[y/N]" not in answer.err


def test_json_asks_nothing(world: World) -> None:
    """Who wants a document is no person to ask."""
    answer = run_at_terminal(world.bob, "approve", submitted(world), "--format", "json", piped=True)
    assert (answer.code, answer.json["status"], answer.err) == (0, "approved", "")


def test_a_refused_act_asks_nothing(world: World) -> None:
    """What is not open to the person is refused at once."""
    answer = run_at_terminal(world.alice, "approve", submitted(world))
    assert answer.code == 3
    assert "[y/N]" not in answer.err


def test_merging_asks(world: World) -> None:
    """Everybody sees a merge: no is 3, and the branch is still there."""
    request = submitted(world)
    world.bob.maa("approve", request)
    before = world.tip()
    answer = run_at_terminal(world.alice, "complete", request, typed=["n"])
    assert answer.code == 3
    assert "merge 'update' into main? [y/N]" in answer.err
    assert world.tip() == before
    assert run_at_terminal(world.alice, "merge", request, typed=["y"]).code == 0
    assert world.tip() != before


def test_archiving_asks(world: World) -> None:
    """It deletes branches of others."""
    assert run_at_terminal(world.alice, "archive", typed=["n"]).code == 3


def test_lists_are_tables_with_heads(world: World) -> None:
    """Columns stand below their heads."""
    submitted(world)
    answer = run_at_terminal(world.bob, "requests")
    heads, row = plain(answer.err).splitlines()
    assert heads.split() == ["Request", "Status", "Requestor", "Submitted", "Operation"]
    assert row.index("alice") == heads.index("Requestor")
    assert row.index("edit app/company-portal") == heads.index("Operation")


def test_there_are_colours_only_where_they_say_something(world: World) -> None:
    """The status has one; a line of plain text bears no escape sequence at all."""
    answer = run_at_terminal(world.bob, "show", submitted(world))
    first, second = answer.err.splitlines()[:2]
    assert first.startswith("\x1b[33m")
    assert second.startswith("  requested by Alice (alice), ")
    assert "\x1b" not in second.removesuffix("\x1b[0m")
