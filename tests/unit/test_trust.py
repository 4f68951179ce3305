"""Each promise of the page Trust names a test, and each test that a page names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def test_each_promise_names_a_test() -> None:
    for line in PAGE.partition("## Long runs")[0].splitlines():
        if line.startswith("| ") and line != "| promise | kept by |":
            assert "`tests/" in line, line


@pytest.mark.parametrize(("page", "fewest"), [("trust.md", 40), ("bad_inputs.md", 20)])
def test_each_test_that_a_page_names_is_there(page: str, fewest: int) -> None:
    named = re.findall(
        r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / page).read_text(encoding="utf-8")
    )
    assert len(named) >= fewest
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {"", *(node.name for node in tree.body if isinstance(node, ast.FunctionDef))}, (
            file,
            name,
        )
