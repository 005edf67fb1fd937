"""What git would make of files when they are committed: the bytes must be those that were written."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from maa_gitops.errors import RepositoryError
from maa_gitops.git import Repository
from maa_gitops.git.objects import FILE

_FILE = ".gitattributes"
_ATTRIBUTES = ("text", "eol", "filter", "ident", "working-tree-encoding")
_PLAIN = ("unspecified", "unset")
_IGNORED, _NOT_IGNORED = 0, 1


def losses(repository: Repository, tree: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """The paths whose bytes would not be committed as they are, each with the reason; ``tree`` has the attributes."""
    found = dict.fromkeys(_ignored(repository, files), "git ignores it (.gitignore)")
    converts = (repository.config("core.autocrlf") or "no").lower() not in ("false", "no", "off", "0")
    for path, attributes in _attributes(repository, tree, files).items():
        reason = _loss(path, files[path], attributes, converts=converts)
        if reason is not None:
            found.setdefault(path, reason)
    return found


def _loss(path: str, content: bytes, attributes: Mapping[str, str], *, converts: bool) -> str | None:
    other = next((name for name in _ATTRIBUTES[2:] if attributes[name] not in _PLAIN), None)
    if other is not None:
        return f".gitattributes has '{other}' for it, so that git would not keep its bytes"
    text = attributes["text"]
    is_text = text not in _PLAIN or (text == "unspecified" and (converts or attributes["eol"] not in _PLAIN))
    if is_text and b"\r\n" in content:
        line = f"resources/**/*.{path.rpartition('.')[2]} -text"
        return f"git would turn the line ends of its text, CRLF, into LF; .gitattributes has to say: {line}"
    return None


def _ignored(repository: Repository, files: Mapping[str, bytes]) -> frozenset[str]:
    done = repository.run("check-ignore", "--stdin", "-z", cwd=repository.work_tree, input=_lines(files))
    if done.returncode not in (_IGNORED, _NOT_IGNORED):
        raise RepositoryError(f"git does not say what it ignores: {done.last_words}", code="gitFailed")
    return frozenset(done.text.split("\0")[:-1])


def _attributes(repository: Repository, tree: str, files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """What a tree's .gitattributes says of paths; the one in the work tree may be of another branch."""
    entry = repository.entry(tree, _FILE)
    with TemporaryDirectory(prefix="maa-") as folder:
        Path(folder, _FILE).write_bytes(repository.blob(entry.oid) if entry is not None and entry.mode == FILE else b"")
        place = (f"--git-dir={repository.git_dir}", f"--work-tree={folder}")
        command = (*place, "check-attr", "--stdin", "-z", *_ATTRIBUTES)
        done = repository.run(*command, cwd=Path(folder), input=_lines(files))
    if done.returncode:
        raise RepositoryError(f"git does not say what it converts: {done.last_words}", code="gitFailed")
    found: dict[str, dict[str, str]] = {}
    for path, name, value in _triples(done.text.split("\0")):
        found.setdefault(path, {})[name] = value
    return found


def _triples(fields: list[str]) -> Iterator[tuple[str, str, str]]:
    return zip(fields[::3], fields[1::3], fields[2::3], strict=False)


def _lines(files: Mapping[str, bytes]) -> bytes:
    return b"".join(path.encode() + b"\0" for path in files)
