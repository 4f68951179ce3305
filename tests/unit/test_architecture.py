"""The rooms of the package: a room imports from rooms below it only, and nothing imports in a circle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "smearscan"

ROOMS = (
    "cli",
    "method_comparison",
    "experiments",
    "calibration",
    "training",
    "scan",
    "report",
    "differential",
    "rulers",
    "classification",
    "detection",
    "runtime",
    "weights",
    "io",
    "synthetic",
    "results",
    "config",
    "numeric",
    "taxonomy",
    "errors",
)
"""From the top of the house to its ground; the package's own ``__init__`` stands beside it."""

STRANGERS = (
    ("detection", "classification"),
    ("training.train_detector", "training.train_classifier"),
    ("training.train_detector", "classification"),
    ("training.train_classifier", "detection"),
)
"""Either stage is retrained without the other: these do not know each other, in neither direction."""


def modules() -> dict[str, Path]:
    """Dotted name below smearscan -> file; a package is named as itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "_shipped":
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, known: set[str]) -> Iterator[str]:
    """Modules of the package that a file imports: at its top, late, or for the type checker alone."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            named = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [
                full if full.removeprefix("smearscan.") in known else str(node.module) for full in named
            ]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            continue
        for target in targets:
            assert target.split(".")[0] not in ("references", "benchmarks", "tests"), target
            if target == "smearscan" or target.startswith("smearscan."):
                yield target.removeprefix("smearscan").removeprefix(".")


def every_import() -> list[tuple[str, str]]:
    files = modules()
    return [
        (name, target)
        for name, path in files.items()
        for target in imports(path.read_text(encoding="utf-8"), set(files))
    ]


def room(module: str) -> str:
    return module.split(".")[0]


def allowed(module: str, target: str) -> bool:
    """Whether an import stays in its room or goes down; the package itself offers its version to all."""
    here, there = room(module), room(target)
    return here == there or "" in (here, there) or ROOMS.index(here) < ROOMS.index(there)


def within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def test_the_reader_of_imports_sees_every_kind() -> None:
    source = """
import smearscan.results
from smearscan import errors, __version__
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from smearscan.cli import main
class A:
    def f(self):
        from smearscan.training.loop import Curves
"""
    known = {"results", "errors", "cli", "training.loop"}
    assert sorted(imports(source, known)) == ["", "cli", "errors", "results", "training.loop"]


@pytest.mark.parametrize(
    ("module", "target", "good"),
    [
        ("detection.detector", "detection.boxes", True),
        ("detection.detector", "results", True),
        ("results", "detection.detector", False),
        ("rulers.scale", "detection.detector", True),
        ("detection.detector", "rulers.scale", False),
        ("training.loop", "scan.scanner", True),
        ("scan.scanner", "training.loop", False),
        ("weights.pairs", "", True),
    ],
)
def test_the_rule_itself(module: str, target: str, good: bool) -> None:
    assert allowed(module, target) == good


def test_every_module_is_in_a_room() -> None:
    assert {room(name) for name in modules()} - {""} == set(ROOMS)


def test_rooms_import_from_rooms_below_only() -> None:
    upward = [
        f"{module} imports {target}" for module, target in every_import() if not allowed(module, target)
    ]
    assert not upward, "\n".join(upward)


def test_no_import_runs_in_a_circle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for name, target in every_import():
        if name and target not in (name, ""):
            graph[name].add(target)
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle in its message


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_the_stages_and_their_trainers_do_not_know_each_other(one: str, other: str) -> None:
    known = [
        (a, b)
        for a, b in every_import()
        if (within(a, one) and within(b, other)) or (within(a, other) and within(b, one))
    ]
    assert not known


def test_one_file_alone_touches_ultralytics() -> None:
    def packages(node: ast.AST) -> list[str]:
        if isinstance(node, ast.ImportFrom):
            return [str(node.module)]
        return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []

    users = {
        name
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(package.split(".")[0] == "ultralytics" for package in packages(node))
    }
    assert users == {"detection.yolo"}
