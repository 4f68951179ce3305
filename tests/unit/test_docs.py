"""The pages: every command in them exists with its options, and the README stays a front door."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from references.__main__ import command as references
from references.bad_inputs.table import bad_inputs_table, read_outcomes
from references.tables import summarize, summarize_statistics
from references.trust_table import trust_table
from smearscan.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("configs/**/*.md")])
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:smearscan|make|python -m references) [^`\n]+)`")


def commands(markdown: str) -> Iterator[list[str]]:
    """Command lines of a page as words, comments gone, lines that end in a backslash joined."""
    texts = [
        text.replace("\\\n", " ")
        for language, text in _FENCE.findall(markdown)
        if language in ("", "sh", "powershell")
    ]
    for line in "\n".join([*texts, *_INLINE.findall(markdown)]).splitlines():
        words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
        for at, word in enumerate(words[:2]):
            if re.fullmatch(r"(.*[/\\])?smearscan|make", word):
                yield [re.split(r"[/\\]", word)[-1], *words[at + 1 :]]
        if words[1:3] == ["-m", "references"]:
            yield ["references", *words[3:]]


def unknown(words: list[str]) -> str:
    """What of a command line does not exist; empty where all of it does."""
    if words[0] == "make":
        rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        return " ".join(
            w for w in words[1:] if "=" not in w and re.fullmatch("[a-z-]+", w) and w not in rules
        )
    at: click.Command = main if words[0] == "smearscan" else references
    rest = words[1:]
    while isinstance(at, click.Group) and rest and not rest[0].startswith("-"):
        found = at.get_command(click.Context(at), rest[0])
        if found is None:
            return "" if rest[0] in ("...", "..") else rest[0]
        at, rest = found, rest[1:]
    known = {name for p in at.params for name in (*p.opts, *p.secondary_opts)} | {"--help", "-h", "--version"}
    return " ".join(w for w in rest if w.startswith("-") and w.split("=")[0] not in known)


@pytest.mark.parametrize(
    ("page", "table"),
    [("measured.md", summarize), ("statistics.md", summarize_statistics), ("trust.md", trust_table)],
)
def test_the_tables_of_a_page_are_those_of_the_figures(page: str, table: Callable[[Path], str]) -> None:
    wanted = table(ROOT / "docs/results")
    assert wanted.strip() in (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_the_table_of_bad_inputs_is_that_of_the_figures_and_all_end_as_they_should() -> None:
    done = read_outcomes(ROOT / "docs/results/bad_inputs.json")
    assert bad_inputs_table(done) in (ROOT / "docs/bad_inputs.md").read_text(encoding="utf-8")
    assert [one for one in done if not one.is_right] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_a_page_exists(page: Path) -> None:
    wrong = [
        (" ".join(words), bad)
        for words in commands(page.read_text(encoding="utf-8"))
        if (bad := unknown(words))
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("smearscan run slides/ --out report.csv", ""),
        (".venv/bin/smearscan run slides/ --outt report.csv", "--outt"),
        ("smearscan weights stain", "stain"),
        ("python -m references leaks build/located.csv --data DATA", ""),
        ("python -m references leek", "leek"),
        ("make docs DATA=here", ""),
        ("make dogs", "dogs"),
    ],
)
def test_the_reader_of_commands(line: str, bad: str) -> None:
    found = list(commands(f"```sh\n{line}   # a note\n```\n"))
    assert len(found) == 1
    assert unknown(found[0]) == bad


def test_the_readme_is_a_front_door() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def programs(markdown: str) -> list[str]:
    return [text for language, text in _FENCE.findall(markdown) if language == "python"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_imports_from_the_package_is_there(page: Path) -> None:
    for program in programs(page.read_text(encoding="utf-8")):
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "smearscan":
                module = import_module(str(node.module))
                assert not [alias.name for alias in node.names if not hasattr(module, alias.name)]


def test_the_slide_worked_by_hand_comes_out_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
    program = next(text for text in programs(page) if "128, 60, 12" in text)
    exec(compile(program, "statistics.md", "exec"), {})
    printed = capsys.readouterr().out
    quoted = re.search(r"^> (12 of 200 leukocytes.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    assert quoted
    assert " ".join(quoted[1].replace("> ", "").split()) in printed
    for by_hand in ("p_value=0.0714", "critical=34", "detectable_percent=23.5"):
        assert by_hand in printed
