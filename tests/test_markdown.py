"""Markdown for pull requests: read back with a parser, nothing that people wrote is more than text or code."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from maa_gitops.forges import GitHub, RestClient, User
from maa_gitops.git import Repository
from maa_gitops.model import Action, ObjectId, Operation, Reason, ReasonCode, Tenant
from maa_gitops.render.diff import FileDiff, file_diff
from maa_gitops.render.escape import safe, safe_line
from maa_gitops.render.markdown import LIMIT, MARK, code, comment_markdown, fenced, inline, judged_markdown
from maa_gitops.workflow.clone import open_clone
from maa_gitops.workflow.pull_requests.judging import Judged, Verdict, judge
from maa_gitops.workflow.pull_requests.statements import Statement
from maa_gitops.workflow.pull_requests.weighing import Heard, Outcome
from maa_gitops.workflow.requests import Request
from tests.support import World
from tests.support.github import FakeGitHub
from tests.support.on_github import Hub

PROPERTY = settings(deadline=None, database=None)
TAKEN = 65_536
"""Characters of a comment that GitHub takes."""

APART = "\u200b"
"""The character without width that keeps a sign from what follows."""

EVIL = (
    "@alice @org/team a@b.example #1 a/b#2 **b** _i_ ~~s~~ `c` ``` ~~~ <b>x</b> <!-- x --> &amp; &#64;bob [x](y) "
    "![x](y) https://evil.example www.evil.example <https://evil.example> a | b \\| :tada: \\@carol </details> --- # x"
)
LINES = f"{EVIL}\n```\n@bob\n~~~~\n````\n\n# x\n- x\n| a | b |\n| - | - |\n<details>\n{MARK}\n    x\n>x\n<script>\n"

CHARACTERS = st.characters() | st.sampled_from("\n\r\t `~@#<>|&[]()!*_:;.\\/-=+$0123456789abwx\u200b\u2028\u202e")
TEXT = st.text(CHARACTERS, max_size=40)


# --- reading Markdown ------------------------------------------------------------------------------------------------


def tokens(markdown: str) -> Iterator[Token]:
    """Every token of a text, those within lines in the place of their line."""
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        yield from [token] if token.children is None else token.children


def words(found: Sequence[Token]) -> str:
    """The plain text of a line, with every piece of code as one sign."""
    return "".join("⌗" if token.type == "code_inline" else token.content for token in found)


def finds(shown: str) -> list[str]:
    """What GitHub would find in text that is no code: people, teams, addresses, issues. It reads entities first."""
    return re.findall(r"@[A-Za-z0-9]|#[0-9]", shown)


def links_itself(markdown: str) -> bool:
    """Whether GitHub would make a link of something that is none in Markdown: it looks before it reads entities."""
    return re.search(r"://|www\.|mailto:|xmpp:", markdown, re.IGNORECASE) is not None


# --- within a line ---------------------------------------------------------------------------------------------------


@PROPERTY
@given(TEXT)
def test_a_text_within_a_line_is_text(text: str) -> None:
    """Whatever it holds, a parser reads back the words and nothing else, in a paragraph, a list and a cell."""
    shown = inline(text)
    expected = safe_line(text).replace("@", f"@{APART}").replace("#", f"#{APART}")
    assert not links_itself(shown)
    for before, after in (("x ", " y"), ("- x ", " y"), ("| a | b |\n| - | - |\n| x ", " y | z |")):
        found = list(tokens(f"{before}{shown}{after}"))
        assert {token.type for token in found if token.content} <= {"text"}
        read = "\n".join(token.content for token in found if token.type == "text")
        assert f"x {expected} y" in read.replace("\n", "") if "|" not in before else expected.strip() in read
        assert finds(read.replace("\n", "")) == []


@PROPERTY
@given(TEXT)
def test_a_text_at_the_beginning_of_a_line_is_text(text: str) -> None:
    """No heading, list, quote, table, rule, block of HTML, definition of a link."""
    kinds = {token.type for token in tokens(f"{inline(text)}\n\n[x]")}
    assert kinds <= {"paragraph_open", "text", "paragraph_close", "code_block"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, 100% 申請", "plain words, 100% 申請"),
        ("@alice", "&#64;&#8203;alice"),
        ("#12", "&#35;&#8203;12"),
        ("a|b", "a&#124;b"),
        ("<b>", "&#60;b&#62;"),
        ("&lt;", "&#38;lt;"),
        ("a\nb", "a&#92;nb"),
        ("\u202ea", "&#92;u202ea"),
        ("https://x.y", "https&#58;//x&#46;y"),
        ("::error::", "&#92;x3a&#58;error&#58;&#58;"),
    ],
)
def test_how_a_text_is_escaped(text: str, shown: str) -> None:
    """Signs become entities; a mention or reference is kept apart as well, for GitHub reads entities first."""
    assert inline(text) == shown


def test_everything_at_once_is_text() -> None:
    """The usual tricks, read back."""
    found = list(tokens(f"x {inline(EVIL)} y"))
    assert {token.type for token in found if token.content} == {"text"}
    shown = words(found)
    assert shown == f"x {EVIL.replace('@', '@' + APART).replace('#', '#' + APART)} y"
    assert finds(shown) == []


# --- code ------------------------------------------------------------------------------------------------------------


@PROPERTY
@given(TEXT.filter(lambda text: bool(text.strip())))
def test_a_name_is_one_piece_of_code(text: str) -> None:
    """Nothing in a name ends it; a back-tick is shown as an apostrophe."""
    found = [token for token in tokens(f"x {code(text)} y") if token.content]
    assert [token.type for token in found] == ["text", "code_inline", "text"]
    assert found[1].content.strip() == safe_line(text).replace("`", "'").strip()


@PROPERTY
@given(st.lists(CHARACTERS | st.sampled_from(["```", "````", "~~~", "\n```\n", "\n~~~\n"]), max_size=40))
def test_nothing_ends_a_block(pieces: list[str]) -> None:
    """Whatever a text holds, it is one block, which is closed, and what follows is a paragraph."""
    text = "".join(pieces)
    found = list(tokens(f"before\n\n{fenced(text)}\n\nafter"))
    kinds = [token.type for token in found if token.content]
    assert kinds == ["text", "fence", "text"]
    block = next(token for token in found if token.type == "fence")
    assert (block.content, block.info) == (f"{safe(text)}\n", "text")
    assert found[-2].content == "after"


@PROPERTY
@given(st.integers(0, 12), st.integers(0, 12))
def test_a_fence_is_longer_than_any_in_it(one: int, two: int) -> None:
    """Its own length follows from the text."""
    text = f"{'`' * one}\n x {'`' * two}"
    fence = fenced(text, "diff").partition("diff\n")[0]
    assert fence == "`" * max(3, one + 1, two + 1)
    assert fenced(text, "diff").endswith(f"\n{fence}")


# --- a whole comment -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(founded_on_github: Path, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """A request that waits for approval, as the gate judges it."""
    world = World.copied(founded_on_github, tmp_path_factory.mktemp("judged") / "world")
    config = world.folder / "runner" / ".git" / "config"
    config.write_text(config.read_text().replace(str(founded_on_github), str(world.folder)))
    with FakeGitHub(git_dir=world.server) as fake:
        hub = Hub(world, fake)
        number = hub.submitted()
        github = GitHub(RestClient(fake.url, hub.token), fake.repository)
        repository = Repository.open(hub.runner, world.variables())
        found = judge(open_clone(repository, datetime.now(UTC)), github.pull_request(number), fake.repository)
        assert fake.violations == []
    assert found.verdict is Verdict.PENDING
    return found


def request_of(judged: Judged) -> Request:
    """The request of what was judged."""
    assert judged.request is not None
    return judged.request


def with_names(judged: Judged, name: str) -> Judged:
    """The same, with everybody called so."""
    request = request_of(judged)
    tenant = request.facts.tenant
    accounts = {key: replace(account, display_name=name) for key, account in tenant.accounts.items()}
    called: Tenant = replace(tenant, accounts=accounts)
    return replace(judged, request=replace(request, facts=replace(request.facts, tenant=called)))


def with_justification(judged: Judged, text: str) -> Judged:
    """The same, submitted with other words."""
    request = request_of(judged)
    lines = tuple(
        replace(line, event=replace(line.event, justification=text)) if line.event is not None else line
        for line in request.lines
    )
    return replace(judged, request=replace(request, lines=lines))


def with_reasons(judged: Judged, *messages: str) -> Judged:
    """The same, for other reasons."""
    request = request_of(judged)
    reasons = tuple(Reason(ReasonCode.INVALID_DOCUMENT, message) for message in messages)
    return replace(judged, request=replace(request, evaluation=replace(request.evaluation, reasons=reasons)))


def heard(text: str, login: str = "eve") -> Heard:
    """Something that was said and not recorded."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    said = Statement(User(1, login, "User"), Action.APPROVE, at, "https://github.com/x")
    return Heard(said, Outcome.REFUSED, None, "notApprover", text)


def change(path: str, text: str) -> FileDiff:
    """A new file of a change."""
    return FileDiff(
        path, None, None, None, "0" * 64, file_diff(path, None, text.encode("utf-8", "surrogatepass"), (None, "100644"))
    )


def holds_together(markdown: str) -> list[Token]:
    """Hold that a comment is what the tool says and nothing more; returns its tokens."""
    found = list(tokens(markdown))
    html = [token.content.strip() for token in found if token.type.startswith("html")]
    assert html in ([MARK], [MARK, "<details><summary>The change</summary>", "</details>"])
    assert len([token for token in found if token.type == "heading_open"]) == 1
    assert not {token.type for token in found} & {"link_open", "image", "s_open", "em_open", "hr", "blockquote_open"}
    assert finds("\n".join(token.content for token in found if token.type == "text")) == []
    return found


def cells(markdown: str) -> list[int]:
    """How many cells each row of the tables has."""
    rows = "".join({"tr_open": "\n", "td_open": ".", "th_open": "."}.get(token.type, "") for token in tokens(markdown))
    return [len(row) for row in rows.split("\n")[1:]]


def test_what_a_comment_says(judged: Judged) -> None:
    """Status, request, who asks and why, the policies and who can approve, the line to paste, the change."""
    shown = comment_markdown(judged, [change("a.txt", "x\n")])
    assert shown.startswith(f"{MARK}\n### Multi Admin Approval: Needs approval\n")
    for part in (
        "\n- request `portal`: `edit app/company-portal`\n",
        "\n- requested by `alice` (Alice), ",
        "\n**Business justification**\n\n```text\nVersion 11.2 fixes the enrolment loop.\n```\n",
        "\n| access policy | approvals | approved by | can approve |\n| --- | --- | --- | --- |\n",
        f"```text\n/maa approve {str(judged.change).removeprefix('sha256:')[:12]}",
        f"```console\nmaa diff portal\nmaa approve portal --change {judged.change}\n```\n",
        "\n<details><summary>The change</summary>\n\n```diff\n--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+x\n```\n",
    ):
        assert part in shown
    assert set(cells(shown)) == {4}
    holds_together(shown)


def test_what_people_wrote_is_no_markdown(judged: Judged) -> None:
    """Names, justification, reasons, what was said, logins, files and their paths, all as evil as can be."""
    evil = with_reasons(with_justification(with_names(replace(judged, summary=EVIL), EVIL), LINES), EVIL, LINES)
    shown = comment_markdown(evil, [change(LINES, LINES), change("b", LINES)], [heard(LINES, EVIL), heard(EVIL)])
    found = holds_together(shown)
    blocks = [token.content for token in found if token.type == "fence"]
    assert safe(LINES) + "\n" in blocks
    assert set(cells(shown)) == {4}


@settings(PROPERTY, max_examples=50)
@given(st.data())
def test_no_text_gets_out_of_its_place(judged: Judged, data: st.DataObject) -> None:
    """Any text in any place of a comment stays there."""
    text, other = data.draw(TEXT.filter(bool)), data.draw(TEXT)
    evil = with_reasons(with_justification(with_names(replace(judged, summary=text), text), other), text, other)
    shown = comment_markdown(evil, [change("a", other), change("x", text)], [heard(text, other)])
    holds_together(shown)
    assert set(cells(shown)) == {4}


def test_the_mark_counts_at_the_beginning_only(judged: Judged, hub: Hub) -> None:
    """A comment that quotes it is not ours, and not touched; a job's summary bears none."""
    assert MARK not in judged_markdown(judged, ())
    hub.open()
    quoted = hub.fake.comment(1, "github-actions[bot]", f"> {MARK}\n", via_app="github-actions")
    behind = hub.fake.comment(1, "github-actions[bot]", f" {MARK}\n", via_app="github-actions")
    hub.gate(1)
    hub.gate(1)
    comments = {comment.id: comment.body for comment in hub.fake.comments(1)}
    assert (comments[quoted], comments[behind]) == (f"> {MARK}\n", f" {MARK}\n")
    assert len([body for body in comments.values() if body.startswith(MARK)]) == 1


# --- what does not fit -----------------------------------------------------------------------------------------------


def test_a_long_file_is_named(judged: Judged) -> None:
    """Others after it are shown all the same."""
    shown = comment_markdown(judged, [change("long.txt", "x" * LIMIT), change("short.txt", "y\n")])
    assert len(shown) < TAKEN
    assert "+y\n" in shown
    assert "Too long to be shown here: `long.txt`. See it with `maa diff`." in shown
    assert "xxx" not in shown
    holds_together(shown)


def test_many_long_files_are_counted(judged: Judged) -> None:
    """Twenty names, and how many more."""
    shown = comment_markdown(judged, [change(f"{n}.txt", "x" * LIMIT) for n in range(25)])
    names = ", ".join(f"`{n}.txt`" for n in range(20))
    assert f"Too long to be shown here: {names} and 5 more. See" in shown
    holds_together(shown)


@pytest.mark.parametrize("name", ["x" * 4096, "\U000e0001" * 400, "申" * 3000])
def test_a_long_name_is_counted(judged: Judged, name: str) -> None:
    """A path can be as long as anybody wants."""
    diffs = [change(f"{name}{n}", "x" * LIMIT) for n in range(25)]
    shown = comment_markdown(judged, diffs)
    assert len(shown) < TAKEN
    assert "Too long to be shown here: 25 more. See it with `maa diff`." in shown
    shown = comment_markdown(judged, [*diffs, change("a.txt", "x" * LIMIT)])
    assert "Too long to be shown here: `a.txt` and 25 more. See it with `maa diff`." in shown
    holds_together(shown)


def test_a_change_fills_the_room_and_not_more(judged: Judged) -> None:
    """Files are shown as long as there is room for each."""
    shown = comment_markdown(judged, [change(f"{n:02}.txt", "x" * 9000 + "\n") for n in range(20)])
    assert LIMIT - 9100 < len(shown) < TAKEN
    assert shown.count("```diff\n") == 6
    holds_together(shown)


def test_thousands_of_objects_have_an_end(judged: Judged) -> None:
    """A request may change more objects than a comment can name."""
    request = request_of(judged)
    operations = {ObjectId("app", f"application-{n}"): Operation.CREATE for n in range(5000)}
    shown = comment_markdown(replace(judged, request=replace(request, operations=operations)), [change("a", "y\n")])
    assert len(shown) < TAKEN
    assert "Not all of it has room here. See it with `maa show`." in shown
    assert "requested by `alice`" in shown
    assert "+y\n" in shown
    holds_together(shown)


def test_thousands_of_reasons_and_comments_have_an_end(judged: Judged) -> None:
    """Whoever says a thousand things hides neither the request nor the change, and the comment is written."""
    reasons = [f"reason {n} @bob" for n in range(5000)]
    said = [heard(f"said {n}") for n in range(5000)]
    for long, spoken in ((with_reasons(judged, *reasons), []), (judged, said), (with_reasons(judged, *reasons), said)):
        shown = comment_markdown(long, [change("a", "y\n")], spoken)
        assert len(shown) < TAKEN
        assert "Not all of it has room here. See it with `maa show`." in shown
        assert "requested by `alice`" in shown
        assert "+y\n" in shown
        assert set(cells(shown)) == {4}
        holds_together(shown)


@settings(PROPERTY, max_examples=25)
@given(st.lists(st.integers(0, 70_000), max_size=6), st.integers(0, 3000), st.integers(0, 800), st.integers(0, 60_000))
def test_a_comment_always_fits(judged: Judged, sizes: list[int], objects: int, spoken: int, long: int) -> None:
    """However much there is of anything, GitHub takes the comment."""
    request = request_of(judged)
    operations = {ObjectId("app", f"application-{n}"): Operation.CREATE for n in range(objects)}
    large = with_reasons(replace(judged, request=replace(request, operations=operations)), "@" * long)
    diffs = [change(f"{n}" * 200, "`" * size) for n, size in enumerate(sizes)]
    shown = comment_markdown(large, diffs, [heard(f"said {n}") for n in range(spoken)])
    assert len(shown) < TAKEN
    holds_together(shown)


def test_a_comment_at_the_limit_is_taken(judged: Judged, hub: Hub) -> None:
    """The fake refuses what GitHub refuses: what we make of too much is written."""
    github = GitHub(RestClient(hub.fake.url, hub.token), hub.fake.repository)
    shown = comment_markdown(judged, [change("a", "x" * 30_000), change("b", "y" * 40_000)], [heard("@" * 3000)] * 40)
    number = hub.open()
    github.write_comment(number, shown)
    assert [comment.body for comment in hub.fake.comments(number)] == [shown]
