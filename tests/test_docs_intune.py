"""docs/intune.md is followed to the letter: its commands are run, in order, and print what the page shows."""

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from maa_gitops.cli import main
from maa_gitops.documents import check_schema, read_yaml, shipped_schema
from maa_gitops.providers.graph.credentials import choosing
from maa_gitops.providers.graph.credentials.entra import GRAPH, cloud_of
from maa_gitops.providers.graph.kinds import APPS
from tests.support import World
from tests.support.process import COMMAND, variables

SOURCE = Path(__file__).parent.parent / "maa_gitops"
PAGE = SOURCE.parent / "docs" / "intune.md"
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
PORT = "8765"
"""The port on the page; another one is taken when it is followed."""

GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
CHANGING = {
    GUID: GUID,
    r"sha256:[0-9a-f]+…": r"sha256:[0-9a-f]{64}",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC",
    r"\b[0-9a-f]{12}(?![0-9a-f])": r"[0-9a-f]{12}",
    "…": ".*",
}
"""What is another thing each time: how the page shows it, and how it may really be."""

_ANY = re.compile("|".join(f"({shown})" for shown in CHANGING))
_PROMPT = re.compile(r" *(\w+)\$ (.*)")
_EXIT = re.compile(r"\(exit code (\d+)\)")


@dataclass(frozen=True)
class Command:
    """A command of the page: who types it, what it prints, how it ends."""

    person: str
    text: str
    shown: tuple[str, ...]
    code: int


def commands_of(block: str) -> Iterator[Command]:
    """The commands of a console block; a line that ends in a backslash goes on."""
    texts = block.replace("\\\n", " ").splitlines()
    starts = [number for number, line in enumerate(texts) if _PROMPT.fullmatch(line)]
    for start, end in zip(starts, [*starts[1:], len(texts)], strict=True):
        found = _PROMPT.fullmatch(texts[start])
        assert found is not None
        codes = [int(code[1]) for line in texts[start + 1 : end] if (code := _EXIT.fullmatch(line))]
        shown = tuple(line for line in texts[start + 1 : end] if not _EXIT.fullmatch(line))
        yield Command(found[1], found[2], shown, codes[0] if codes else 0)


@dataclass
class Reader:
    """Somebody who follows the page in the place of three people. ``learned`` is what the page's ids really are."""

    world: World
    port: str
    learned: dict[str, str] = field(default_factory=dict)
    server: "subprocess.Popen[str] | None" = None

    def really(self, text: str) -> str:
        """A text of the page with what is known to be different here."""
        for shown, real in self.learned.items():
            text = text.replace(shown, real)
        return text.replace(PORT, self.port)

    def write(self, name: str, text: str) -> None:
        """Write a file as Alice."""
        self.world.alice.write(name, self.really(text))

    def type(self, command: Command) -> None:
        """Run a command; it must end and print as the page shows."""
        text = self.really(command.text)
        if " serve " in text:
            self._serve(command, text)
            return
        code, printed = (
            self._maa(command.person, text) if text.startswith("maa ") else self._shell(command.person, text)
        )
        assert code == command.code, f"{command.text}: {code}\n{printed}"
        self._compare(command, printed)

    def _maa(self, name: str, text: str) -> tuple[object, str]:
        """Run our own command in this process, which is faster; what it prints is in the order of a terminal."""
        person, printed = self.world.people[name], StringIO()
        words = ("-C", str(person.clone), "--key", str(person.key), *shlex.split(text)[1:])
        streams = (redirect_stdout(printed), redirect_stderr(printed))
        with self.world.environment(name), streams[0], streams[1], pytest.raises(SystemExit) as left:
            main(words)
        return left.value.code, printed.getvalue()

    def _shell(self, name: str, text: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.world.people[name].clone,
            env=self.world.variables(name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    def _compare(self, command: Command, printed: str) -> None:
        """Hold what was printed to what is shown, and learn the ids. Where nothing is shown it may say anything."""
        if not command.shown:
            return
        lines = [self.really(line) for line in command.shown]
        pattern = "".join("(?:.*\n)*?" if line == "…" else f"{self._pattern(line)}\n" for line in lines)
        found = re.fullmatch(pattern, printed if printed.endswith("\n") else f"{printed}\n")
        assert found is not None, f"{command.text}\nprints:\n{printed}\nnot:\n" + "\n".join(lines)
        ids = [one for line in lines if line != "…" for one in re.findall(GUID, line)]
        self.learned |= {shown: real for shown, real in zip(ids, found.groups(), strict=True) if shown != real}

    def _pattern(self, line: str) -> str:
        """A line of the page as a pattern; ids are its groups."""
        parts, at = [], 0
        for found in _ANY.finditer(line):
            parts.append(re.escape(line[at : found.start()]))
            real = list(CHANGING.values())[(found.lastindex or 1) - 1]
            parts.append(f"({real})" if real == GUID else real)
            at = found.end()
        return "".join(parts) + re.escape(line[at:])

    def _serve(self, command: Command, text: str) -> None:
        """Start the server, which goes on while the rest is followed."""
        person = self.world.people[command.person]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.server = subprocess.Popen(
            [*COMMAND, *shlex.split(text)[1:]], cwd=person.clone, env=variables(person), text=True, **pipes
        )
        assert self.server.stdout is not None
        self._compare(command, self.server.stdout.readline())


@contextmanager
def following(folder: Path) -> Iterator[Reader]:
    """Begin where the page does: a tenant repository of three people, each with a clone; end the server at the end."""
    world = World(folder)
    keys = []
    for name in ("alice", "bob", "carol"):
        public = folder / f"{name}.pub"
        public.write_text(f"{world.person(name).public_key} {name}@contoso.com\n", encoding="utf-8")
        keys += ["--account", f"{name}={public}"]
    alice = world.alice
    alice.git("switch", "-q", "--orphan", "main")
    alice.maa("init", "--tenant", "contoso", *keys)
    alice.git("push", "-q", "-u", "origin", "main")
    for other in (world.bob, world.carol):
        other.git("pull", "-q", "origin", "main")
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    reader = Reader(world, port)
    try:
        yield reader
    finally:
        if reader.server is not None:
            reader.server.terminate()
            reader.server.communicate()


def test_every_command_of_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    """From an Intune that exists to changes that two people have signed, drift and Intune's own approval included."""
    with following(tmp_path) as reader:
        for kind, block in BLOCKS:
            if kind == "yaml" and (found := re.match(r"# ([\w./-]+)\n", block)):
                reader.write(found[1], block.removeprefix(found[0]))
            elif kind == "console":
                for command in commands_of(block):
                    reader.type(command)
    assert reader.server is not None
    assert reader.server.returncode == 0


# --- what the page says beside ---------------------------------------------------------------------------------------


def test_every_setting_of_the_page_is_one() -> None:
    """Each part of ``maa.yaml`` that is shown is accepted by its schema."""
    blocks = [block for kind, block in BLOCKS if kind == "yaml" and not block.startswith("# policies/")]
    assert len(blocks) == 4
    for block in blocks:
        head = "" if "version: 1" in block else "version: 1\ntenant: contoso\nprotectedBranch: main\n"
        document, problems = read_yaml((head + block).encode(), "maa.yaml")
        assert document is not None, problems
        assert check_schema(document, shipped_schema("settings")) == ()


def test_the_federated_credential_is_for_the_environment_of_the_workflow() -> None:
    """Its subject names the environment in which the shipped workflow runs, its audience what is asked for."""
    credential = json.loads(next(block for kind, block in BLOCKS if kind == "json"))
    workflow = (SOURCE / "starter" / "templates" / "maa-complete.yml").read_text(encoding="utf-8")
    environment = re.search(r"^ +environment: (\S+)$", workflow, re.MULTILINE)
    assert environment is not None
    assert credential["subject"].split(":")[2:] == ["environment", environment[1]]
    assert credential["audiences"] == [cloud_of(GRAPH, {}).audience]
    assert "id-token: write" in workflow


def test_the_page_names_every_credential_key_and_kind() -> None:
    """Credentials with their variables, the keys of ``graph``, kinds of app, and profile types are all there."""
    text = PAGE.read_text(encoding="utf-8")
    variables = set(
        re.findall(r'"((?:MAA_GRAPH_CLIENT|AZURE)_\w+)"', Path(choosing.__file__).read_text(encoding="utf-8"))
    )
    definitions: Any = shipped_schema("settings")["$defs"]
    wanted = {*choosing.KINDS, *variables, *definitions["graphCollection"]["properties"], *APPS}
    wanted |= {"compliancePolicy", "configurationPolicy", "role", "tenantConfiguration"}
    assert sorted(name for name in wanted if f"`{name}`" not in text) == []


def test_every_message_of_the_page_can_be_said() -> None:
    """The first column of the last table is what the code says; … stands for what is put in."""
    table = PAGE.read_text(encoding="utf-8").partition("## When something goes wrong")[2]
    told = re.findall(r"^\| `(.+?)`[^|]* \|", table, re.MULTILINE)
    messages = [message for path in SOURCE.rglob("*.py") for message in messages_in(path)]
    assert len(told) > 15
    assert [text for text in told if not any(text in message for message in messages)] == []


def messages_in(path: Path) -> Iterator[str]:
    """The texts of a file, with … for what is put in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
