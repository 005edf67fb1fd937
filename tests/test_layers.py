"""Imports point one way, the deciding core is pure, and what is slow is imported where it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "maa_gitops"

ORDER = (  # noqa: SIM905 - a line of words is easier to read
    "cli render demo importing starter audit workflow apply history receipt record change tenant documents signing "
    "evaluate canonical shipped embedded providers forges git http model errors"
).split()
"""A module imports only those after it."""

ADAPTERS = ("git", "providers", "forges")
PURE = ("model", "canonical", "evaluate")
PURE_IMPORTS = {"collections", "dataclasses", "datetime", "enum", "hashlib", "json", "typing", "maa_gitops"}


def files_of(module: str) -> list[Path]:
    """The files of a module or of the package of that name."""
    return sorted((PACKAGE / module).rglob("*.py")) or [PACKAGE / f"{module}.py"]


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "maa_gitops":
            found |= {f"maa_gitops.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def own_modules(path: Path) -> set[str]:
    """The modules of this package that a file imports."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("maa_gitops.")} & {*ORDER}


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_one_way(module: str) -> None:
    """A module imports only modules below it; adapters know only http, model and errors."""
    allowed = {"http", "model", "errors"} if module in ADAPTERS else set(ORDER[ORDER.index(module) + 1 :])
    for path in files_of(module):
        assert own_modules(path) <= allowed | {module}, path


def test_every_module_has_a_place_in_the_order() -> None:
    """No module escapes the rule."""
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__", "__main__"} == set(ORDER)


@pytest.mark.parametrize("module", PURE)
def test_the_deciding_core_is_pure(module: str) -> None:
    """It imports nothing that could read or write anything."""
    for path in files_of(module):
        assert {name.split(".")[0] for name in imported(path)} <= PURE_IMPORTS


def test_each_library_has_its_home() -> None:
    """Each library has its home, so that no exception of it can leave unseen."""
    homes = {
        "pygit2": ("git",),
        "yaml": ("documents",),
        "jsonschema": ("documents",),
        "cryptography": ("signing",),
        "sqlite3": ("providers", "apply"),
        "starlette": ("embedded",),
        "uvicorn": ("embedded",),
        "urllib3": ("http.py",),
        "msal": ("providers",),
    }
    for path in PACKAGE.rglob("*.py"):
        for library, home in homes.items():
            if any(name.split(".")[0] == library for name in imported(path)):
                assert any(path.is_relative_to(PACKAGE / place) for place in home), f"{path} imports {library}"


def test_version_is_instant() -> None:
    """``maa --version`` imports neither pygit2 nor jsonschema nor anything else that is slow."""
    code = (
        "import sys\nfrom maa_gitops.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "slow = {'pygit2', 'urllib3', 'msal', 'jsonschema', 'yaml', 'cryptography', 'rich', 'sqlite3'}\n"
        "slow |= {'starlette', 'uvicorn', 'asyncio'}\n"
        "slow &= set(sys.modules)\n"
        "sys.exit(f'imported: {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
