"""The files that ship with the package, wherever it is installed.

A wheel holds them inside the package, a checkout beside it. What they mean is for their readers to know.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_file(folder: str, name: str) -> bytes:
    """Read one shipped file.

    Raises:
        FileNotFoundError: no such file ships.
    """
    return (_folder(folder) / name).read_bytes()


def shipped_names(folder: str) -> tuple[str, ...]:
    """The names of a shipped folder's files, sorted."""
    return tuple(sorted(path.name for path in _folder(folder).iterdir() if path.is_file()))


def _folder(folder: str) -> Path:
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder
