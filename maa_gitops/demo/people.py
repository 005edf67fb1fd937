"""Alice, Bob and Carol: their homes, their keys, their clones of one tenant repository, and what they do to files."""

from collections.abc import Mapping

from maa_gitops.demo.stage import CLONE, Stage, git, maa, run, type_git

PEOPLE = {"alice": "Alice Nguyen", "bob": "Bob Okafor", "carol": "Carol Silva"}
KEY = ".ssh/id_ed25519"
"""Where everybody's key is, in their home."""


def settle(stage: Stage) -> None:
    """Give everybody a home with a key and git's settings; make the bare repository that is the server."""
    for person, name in PEOPLE.items():
        home, address = stage.folder / person, f"{person}@contoso.com"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        user = f"[user]\n\tname = {name}\n\temail = {address}\n"
        others = "[init]\n\tdefaultBranch = main\n[branch]\n\tautoSetupMerge = false\n[gc]\n\tauto = 0\n"
        (home / ".gitconfig").write_text(user + others, encoding="utf-8")
        run(stage, person, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", address, "-f", KEY)
    git(stage, "alice", "init", "--quiet", "--bare", "--initial-branch=main", "../server.git")


def found_repository(stage: Stage) -> None:
    """As Alice, make the tenant repository with everybody's account; then everybody has a clone."""
    type_git(stage, "alice", "clone", "../server.git", CLONE)
    keys = [word for name in PEOPLE for word in ("--account", f"{name}=../../{name}/{KEY}.pub")]
    maa(stage, "alice", "init", "--tenant", "contoso", *keys, shows=("maa.yaml", "groups/", "policies/"))
    type_git(stage, "alice", "push", "origin", "main")
    for person in ("bob", "carol"):
        type_git(stage, person, "clone", "../server.git", CLONE)


def start_branch(stage: Stage, person: str, name: str, files: Mapping[str, str]) -> None:
    """Begin a change branch at the newest state, and write files on it."""
    git(stage, person, "fetch", "--quiet")
    type_git(stage, person, "switch", "-c", f"change/{name}", "origin/main")
    edit(stage, person, files)


def edit(stage: Stage, person: str, files: Mapping[str, str]) -> None:
    """Write files, by path."""
    for name, text in files.items():
        path = stage.folder / person / CLONE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        stage.say(f"  ({person} edits {name})")
