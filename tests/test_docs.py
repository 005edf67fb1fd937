"""The generated pages are up to date, and every command and row is told."""

import pytest
import yaml

from tests.generate_docs import DOCS, ROOT, held_rows, pages


@pytest.mark.parametrize("name", ["commands.md", "files.md", "parity.md"])
def test_generated_page_is_up_to_date(name: str) -> None:
    """``make docs`` would change nothing."""
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name]


def test_every_row_is_held_or_says_why_not() -> None:
    """A row of the parity and threat tables has a test, or a reason; never both."""
    rows = yaml.safe_load((ROOT / "tests" / "cases" / "rows.yaml").read_text(encoding="utf-8"))
    every = {*rows["parity"], *rows["threats"]}
    held = set(held_rows())
    assert held <= every
    assert every - held == set(rows["not_held"])
