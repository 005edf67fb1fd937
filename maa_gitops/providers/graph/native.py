"""Writing to a tenant that has Multi Admin Approval of its own: filing a request, waiting for it, sending again.

A write that needs approval is refused with a code; once another administrator has approved the request of that code,
the same call with the code is carried out. Source: Intune, "Use multi admin approval with Microsoft Graph API".
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import quote

from maa_gitops.errors import RemoteError
from maa_gitops.http import Answer
from maa_gitops.providers import Approval, NativeApprovalError, Occasion
from maa_gitops.providers.graph.client import GraphClient, Json, misunderstood, said

REQUESTS = "deviceManagement/operationApprovalRequests"

_JUSTIFICATION, _CODE = "x-msft-approval-justification", "x-msft-approval-code"
_FORM = re.compile(r"[A-Za-z0-9-]{1,64}")
"""The form of a code."""

_ACTIVE = "active approval request already exists"
_WAITING, _GRANTED = "needsApproval", "approved"
_NUMBERS = {1: _WAITING, 2: _GRANTED, 3: "rejected", 4: "cancelled", 5: "completed", 6: "expired"}
"""Some tenants answer with the number of a status. Source: Graph, operationApprovalRequestStatus."""

_PLAIN = Occasion("maa")


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes with what the tenant's own approval needs. ``hands_over``: it is asked for; else we are excluded."""

    client: GraphClient
    hands_over: bool = True
    occasion: Occasion = _PLAIN

    def send(self, method: str, path: str, body: Mapping[str, object] | None, *, repeats: bool = True) -> Json:
        """Send a write; returns the answer.

        Raises:
            NativeApprovalError: it waits for the tenant's own approval, or that was denied.
            UnclearError: it may have been done or not.
            RemoteError: it is refused.
        """
        call = _digest(method, path, body)
        code = self._granted(call) if self.hands_over else None
        answer = self._once(method, path, body, call, code, repeats=repeats)
        filed = answer.headers.get(_CODE) if answer.status >= HTTPStatus.BAD_REQUEST else None
        if answer.status == HTTPStatus.CONFLICT and self.hands_over and _ACTIVE in said(answer.data).lower():
            found = self._filed_before(call)
            if found is None and not self._is_cleared():
                raise _taken(said(answer.data))
            code = self._granted(call, found) if found is not None else None
            answer = self._once(method, path, body, call, code, repeats=repeats)
            filed = answer.headers.get(_CODE) if answer.status >= HTTPStatus.BAD_REQUEST else None
        if filed is not None:
            if not self.hands_over:
                raise _not_excluded()
            if not _FORM.fullmatch(filed):
                raise misunderstood(f"{method} {path}")
            raise _waiting(Approval(filed, call))
        if answer.status == HTTPStatus.BAD_REQUEST and _JUSTIFICATION in said(answer.data).lower():
            raise _not_excluded()
        if code is not None and answer.status >= HTTPStatus.BAD_REQUEST and self._is_done(code):
            return None  # it was sent again because the first answer was lost
        return self.client.understood(method, path, answer)

    def _once(
        self, method: str, path: str, body: Mapping[str, object] | None, call: str, code: str | None, *, repeats: bool
    ) -> Answer:
        """Send it with the code of an approval, or with the words to ask for one: both together would ask anew."""
        headers: dict[str, str] = {}
        if code is not None:
            headers[_CODE] = code
        elif self.hands_over:
            words = f"{self.occasion.justification} {_token(call)}"
            headers[_JUSTIFICATION] = base64.b64encode(words.encode()).decode()
        return self.client.write(method, path, body, headers=headers, repeats=repeats)

    def _granted(self, call: str, approval: Approval | None = None) -> str | None:
        """The code of the approval for this call; None: nothing has been filed for it, or it has run out.

        Raises:
            NativeApprovalError: it waits, or was denied.
        """
        approval = approval or self.occasion.approval
        if approval is None:
            return None
        request = self._request(approval.code)
        status = status_of(request) if request is not None else None
        if approval.call != call:
            self._give_up(approval.code, status)
            return None
        match status:
            case "approved":
                return approval.code
            case "needsApproval":
                raise _waiting(approval, request)
            case "rejected" | "cancelled":
                raise _denied(approval, request or {})
            case _:
                return None

    def _is_done(self, code: str) -> bool:
        """Whether the call that was approved under a code has been carried out."""
        request = self._request(code)
        return request is not None and status_of(request) == "completed"

    def _request(self, code: str) -> Mapping[str, Json] | None:
        """The request of a code, which is its id; looked for in the list where a tenant does not give it alone."""
        with suppress(RemoteError):
            found = self.client.get(f"{REQUESTS}/{quote(code, safe='')}")
            if isinstance(found, dict):
                return found
        return next((found for found in self.client.pages(REQUESTS) if found.get("id") == code), None)

    def _filed_before(self, call: str) -> Approval | None:
        """What a run that was cut off has filed for this very call; its justification tells."""
        mine = (code for code, words, _ in self._active() if words.endswith(_token(call)))
        return next((Approval(code, call) for code in mine), None)

    def _is_cleared(self) -> bool:
        """Take back what such a run has filed for the same object in another state; whether there was something.

        Raises:
            RemoteError: it is approved already, so that only an approver can take it back.
        """
        about = _about(self.occasion.justification)
        for code, words, status in self._active():
            if about is not None and _about(words) == about:
                if status == _GRANTED:
                    raise _outdated(code)
                self._give_up(code, status)
                return True
        return False

    def _active(self) -> Iterator[tuple[str, str, str]]:
        """Our own requests that wait or are approved: code, justification, status.

        Anybody can write the same justification, so only our own requests are looked through. Where a tenant does not
        give these, none is found: what waits is then somebody else's.
        """
        with suppress(RemoteError):
            for found in self.client.pages(f"{REQUESTS}/retrieveMyRequests()"):
                words, code, status = found.get("requestJustification"), str(found.get("id")), status_of(found)
                if isinstance(words, str) and status in (_WAITING, _GRANTED) and _FORM.fullmatch(code):
                    yield code, words, str(status)

    def _give_up(self, code: str, status: str | None) -> None:
        """Take back what was filed for a call that is no longer wanted, so that the object is free."""
        with suppress(RemoteError):
            if status == _WAITING:
                self.client.write("POST", f"{REQUESTS}/cancelMyRequest", {"id": code})
            elif status == _GRANTED:
                self.client.write("POST", f"{REQUESTS}/{quote(code, safe='')}/cancelApproval", _CANCELS)


_CANCELS = {"justification": "superseded by a later approved change", "approvalSource": "adminConsole"}


def status_of(request: Mapping[str, Json]) -> str | None:
    """The status of a request; None: it is unknown."""
    found = request.get("status")
    return _NUMBERS.get(found) if isinstance(found, int) else str(found) if found else None


def _digest(method: str, path: str, body: Mapping[str, object] | None) -> str:
    text = f"{method} {path}\n{json.dumps(body, sort_keys=True, separators=(',', ':'))}"
    return "sha256:" + sha256(text.encode()).hexdigest()


def _token(call: str) -> str:
    return f"[{call.removeprefix('sha256:')[:16]}]"


def _about(justification: str) -> tuple[str, str] | None:
    """Of which tenant's repository, and of which object, a justification of ours speaks."""
    whose, _, what = justification.partition(";")[0].partition(": ")
    return (whose, what.partition(" ")[2]) if " " in what else None


def _waiting(approval: Approval, request: Mapping[str, Json] | None = None) -> NativeApprovalError:
    until = (request or {}).get("expirationDateTime")
    end = f", until {until.partition('.')[0].removesuffix('Z')}Z" if isinstance(until, str) else ""
    return NativeApprovalError(
        f"waits for Intune's own approval, request {approval.code}{end}; then: maa apply", approval, waits=True
    )


def _denied(approval: Approval, request: Mapping[str, Json]) -> NativeApprovalError:
    notes = request.get("approvalJustification")
    why = f": {notes}" if isinstance(notes, str) and notes else ""
    words = f"Intune's own approval, request {approval.code}, was {status_of(request)}{why}; maa revert takes it back"
    return NativeApprovalError(words, approval, waits=False)


def _taken(words: str) -> RemoteError:
    return RemoteError(
        f"somebody else's request for this object waits in Intune ({words})", retry=True, code="nativeApprovalTaken"
    )


def _outdated(code: str) -> RemoteError:
    text = f"Intune's own approval, request {code}, was given for another state of this object than is wanted now"
    hint = "cancel it in Intune, or wait until it has expired; then: maa apply"
    return RemoteError(text, retry=True, hint=hint, code="nativeApprovalTaken")


def _not_excluded() -> RemoteError:
    return RemoteError(
        "Intune asks for its own approval, though nativeApproval is excluded: the application has no exclusion there",
        hint="add the application to the exclusions of the access policies in Intune, or set nativeApproval: handshake",
        code="nativeApproval",
    )
