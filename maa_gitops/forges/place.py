"""Where a repository is hosted, from the address of its remote."""

import re

from maa_gitops.forges.job import PUBLIC_API

_ADDRESSES = (
    re.compile(r"https?://(?:[^@/]+@)?(?P<host>[A-Za-z0-9._-]+)(?::\d+)?/(?P<name>[^/]+/[^/]+?)(?:\.git)?/?"),
    re.compile(r"ssh://(?:[^@/]+@)?(?P<host>[A-Za-z0-9._-]+)(?::\d+)?/(?P<name>[^/]+/[^/]+?)(?:\.git)?/?"),
    re.compile(r"(?:[^@/:]+@)?(?P<host>[A-Za-z0-9._-]+):(?P<name>[^/]+/[^/]+?)(?:\.git)?/?"),
)


def repository_of(address: str) -> tuple[str, str] | None:
    """The address of the API, and ``OWNER/NAME``, for a remote's address; None: it is no forge's."""
    for form in _ADDRESSES:
        found = form.fullmatch(address)
        if found is not None:
            host = found["host"].lower()
            is_public = host in ("github.com", "www.github.com", "ssh.github.com")
            return (PUBLIC_API if is_public else f"https://{host}/api/v3"), found["name"]
    return None
