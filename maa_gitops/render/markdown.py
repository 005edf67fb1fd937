"""Requests as Markdown, for pull requests and job summaries.

Nothing that people wrote is read as Markdown, mentions anybody, or looks like a part of what the tool says.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from maa_gitops.model import ReasonCode, Tenant
from maa_gitops.render.diff import FileDiff
from maa_gitops.render.escape import safe, safe_line
from maa_gitops.render.text import operations, status_words, when
from maa_gitops.workflow.pull_requests.judging import Judged, Verdict, short
from maa_gitops.workflow.pull_requests.statements import SHORTEST_SUBMIT
from maa_gitops.workflow.pull_requests.weighing import Heard
from maa_gitops.workflow.requests import Request

MARK = "<!-- maa-gitops: this comment is kept up to date by the tool -->"
"""How our one comment on a pull request is found again."""

LIMIT = 60_000
"""Characters of a comment; GitHub takes 65,536."""

_CHANGE_ROOM = 10_000
"""Characters of a comment that are kept for the change, however much is said before it."""

_NAME_LIMIT = 255
"""Characters of the name of a file that is too long to be shown."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~@&:])")

_APART = "&#8203;"
"""What keeps a sign from a name or number: GitHub looks for mentions and references after it has read entities."""

_HEADS = {
    Verdict.APPROVED: "Approved",
    Verdict.PENDING: "Needs approval",
    Verdict.REFUSED: "Cannot be merged",
    Verdict.UNPROTECTED: "Nothing protected changes",
    Verdict.SKIPPED: "Not for the protected branch",
}


def inline(text: str) -> str:
    """A text within a line: no character of it is Markdown, a mention, a link or HTML."""
    return _SPECIAL.sub(
        lambda match: f"&#{ord(match[1])};{_APART if match[1] in '@#' else ''}",
        safe_line(text),
    )


def code(text: str) -> str:
    """A short text as code; for names and digests, which hold no back-tick."""
    return f"`{safe_line(text).replace('`', chr(39))}`"


def fenced(text: str, language: str = "text") -> str:
    """A block of text that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{safe(text)}\n{fence}"


def judged_markdown(judged: Judged, diffs: Sequence[FileDiff], heard: Iterable[Heard] = ()) -> str:
    """What the gate says of a pull request: the request, who can approve, the readable change, the line to paste."""
    request = judged.request
    title = _HEADS[judged.verdict]
    if request is not None and request.submitted is not None and judged.verdict is not Verdict.UNPROTECTED:
        title = status_words(request)
    lines = [f"### Multi Admin Approval: {title}", "", f"{inline(judged.summary)}."]
    if judged.verdict is Verdict.UNPROTECTED:
        lines += ["", "To have it merged, once every check is green:", "", *_merge_line(judged)]
    elif request is not None and judged.verdict is not Verdict.SKIPPED:
        lines += [*_asked(request), *_policies(request), *_lines_to_paste(judged, request), *_reasons(request)]
        lines = list(_fitting([*lines, *_unheard(heard)], LIMIT - _CHANGE_ROOM))
        lines += list(_change(diffs, LIMIT - sum(len(line) + 1 for line in lines)))
    return "\n".join(lines)


def _fitting(lines: Iterable[str], room: int) -> Iterator[str]:
    """What there is room for; that something is left out is said."""
    cut = False
    for line in lines:
        if len(line) + 1 > room:
            cut = True
            continue
        room -= len(line) + 1
        yield line
    if cut:
        yield from ("", "Not all of it has room here. See it with `maa show`.")


def comment_markdown(judged: Judged, diffs: Sequence[FileDiff], heard: Iterable[Heard] = ()) -> str:
    """The one comment on a pull request."""
    return f"{MARK}\n{judged_markdown(judged, diffs, heard)}"


def _asked(request: Request) -> Iterator[str]:
    evaluation, submit = request.evaluation, request.submitted
    tenant = request.facts.tenant
    yield ""
    done = ", ".join(code(line) for line in operations(request)) or "nothing protected"
    yield f"- request {code(request.id)}: {done}"
    if submit is None:
        return
    claimed = "" if evaluation.requestor else " (claimed; the signature is nobody's)"
    yield f"- requested by {_person(tenant, evaluation.requestor or submit.account)}{claimed}, {when(submit.at)}"
    if evaluation.expires_at is not None and request.facts.merged is None:
        yield f"- expires {when(evaluation.expires_at)}"
    others = [name for name in evaluation.contributors if name != evaluation.requestor]
    if others:
        yield f"- contributors, who cannot approve: {', '.join(_person(tenant, name) for name in others)}"
    if submit.justification is not None:
        yield from ("", "**Business justification**", "", fenced(submit.justification))


def _person(tenant: Tenant, name: str) -> str:
    account = tenant.accounts.get(name)
    shown = f" ({inline(account.display_name)})" if account is not None and account.display_name != name else ""
    return f"{code(name)}{shown}"


def _policies(request: Request) -> Iterator[str]:
    if not request.evaluation.policies:
        return
    tenant = request.facts.tenant
    yield from ("", "| access policy | approvals | approved by | can approve |", "| --- | --- | --- | --- |")
    for verdict in request.evaluation.policies:
        people = ", ".join(_person(tenant, name) for name in verdict.can_approve) or "nobody"
        given = ", ".join(_person(tenant, name) for name in verdict.approved_by) or "nobody"
        attested = "" if verdict.policy.attested else " (with their own key only)"
        count = f"{len(verdict.approved_by)} of {verdict.policy.quorum}"
        yield f"| {code(verdict.policy.name)} | {count} | {given} | {people}{attested} |"


def _lines_to_paste(judged: Judged, request: Request) -> Iterator[str]:
    """What to write as a comment, or to type, to act on exactly this change."""
    if judged.change is None or judged.verdict not in (Verdict.PENDING, Verdict.REFUSED):
        return
    digits = short(judged.change)
    codes = {reason.code for reason in request.evaluation.obstacles}
    attested = [policy.policy.attested for policy in request.evaluation.policies]
    if codes & {ReasonCode.NOT_SUBMITTED, ReasonCode.EDITED_SINCE_SUBMIT, ReasonCode.CONTRIBUTORS_INCOMPLETE}:
        if attested and all(attested):
            yield from ("", "The author submits it with this comment:", "", fenced(f"/maa submit {digits}"))
            yield from ("", "or at a terminal, on the branch:", "", fenced("maa submit -m TEXT", "console"))
        else:
            yield from ("", "The author submits it at a terminal, on the branch:", "", fenced("maa submit -m TEXT"))
        return
    if judged.verdict is Verdict.PENDING:
        if any(attested):
            yield from ("", "An approver says, in a review of this very change or with this comment:", "")
            yield fenced(f"/maa approve {digits}{_submit_digits(request)} NOTES")
        yield from ("", "An approver's own key does it too, at a terminal:", "")
        yield fenced(f"maa diff {request.id}\nmaa approve {request.id} --change {judged.change}", "console")


def _submit_digits(request: Request) -> str:
    """What an approval says beside the change where a person's own key signed the submit."""
    submit = request.submitted
    if submit is None or submit.evidence is not None:
        return ""
    line = next(line for line in reversed(request.lines) if line.event == submit)
    return f"-{line.digest.removeprefix('sha256:')[:SHORTEST_SUBMIT]}"


def _merge_line(judged: Judged) -> Iterator[str]:
    yield fenced(f"/maa merge {judged.pull_request.head_commit}")


def _reasons(request: Request) -> Iterator[str]:
    if request.evaluation.reasons:
        yield ""
    for reason in request.evaluation.reasons:
        yield f"- {code(reason.code.value)}: {inline(reason.message)}"


def _unheard(heard: Iterable[Heard]) -> Iterator[str]:
    heard = tuple(heard)
    if heard:
        yield from ("", "**Not recorded**", "")
    for found in heard:
        author = found.statement.author
        who = inline(author.login) if author is not None else "somebody unknown"
        what = found.statement.action.value if found.statement.action is not None else "a comment"
        yield f"- {what} by {who}, {when(found.statement.at)}: {inline(found.message)} ({code(found.code or '')})"


def _change(diffs: Sequence[FileDiff], room: int) -> Iterator[str]:
    """The change, readable; what has no room is named."""
    if not diffs:
        return
    yield from ("", "<details><summary>The change</summary>", "")
    left_out = []
    for diff in diffs:
        block = fenced(diff.text.rstrip("\n"), "diff")
        if len(block) > room:
            left_out.append(diff.path)
            continue
        room -= len(block) + 2
        yield from (block, "")
    if left_out:
        shown = [name for name in map(code, left_out) if len(name) <= _NAME_LIMIT][:20]
        more = [f"{len(left_out) - len(shown)} more"] if len(left_out) > len(shown) else []
        names = " and ".join([*([", ".join(shown)] if shown else []), *more])
        yield from (f"Too long to be shown here: {names}. See it with `maa diff`.", "")
    yield "</details>"
