"""The command line's contract: options, streams, exit codes, help, completion; its JSON is in ``test_cli_json``."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from maa_gitops.cli.main import SECTIONS, cli
from tests.generate_docs import commands_page
from tests.support import APP, Person, World, app
from tests.support.process import COMMAND, run_process, variables
from tests.support.world import run_maa

OTHER = "resources/apps/other.yaml"


def every_command() -> Iterator[str]:
    """Every command by its words; the commands of a group by two, and the group by one if it does something itself."""
    for name in [name for names in SECTIONS.values() for name in names]:
        command = cli.get_command(click.Context(cli), name)
        below = command.commands if isinstance(command, click.Group) else {}
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name
        yield from (f"{name} {inner}" for inner in below)


EVERY_COMMAND = list(every_command())
DOCUMENTED = {
    "init", "demo", "validate", "import", "explain", "submit", "requests", "show", "diff", "approve", "reject",
    "withdraw", "cancel", "check", "merge", "complete", "archive", "revert", "plan", "apply", "drift", "tenant",
    "tenant serve", "verify", "audit", "schema", "doctor", "lint", "github gate", "github record", "github complete",
    "github ruleset",
}  # fmt: skip


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A completed, a rejected, an approved and a waiting request; for tests that only read."""
    world = World.with_tenant(tmp_path_factory.mktemp("story") / "world")
    done = world.alice.submitted("done", {APP: app(description="New.")})
    world.bob.maa("approve", done)
    world.bob.maa("complete", done)
    refused = world.bob.submitted("refused", {OTHER: app("Other")})
    world.carol.maa("reject", refused, "-m", "Not now.")
    approved = world.bob.submitted("approved", {OTHER: app("Other")})
    world.carol.maa("approve", approved)
    world.alice.submitted("waiting", {APP: app(description="Newer.")})
    for person in world.people.values():
        person.git("config", "gpg.format", "ssh")
        person.git("config", "user.signingkey", str(person.key))
        person.git("fetch", "-q", "origin")
    return world


# --- options ---------------------------------------------------------------------------------------------------------


def test_format_and_key_go_before_or_after_the_command(story: World) -> None:
    """``--format`` and ``--key`` mean the same in both places; after the command wins."""
    carol = str(story.carol.key)

    def may_decide(*arguments: str) -> bool:
        return bool(story.dave.maa(*arguments).json["canDecide"])

    assert may_decide("--format", "json", "show", "waiting") is False
    assert may_decide("--key", carol, "--format", "json", "show", "waiting") is True
    assert may_decide("show", "--key", carol, "waiting", "--format=json") is True
    assert may_decide("--key", carol, "show", "waiting", "--key", str(story.dave.key), "--format", "json") is False


@pytest.mark.parametrize("arguments", [("--no-fetch", "requests"), ("requests", "--no-fetch")])
def test_no_fetch_leaves_the_remote_alone(world: World, arguments: tuple[str, ...]) -> None:
    """With ``--no-fetch`` the command knows what the clone knew."""
    world.alice.submitted("update", {APP: app(description="New.")})
    assert world.bob.maa(*arguments).out == ""
    assert world.bob.maa("requests").out.startswith("update\t")


def test_commands_fetch_first(world: World) -> None:
    """Without the remote a command that fetches cannot tell; with ``--no-fetch`` it can."""
    world.bob.git("remote", "set-url", "origin", str(world.folder / "gone.git"))
    refused = world.bob.maa("requests", "--format", "json", code=4).error
    assert (refused["kind"], refused["code"], refused["retry"]) == ("remote", "fetchFailed", True)
    world.bob.maa("requests", "--no-fetch")


def test_c_runs_as_if_started_there(story: World) -> None:
    """``-C`` takes any folder of the work tree, seen from where the caller is."""
    done = subprocess.run(
        [*COMMAND, "-C", "bob/resources/apps", "requests", "--status", "approved"],
        cwd=story.folder,
        env=variables(story.bob),
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"approved\t")


def test_without_c_it_runs_where_it_is_started(story: World) -> None:
    """The current folder is the default, and git's ``user.signingkey`` the key."""
    assert run_process(story.bob, "show", "waiting", "--format", "json").json["canDecide"] is True


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "begins"),
    [
        ((), 0, "Tenant contoso, as Alice\n"),
        (("requests", "--status", "approved"), 0, "approved\tApproved\tbob\t"),
        (("show", "waiting"), 0, "Request waiting: Needs approval\n"),
        (("diff", "waiting"), 0, "# edit app/company-portal\n--- a/resources/apps/company-portal.yaml\n"),
        (("check", "waiting"), 3, "Request waiting: Needs approval\n"),
        (("check", "approved"), 0, "Request approved: Approved\n"),
        (("explain", APP), 0, "app/company-portal is protected\n"),
        (("verify", "--from", "origin/main~1"), 0, "good: "),
        (("plan", "waiting"), 0, "local at "),
        (("schema", "app"), 0, "{\n"),
        (("audit",), 0, "20"),
    ],
)
def test_results_go_to_standard_output_alone(story: World, arguments: tuple[str, ...], code: int, begins: str) -> None:
    """An answer, yes or no, is on standard output, and nothing is on standard error."""
    answer = story.alice.maa(*arguments, code=code)
    assert answer.out.startswith(begins)
    assert answer.err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("requests", "--status", "expired"), 0, "no requests\n"),
        (("validate",), 0, "no problems\n"),
        (("show", "nothing"), 3, "error: there is no request 'nothing'\nhint: maa requests --all\n"),
        (("revert", "waiting"), 3, "error: 'waiting' is not merged, so there is nothing to put back\nhint: maa show"),
        (("verify", "nothing"), 4, "error: there is no commit nothing\nhint: "),
        (("schema", "nothing"), 2, "Usage: maa schema "),
    ],
)
def test_everything_else_goes_to_standard_error(story: World, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Messages and errors, with a hint of what to run next, are beside the results."""
    answer = story.alice.maa(*arguments, code=code)
    assert answer.out == ""
    assert answer.err.startswith(said)


def test_what_an_act_notes_is_beside_its_result(story: World, world: World) -> None:
    """A note about uncommitted files goes to standard error, the request to standard output."""
    world.alice.change("update", {APP: app(description="New.")})
    world.alice.write(OTHER, app("Other"))
    answer = world.alice.maa("submit", "-m", "Wanted.")
    assert answer.out.startswith("Request update: Needs approval\n")
    assert answer.err == f"not sent, because not committed: {OTHER} (maa submit -a takes them in)\n"


def test_lists_in_a_pipe_are_lines_of_tab_separated_fields(story: World) -> None:
    """No heads, no colours, no frames: a line a request."""
    rows = [line.split("\t") for line in run_process(story.alice, "requests", "--all").out.splitlines()]
    assert sorted((row[0], row[1], row[2], row[4]) for row in rows) == [
        ("approved", "Approved", "bob", "create app/other"),
        ("done", "Completed (mine)", "alice", "edit app/company-portal"),
        ("refused", "Rejected", "bob", "create app/other"),
        ("waiting", "Needs approval (mine)", "alice", "edit app/company-portal"),
    ]


@pytest.mark.parametrize("command", [("show", "waiting"), ("diff", "waiting"), (), ("verify",)])
def test_there_are_no_colours_in_a_pipe(story: World, command: tuple[str, ...]) -> None:
    """What is read by a program holds no escape sequences."""
    assert "\x1b" not in run_process(story.bob, *command).out


@pytest.mark.parametrize(
    "command", [("schema", "app"), ("show", "nothing", "--format", "json"), ("nonsense", "--format=json")]
)
def test_a_reader_that_leaves_early_is_no_crash(story: World, command: tuple[str, ...]) -> None:
    """With the pipe's other end closed nothing is said, and the exit code is not that of a crash."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *command],
        cwd=story.bob.clone, env=variables(story.bob), stdout=writing, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_an_output_without_some_letters_is_no_crash(world: World, encoding: str) -> None:
    """Letters that the terminal does not have are escaped; JSON reads back whole."""
    words = "Gr\u00f6\u00dfe \u7533\u8acb \U0001f512"
    request = world.alice.submitted("update", {APP: app(description=words)}, words)
    for command in (("show", request), ("diff", request), ("show", "\u7533"), ("show", request, "--format", "json")):
        done = subprocess.run(
            [*COMMAND, *command],
            cwd=world.bob.clone, env=variables(world.bob, PYTHONIOENCODING=encoding), capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == (3 if command[1] == "\u7533" else 0), done.stderr
    assert json.loads(done.stdout.decode("ascii"))["requestJustification"] == words


# --- exit codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("requests", "--nonsense"),
        ("requests", "--status", "nonsense"),
        ("requests", "too", "many"),
        ("approve",),
        ("reject", "waiting"),
        ("reject", "waiting", "-m", " "),
        ("approve", "waiting", "-m", "\u202e"),
        ("plan", "--target", "nonsense"),
        ("apply", "--target", "nonsense"),
        ("audit", "--since", "yesterday"),
        ("audit", "--format", "xml"),
        ("requests", "--format", "csv"),
        ("schema", "nonsense"),
        ("init", "--account", "nonsense"),
        ("-C", "/nonsense", "requests"),
        ("--key",),
    ],
)
def test_wrong_usage_is_2(story: World, arguments: tuple[str, ...]) -> None:
    """What cannot be a command line, or names what there is not, is wrong usage."""
    answer = story.bob.maa(*arguments, code=2)
    assert answer.out == ""
    assert "Error: " in answer.err


def test_a_misspelt_command_is_answered_with_the_likely_one(story: World) -> None:
    """``maa aprove`` is told of ``approve``."""
    assert "Did you mean 'approve'?" in story.bob.maa("aprove", "waiting", code=2).err


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "waiting"),
        ("merge", "waiting"),
        ("complete", "waiting"),
        ("withdraw", "waiting"),
        ("cancel", "waiting"),
        ("show", "nonsense"),
        ("show", "../nonsense"),
        ("plan", "waiting", "--exit-code"),
        ("explain", "nonsense.txt"),
    ],
)
def test_a_no_is_3(story: World, arguments: tuple[str, ...]) -> None:
    """The answer is no, or the act is not open to this person or in this status."""
    story.carol.maa(*arguments, code=3)


def test_no_repository_is_4(tmp_path: Path) -> None:
    """A folder without a git repository cannot be asked."""
    assert run_maa("-C", str(tmp_path), "requests").code == 4


def test_a_shallow_clone_is_4(world: World) -> None:
    """What is not all here cannot be judged."""
    world.alice.commit({"notes.txt": "x\n"})
    world.alice.git("push", "-q", "origin", "main")
    shallow = Person("bob", world.bob.key, world.bob.public_key, world.folder / "shallow", world)
    world.git(world.folder, "clone", "-q", "--depth", "1", f"file://{world.server}", str(shallow.clone))
    assert "git fetch --unshallow" in shallow.maa("verify", code=4).err
    assert "git fetch --unshallow" in shallow.maa("requests", code=4).err


def test_without_a_key_an_act_is_4_and_reading_goes_on(story: World) -> None:
    """Reading needs no key; signing without one cannot be done."""
    story.dave.git("config", "--unset", "user.signingkey")
    answer = run_process(story.dave, "approve", "waiting", "--format", "json")
    assert (answer.code, answer.error["kind"]) == (4, "repository")
    assert run_process(story.dave, "show", "waiting", "--format", "json").json["status"] == "needsApproval"


def test_a_key_of_nobody_is_3(story: World) -> None:
    """An act with a key that no account holds is refused, naming the key's fingerprint."""
    key, _ = story.key("nobody")
    refused = story.dave.maa("approve", "waiting", "--key", str(key), "--format", "json", code=3).error
    assert (refused["kind"], refused["code"]) == ("notAllowed", "unknownSigner")
    assert "SHA256:" in refused["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_130_and_leaves_nothing_behind(world: World, tmp_path: Path, number: signal.Signals) -> None:
    """In the middle of a push: no traceback, no private key left in a file, nothing done."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    reached, temporary = tmp_path / "reached", tmp_path / "temporary"
    os.mkfifo(reached)
    temporary.mkdir()
    hang = tmp_path / "hang"
    hang.write_text(f"#!/bin/sh\necho reached > {reached}\nexec cat > /dev/null\n")
    hang.chmod(0o700)
    world.bob.git("config", "remote.origin.receivepack", str(hang))
    # Python itself warns of the git that it kills.
    more = {"MAA_SIGNING_KEY": world.bob.key.read_text(), "TMPDIR": str(temporary), "PYTHONWARNINGS": ""}
    process = subprocess.Popen(
        [*COMMAND, "approve", request],
        cwd=world.bob.clone, env=variables(world.bob, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert reached.read_text() == "reached\n"
    assert [path for path in temporary.rglob("*") if path.is_file()] != []
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert err == b"\ninterrupted\n"
    assert list(temporary.iterdir()) == []
    assert world.alice.show(request).json["policies"][0]["approvedBy"] == []


# --- help ------------------------------------------------------------------------------------------------------------


def test_every_documented_command_is_there() -> None:
    """No command of the contract is missing, and none is beside it."""
    assert set(EVERY_COMMAND) == DOCUMENTED
    assert len(EVERY_COMMAND) == len(DOCUMENTED)


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_help_of_a_command_has_an_example_and_the_common_options(name: str) -> None:
    """``maa NAME --help`` says what it does, shows it once, and names the options that every command has."""
    answer = run_maa(*name.split(), "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: maa {name} ")
    assert re.search(rf"Example:  ([A-Z_]+=\S+ )?maa {name}", answer.out)
    for option in ("--format", "--key FILE", "--no-fetch", "-y, --yes"):
        assert option in answer.out


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_option_says_what_it_is_for(name: str) -> None:
    """No option is without help."""
    first, *below = name.split()
    command = cli.get_command(click.Context(cli), first)
    for word in below:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command is not None
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_help_groups_the_commands_by_who_uses_them() -> None:
    """``maa --help`` lists every command once, below the people it is for."""
    out = run_maa("--help").out
    places = [out.index(f"\n{title}:\n") for title in SECTIONS]
    assert places == sorted(places)
    for begin, end, names in zip(places, [*places[1:], len(out)], SECTIONS.values(), strict=True):
        listed = [line.split()[0] for line in out[begin:end].splitlines() if line.startswith("  ") and line[2] != " "]
        assert [word for word in listed if word != "Example:"] == list(names)


def test_every_command_is_in_the_reference() -> None:
    """The generated page has a chapter for each command."""
    page = commands_page()
    assert [name for name in EVERY_COMMAND if f"### maa {name}\n" not in page] == []


def test_version_is_told() -> None:
    """``maa --version`` names the program and a number."""
    answer = run_maa("--version")
    assert (answer.code, answer.out.split()[0]) == (0, "maa,")


# --- completion ------------------------------------------------------------------------------------------------------


def completed(person: Person, *words: str) -> list[str]:
    """What bash would offer for the last word."""
    line = " ".join(["maa", *words])
    asked = {"_MAA_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    answer = run_process(person, **asked)
    assert (answer.code, answer.err) == (0, "")
    return [row.partition(",")[2] for row in answer.out.splitlines() if row]


@pytest.mark.parametrize(
    ("person", "command", "offered"),
    [
        ("bob", "approve", ["waiting"]),
        ("alice", "approve", ["approved"]),
        ("carol", "approve", ["waiting"]),
        ("carol", "reject", ["approved", "waiting"]),
        ("carol", "withdraw", ["approved"]),
        ("bob", "withdraw", []),
        ("dave", "approve", []),
        ("alice", "cancel", ["waiting"]),
        ("bob", "cancel", []),
        ("bob", "merge", ["approved"]),
        ("bob", "complete", ["approved"]),
        ("bob", "revert", ["done"]),
        ("bob", "show", ["approved", "done", "refused", "waiting"]),
        ("bob", "check", ["approved", "done", "refused", "waiting"]),
    ],
)
def test_completion_offers_only_requests_that_one_can_act_on(
    story: World, person: str, command: str, offered: list[str]
) -> None:
    """The ids depend on the command, on who asks, and on the status."""
    assert sorted(completed(story.people[person], command, "")) == offered


def test_completion_goes_by_what_is_typed_already(story: World) -> None:
    """The beginning of the word, and ``--key`` before the command, are heeded."""
    assert completed(story.bob, "show", "wai") == ["waiting"]
    assert completed(story.alice, "--key", str(story.bob.key), "approve", "") == ["waiting"]


def test_completion_is_silent_where_nothing_can_be_told(story: World, tmp_path: Path) -> None:
    """Outside a repository nothing is offered, and nothing is said."""
    outside = Person("bob", story.bob.key, story.bob.public_key, tmp_path, story)
    assert completed(outside, "approve", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_script_for_each_shell(story: World, shell: str) -> None:
    """The variable that the shells' set-up lines use gives a script."""
    answer = run_process(story.bob, _MAA_COMPLETE=f"{shell}_source")
    assert answer.code == 0
    assert "_MAA_COMPLETE" in answer.out
