"""The work tree as a tree object, exactly as committing everything would make it."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from maa_gitops.git.objects import Oid
from maa_gitops.git.program import Git


def snapshot(git: Git, work_tree: Path) -> Oid:
    """Write the tree that ``git add --all`` and a commit would make, without touching the index.

    Raises:
        RepositoryError: git refuses.
    """
    index = Path(git.read("rev-parse", "--path-format=absolute", "--git-path", "index", cwd=work_tree).strip())
    with TemporaryDirectory(prefix="maa-") as folder:
        copy = Path(folder, "index")
        if index.exists():
            shutil.copyfile(index, copy)
        extra = {"GIT_INDEX_FILE": str(copy)}
        git.read("add", "--all", cwd=work_tree, extra=extra)
        return git.read("write-tree", cwd=work_tree, extra=extra).strip()
