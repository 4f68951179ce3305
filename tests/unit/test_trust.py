"""Each promise of the page Trust names a test that is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def test_each_promise_names_a_test_that_is_there() -> None:
    for line in PAGE.partition("## The same install")[0].splitlines():
        if line.startswith("| ") and line != "| promise | kept by |":
            assert "`tests/" in line, line
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 30
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (file, name)
