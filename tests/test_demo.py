"""The stories of ``maa demo``: played once for real, and against programs that lie."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from maa_gitops import demo
from maa_gitops.cli import main
from maa_gitops.demo import intune
from maa_gitops.errors import RemoteError, RepositoryError
from maa_gitops.http import Connection

MAA = (sys.executable, "-m", "maa_gitops")
TITLES = (
    "1. A tenant repository, three people, three keys",
    "2. A self-approval is refused; an approval is merged and applied",
    "3. A second request on the same object is refused",
    "4. A later edit voids an approval",
    "5. A rejection with notes",
    "6. The audit log",
    "7. First forgery: a change is pushed past the approvers",
    "8. Second forgery: an approval is signed with the wrong key",
)


@dataclass(frozen=True)
class Played:
    """A run of the command: its exit code, its lines, the folder that it kept, and the surroundings it ran in."""

    code: object
    lines: list[str]
    folder: Path
    surroundings: Path
    before: dict[str, bytes]

    def follows(self, *wanted: str) -> bool:
        """Whether lines that hold each of the texts come in this order."""
        rest = iter(self.lines)
        return all(any(text in line for line in rest) for text in wanted)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_command(patch: pytest.MonkeyPatch, temporary: Path, *arguments: str) -> tuple[object, list[str]]:
    """Run the command line in this process; its exit code and all that it prints."""
    temporary.mkdir(exist_ok=True)
    patch.setattr(tempfile, "tempdir", str(temporary))
    printed, handler = StringIO(), signal.getsignal(signal.SIGTERM)
    try:
        with redirect_stdout(printed), redirect_stderr(printed), pytest.raises(SystemExit) as left:
            main(arguments)
    finally:
        signal.signal(signal.SIGTERM, handler)
    return left.value.code, printed.getvalue().splitlines()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The whole story, told by the command to somebody whose own set-up would break or betray it if it were used."""
    root = tmp_path_factory.mktemp("story")
    surroundings = root / "surroundings"
    (surroundings / ".ssh").mkdir(parents=True)
    (surroundings / ".ssh" / "id_ed25519").write_text("no key", encoding="utf-8")
    settings = "[user]\n\tname = Mallory\n\temail = mallory@example.com\n[commit]\n\tgpgsign = true\n"
    (surroundings / ".gitconfig").write_text(settings, encoding="utf-8")
    before = contents(surroundings)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(surroundings)
        for name, value in {
            "HOME": str(surroundings),
            "GIT_DIR": str(surroundings / "elsewhere.git"),
            "GIT_AUTHOR_NAME": "Mallory",
            "GIT_CONFIG_GLOBAL": str(surroundings / ".gitconfig"),
            "XDG_CONFIG_HOME": str(surroundings),
            "SSH_AUTH_SOCK": str(surroundings / "agent"),
            "MAA_SIGNING_KEY": "no key either",
            "EMAIL": "mallory@example.com",
        }.items():
            patch.setenv(name, value)
        code, lines = run_command(patch, root / "tmp", "demo", "--keep")
    (folder,) = (root / "tmp").iterdir()
    return Played(code, lines, folder, surroundings, before)


def maa(played: Played, person: str, *arguments: str) -> dict[str, object]:
    """What maa answers to a person in the folder that was kept, as data."""
    home = played.folder / person
    own = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        [*MAA, *arguments, "--format", "json"],
        cwd=home / "contoso",
        env={"PATH": os.environ["PATH"], **own},
        capture_output=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


# --- as it should be -------------------------------------------------------------------------------------------------


def test_the_story_ends_well(played: Played) -> None:
    """A story that happened as told is exit code 0."""
    assert (played.code, played.lines[-1] != "") == (0, True), "\n".join(played.lines)


def test_every_scene_is_told_and_summed_up(played: Played) -> None:
    """Each scene has its title, in order, and the end names them all again."""
    summary = [f"  - {title.partition(' ')[2]}" for title in TITLES]
    assert played.follows(*TITLES, "It all happened as told:", *summary)


def test_the_folder_is_named_first_and_last(played: Played) -> None:
    """Where it happens is said at the beginning, and at the end together with how to keep it."""
    text = " ".join(played.lines)
    assert played.follows(f"Everything happens in {played.folder}")
    assert f"The folder is {played.folder}" in text
    assert "maa demo --keep" in text


@pytest.mark.parametrize(
    "wanted",
    [
        ("alice$ maa init --tenant contoso", "wrote policies/apps.yaml"),
        ("alice$ maa submit -a -m", "Request company-portal: Needs approval", "create app/company-portal"),
        ("alice$ maa approve company-portal", "error: alice submitted this request"),
        ("bob$ maa approve company-portal", "Request company-portal: Approved", "approve by Bob"),
        ("alice$ maa complete company-portal", "Request company-portal: Completed", "local: applied"),
        ("alice$ maa tenant", "Company Portal"),
        ("assign app/company-portal", "bob$ maa submit -a", "error: request 'offer-portal' of alice"),
        ("alice$ git commit", "alice$ maa complete offer-portal", "error: 'offer-portal' is not approved"),
        ("bob$ maa reject set-time-zone", "Rejected", "London is in All Staff, too.", "alice$ maa show"),
        ("carol$ maa audit", "  bob  reject  set-time-zone"),
        ("alice$ git commit-tree", "carol$ maa verify", "unapprovedChange", "NOT GOOD", "alice$ maa apply", "error:"),
        ("alice$ ssh-keygen -Y sign", "carol$ maa check set-time-zone", "unknownSigner: the approval of somebody"),
        ("alice$ maa complete set-time-zone",),
    ],
    ids=lambda wanted: wanted[0],
)
def test_what_happens_is_shown_as_typed(played: Played, wanted: Sequence[str]) -> None:
    """Commands stand as they are typed, with the lines that matter of what they print. Nobody completes a forgery."""
    is_told = wanted != ("alice$ maa complete set-time-zone",)
    assert played.follows(*wanted) == is_told


def test_the_kept_folder_is_a_real_tenant(played: Played) -> None:
    """A server, three clones and what was decided are left to look at."""
    assert {path.name for path in played.folder.iterdir()} == {"server.git", "alice", "bob", "carol", "tmp"}
    state = maa(played, "bob", "show", "offer-portal")
    assert (state["status"], state["requestor"], state["approver"]) == ("completed", "alice", "carol")


def test_b_both_forgeries_are_found_again(played: Played) -> None:
    """An auditor with a clone finds the two forgeries later, both healed."""
    history = maa(played, "bob", "verify")
    violations = history["violations"]
    assert isinstance(violations, list)
    assert [violation["paths"] for violation in violations if violation["healedBy"]] == [
        ["resources/apps/company-portal.yaml"],
        ["resources/scripts/set-time-zone.ps1", "resources/scripts/set-time-zone.yaml"],
    ]
    assert history["good"] is True


def test_nothing_of_the_callers_is_used_or_changed(played: Played) -> None:
    """Home, current folder and temporary folder are as before but for the story; no commit bears the caller's name."""
    command = ["git", "-C", str(played.folder / "server.git"), "log", "--all", "--format=%an %ae %cn %ce"]
    named = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert contents(played.surroundings) == played.before
    assert list(played.folder.parent.iterdir()) == [played.folder]
    assert "mallory" not in named.lower()
    assert "bob@contoso.com" in named


# --- as it should not be ---------------------------------------------------------------------------------------------


def liar(folder: Path, command: str, answer: str) -> tuple[str, ...]:
    """A program that is maa but for one command, at which it says ``answer`` and leaves with 0. No command: always."""
    folder.mkdir()
    script = folder / "liar.py"
    script.write_text(
        "import runpy, sys\n"
        f"if {command!r} in ('', sys.argv[1]):\n"
        f"    print({answer!r})\n"
        "else:\n"
        "    sys.argv[0] = 'maa'\n"
        "    runpy.run_module('maa_gitops', run_name='__main__')\n",
        encoding="utf-8",
    )
    return (sys.executable, str(script))


def fail(folder: Path, program: Sequence[str], target: str = "local") -> tuple[RepositoryError, list[str]]:
    """Tell a story with a program that spoils it; the error and the lines up to it."""
    lines: list[str] = []
    with pytest.raises(RepositoryError) as caught:
        demo.tell(folder / "story", os.environ, lines.append, program, target)
    assert (caught.value.code, caught.value.exit_code) == ("demoFailed", 4)
    return caught.value, lines


@pytest.mark.parametrize(
    ("command", "answer", "step"),
    [
        ("", "", "maa init"),
        ("submit", "Request company-portal: Needs approval, can approve: bob", "maa submit"),
        ("approve", "alice submitted this request; hint:", "maa approve company-portal"),
        ("show", "[]", "maa show company-portal --format json"),
        ("show", "Completed", "maa show company-portal --format json"),
        ("show", '{"status": "approved", "requestor": "alice", "approver": "bob"}', "maa show company-portal"),
    ],
)
def test_an_outcome_that_is_not_as_told_fails_loudly(tmp_path: Path, command: str, answer: str, step: str) -> None:
    """A program that says yes to everything, or answers wrongly, does not get through: the error names the step."""
    error, lines = fail(tmp_path, liar(tmp_path / "liar", command, answer))
    assert f"at '{step}'" in error.message
    assert "It all happened as told:" not in lines


@pytest.mark.parametrize("code", [0, 7])
def test_what_a_failed_step_printed_is_told(tmp_path: Path, code: int) -> None:
    """All that the failing command said stands before the error, not only the lines that matter."""
    _, lines = fail(tmp_path, (sys.executable, "-c", f"print('one'); print('two'); raise SystemExit({code})"))
    assert [line.strip() for line in lines[-2:]] == ["one", "two"]


def test_a_program_that_cannot_be_started_fails(tmp_path: Path) -> None:
    """No such file is a failed story, not a crash."""
    error, _ = fail(tmp_path, (str(tmp_path / "nothing"),))
    assert "at 'maa': it cannot be started" in error.message


def test_a_missing_program_fails_at_once(tmp_path: Path) -> None:
    """Without git or ssh-keygen nothing is begun."""
    with pytest.raises(RepositoryError, match="'git': it was not found on PATH") as caught:
        demo.tell(tmp_path / "story", {"PATH": str(tmp_path)}, lambda _line: None, MAA)
    assert caught.value.code == "demoFailed"
    assert list((tmp_path / "story").iterdir()) == []


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    """The story never mixes with what somebody has already."""
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(RepositoryError) as caught:
        demo.tell(tmp_path, os.environ, lambda _line: None, MAA)
    assert caught.value.code == "folderNotEmpty"
    assert contents(tmp_path) == {"mine": b"mine"}


def test_the_command_fails_loudly_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed story is exit code 4 with an error and a hint; without --keep the folder is gone."""
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    code, lines = run_command(monkeypatch, tmp_path / "tmp", "demo")
    assert code == 4
    assert lines[-2].startswith("error: the story did not happen as told, at 'maa init'")
    assert lines[-1].startswith("hint: maa demo --keep")
    assert list((tmp_path / "tmp").iterdir()) == []


# --- on Graph --------------------------------------------------------------------------------------------------------

GRAPH_TITLES = (
    "1. A tenant repository for an Intune that exists",
    "2. What Intune holds becomes code, and is adopted as it is",
    "3. A change shows whom it reaches; a self-approval is refused",
    "4. A change around the gate is found, and put back",
    "5. An object of the same name is not taken over unasked",
    "6. Intune's own approval as well",
    "7. The audit log",
)
ON_GRAPH = (
    ("intune$ maa tenant serve", "serving http://127.0.0.1:", "edit accessPolicy/maa.yaml", "bob$ maa approve connect"),
    ("alice$ maa import", "VPN client", "adopt app/company-portal", "app/company-portal (import-intune): applied"),
    (
        "alice$ maa approve holidays",
        "error:",
        "reaches All Staff: 12 people",
        '+    group: "All Staff"',
        "bob$ maa appr",
    ),
    ("carol, in Intune: PATCH", '+description: "Ask Carol."', "alice$ maa apply", "bob$ maa drift", "no drift"),
    ("carol, in Intune: POST", "'Timesheets' is there already", "adopt app/timesheets (timesheets): applied"),
    (
        "awaitingNativeApproval",
        "request words by alice, approved by bob; commit",
        "carol, in Intune",
        "edit app/company",
    ),
    ("carol$ maa audit", "  carol  approve  timesheets", "carol$ maa verify", "good:"),
)
"""What the story on Graph shows in this order, scene by scene."""


def served(line: str) -> str:
    """The address in a line that says where something is served."""
    return line.partition("serving ")[2].partition(" ")[0]


def test_the_story_on_graph_is_told_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scene happens as told, with a clone that can be audited; nothing is served any more when it has ended."""
    code, lines = run_command(monkeypatch, tmp_path / "tmp", "demo", "--target", "graph", "--keep")
    assert code == 0, "\n".join(lines)
    (folder,) = (tmp_path / "tmp").iterdir()
    played = Played(code, lines, folder, tmp_path, {})
    titles = [title.partition(" ")[2] for title in GRAPH_TITLES]
    assert played.follows(*GRAPH_TITLES, "It all happened as told:", *(f"  - {title}" for title in titles))
    assert [wanted for wanted in ON_GRAPH if not played.follows(*wanted)] == []
    assert {path.name for path in folder.iterdir()} == {"server.git", "alice", "bob", "carol", "intune", "tmp"}
    assert maa(played, "carol", "verify")["good"] is True
    (url,) = {served(line) for line in lines if "serving http" in line}
    with pytest.raises(RemoteError, match="does not answer"):
        Connection().exchange("GET", f"{url}/organization", headers={})


@pytest.mark.parametrize(
    ("command", "answer", "step"),
    [
        ("tenant", "", "maa tenant serve"),
        ("tenant", "error: something else", "maa tenant serve': something else"),
        ("tenant", "serving http://127.0.0.1:9/beta (nothing); stop with Ctrl-C", "GET organization"),
        ("import", "on change/import-intune: written, left out, VPN client", "maa submit"),
    ],
)
def test_an_outcome_on_graph_that_is_not_as_told_fails(tmp_path: Path, command: str, answer: str, step: str) -> None:
    """Neither a server that serves nothing nor a command that does nothing gets through."""
    error, lines = fail(tmp_path, liar(tmp_path / "liar", command, answer), "graph")
    assert step in error.message
    assert "It all happened as told:" not in lines


def test_the_graph_that_needs_what_is_not_installed_says_what(tmp_path: Path) -> None:
    """Without the extra for serving the error names the package, and the hint how to install it."""
    lacking = "import runpy, sys\nsys.modules['uvicorn'] = None\nrunpy.run_module('maa_gitops', run_name='__main__')\n"
    (tmp_path / "lacking.py").write_text(lacking, encoding="utf-8")
    error, _ = fail(tmp_path, (sys.executable, str(tmp_path / "lacking.py")), "graph")
    assert "serving needs uvicorn, which is not installed" in error.message
    assert error.hint == "pip install 'maa-gitops[web]'"


def test_a_graph_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is ended after a while."""
    monkeypatch.setattr(intune, "_PATIENCE", 0.5)
    error, _ = fail(tmp_path, (sys.executable, "-c", "import signal; signal.pause()"), "graph")
    assert "it does not say where it serves" in error.message


def test_a_graph_that_cannot_be_started_fails(tmp_path: Path) -> None:
    """No such file is a failed story, not a crash."""
    error, _ = fail(tmp_path, (str(tmp_path / "nothing"),), "graph")
    assert "at 'maa': it cannot be started" in error.message


def test_whoever_interrupts_leaves_nothing_that_serves(tmp_path: Path) -> None:
    """However the story ends, the server ends with it."""
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if line == GRAPH_TITLES[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.tell(tmp_path / "story", os.environ, say, MAA, "graph")
    (url,) = {served(line) for line in lines if "serving http" in line}
    with pytest.raises(RemoteError, match="does not answer"):
        Connection().exchange("GET", f"{url}/organization", headers={})
