"""What forgers do with git's and ssh-keygen's own tools, none of ours: plant a commit, sign in somebody else's name."""

import json
from collections.abc import Mapping, Sequence

from maa_gitops.canonical import canonical_json, digest
from maa_gitops.demo.people import KEY, PEOPLE
from maa_gitops.demo.stage import Stage, git, run, type_, type_git
from maa_gitops.record import NAMESPACE


def plant(
    stage: Stage, parents: Sequence[str], files: Mapping[str, bytes], message: str, *, author: str = "alice"
) -> None:
    """As Alice, build a commit from the first parent's files and ``files``; push it to the first parent's branch."""
    own = {"GIT_INDEX_FILE": str(stage.folder / "tmp" / "index"), "GIT_AUTHOR_NAME": PEOPLE[author]}
    git(stage, "alice", "read-tree", parents[0], extra=own)
    for path, content in files.items():
        blob = git(stage, "alice", "hash-object", "-w", "--stdin", given=content)
        git(stage, "alice", "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", extra=own)
    tree = git(stage, "alice", "write-tree", extra=own)[:12]
    above = [word for parent in parents for word in ("-p", parent)]
    commit = type_git(stage, "alice", "commit-tree", tree, *above, "-m", message, extra=own)[:12]
    branch = parents[0].replace("origin/", "refs/heads/")
    type_git(stage, "alice", "push", "origin", f"{commit}:{branch}")


def record_of(stage: Stage, request: str) -> tuple[str, bytes]:
    """The path and content of a request's record on the branch that Alice has checked out."""
    path = git(stage, "alice", "ls-files", f"requests/*/{request}.jsonl")
    return path, run(stage, "alice", "git", "cat-file", "blob", f"HEAD:{path}").stdout


def forged_line(stage: Stage, record: bytes, **fields: object) -> bytes:
    """The next line of a record, from whomever ``fields`` say, signed by Alice."""
    last = record.removesuffix(b"\n").rpartition(b"\n")[2]
    newest = json.loads(last)
    plain = {name: newest[name] for name in ("at", "request", "tenant", "version")}
    plain |= {"base": git(stage, "alice", "rev-parse", "origin/main"), "previous": digest(last), **fields}
    words = ("ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", f"../{KEY}")
    type_(stage, "alice", *words)
    signed = run(stage, "alice", *words, given=canonical_json(plain))
    return canonical_json({**plain, "signature": signed.stdout.decode()}) + b"\n"
