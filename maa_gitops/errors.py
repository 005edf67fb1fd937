"""What can go wrong, by who must act.

One base and four kinds. It does not print or choose words for a person beyond the message: the command line
has the one handler that turns these into a line, a hint and an exit code.
"""

from typing import ClassVar


class MaaError(Exception):
    """A fault that a person can act on.

    ``message`` is one line: what was found and what was expected. ``hint`` is the command to run next.
    ``code`` is a stable word for scripts (a reason code of the design where one fits).
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


class DocumentError(MaaError):
    """A file must be fixed. ``line`` and ``column`` count from 1."""

    kind = "document"
    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        path: str,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        code: str | None = "invalidDocument",
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.path = path
        self.line = line
        self.column = column


class RepositoryError(MaaError):
    """The git repository, or this machine's set-up of it, does not let the question be answered."""

    kind = "repository"
    exit_code = 4


class RemoteError(MaaError):
    """A remote, forge or provider failed. ``retry`` says whether trying again makes sense."""

    kind = "remote"
    exit_code = 4

    def __init__(self, message: str, *, retry: bool = False, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.retry = retry


class NotAllowedError(MaaError):
    """The answer is no: not open to this person, or not in this status."""

    kind = "notAllowed"
    exit_code = 3
