"""From an object's state to the files of a resource: the document, and the texts of scripts beside it."""

from collections.abc import Mapping

from maa_gitops.apply.desired import ADOPT
from maa_gitops.documents.writing import yaml_bytes
from maa_gitops.providers import DesiredObject

FILE, CONTENT, FILE_NAME = "File", "Content", "fileName"

_SCRIPT_PARTS = {"script": "", "detectionScript": ".detection", "remediationScript": ".remediation"}
"""The texts of a script, by the word that their keys begin with, and what their files' names say of them."""

_SHELL_ENDINGS = (".sh", ".bash", ".zsh", ".py")


def script_files(state: DesiredObject, stem: str) -> dict[str, str]:
    """The names of the files for the texts of a script, by the words that their keys begin with; none for others."""
    if state.profile_type != "script":
        return {}
    ending = _ending(state)
    return {
        word: f"{stem}{part}{ending}"
        for word, part in _SCRIPT_PARTS.items()
        if isinstance(state.data.get(word + CONTENT), str)
    }


def _ending(state: DesiredObject) -> str:
    if state.data.get("type") != "deviceShellScript":
        return ".ps1"
    name = str(state.data.get(FILE_NAME, ""))
    return next((ending for ending in _SHELL_ENDINGS if name.endswith(ending)), ".sh")


def resource_files(
    state: DesiredObject, path: str, files: Mapping[str, str], adopt: Mapping[str, str]
) -> dict[str, bytes]:
    """Write a resource: its files by path.

    ``files`` are the names of files for texts, by the words that their keys begin with.
    """
    folder = path.rpartition("/")[0]
    texts = {word + CONTENT for word in files}
    data = {key: value for key, value in state.data.items() if key not in texts}
    written: dict[str, bytes] = {}
    for word, name in files.items():
        data[word + FILE] = name
        written[f"{folder}/{name}"] = str(state.data[word + CONTENT]).encode("utf-8", "surrogatepass")
    if data.get(FILE_NAME) == files.get("script"):  # it is what the file's name says
        data.pop(FILE_NAME, None)
    assignments = {"assignments": list(state.assignments)} if state.assignments else {}
    written[path] = yaml_bytes({**data, **assignments, **({ADOPT: dict(adopt)} if adopt else {})})
    return written


def named_files(document: Mapping[str, object], state: DesiredObject, stem: str) -> dict[str, str]:
    """The files that a document names for texts that a state has, by the words that their keys begin with.

    Only files of its own, beside it and of the same stem, are written; another name is a text like any other.
    """
    return {
        word: name
        for word, name in ((key.removesuffix(FILE), name) for key, name in document.items() if key.endswith(FILE))
        if isinstance(name, str)
        and name.startswith(f"{stem}.")
        and "/" not in name
        and name != f"{stem}.yaml"
        and isinstance(state.data.get(word + CONTENT), str)
    }
