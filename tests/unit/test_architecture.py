"""The floors of the package: a module imports from lower floors only, and nothing imports in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "smearscan"

FLOORS: dict[str, float] = {
    **dict.fromkeys(("", "errors", "taxonomy", "results", "boxes"), 0),
    "statistics": 0.5,
    **dict.fromkeys(
        (
            "tiles",
            "crops",
            "background",
            "density",
            "stain_range",
            "images",
            "streams",
            "timing",
            "config",
            "naming",
            "differential",
            "flag",
        ),
        1,
    ),
    **dict.fromkeys(("weights", "runtime", "yolo", "backbones", "sources", "slide", "calibration"), 2),
    **dict.fromkeys(("detector", "classifier"), 3),
    "together": 3.25,
    **dict.fromkeys(("scale", "report", "nets"), 3.5),
    **dict.fromkeys(("single_cells", "pipeline"), 3.75),
    **dict.fromkeys(("scanner", "training", "synthetic"), 4),
    "evaluation": 5,
    "cli": 6,
}
"""Of each module or sub-package of smearscan; "" is the package itself."""

NEIGHBORS = {
    ("results", "taxonomy"),
    ("flag", "differential"),
    ("calibration", "weights"),
    ("background", "crops"),
    ("density", "crops"),
    ("stain_range", "density"),
}
"""Imports within a floor: results name classes, the flag reads the count, the card lies by its nets, what is
taken out of a crop becomes the gray that the crop function fills with."""

LATE = {("results", "report"), ("slide", "report")}
"""Imports of a higher floor, inside a function: the tables of a result, where a caller asks for them."""


def modules() -> dict[str, Path]:
    """Dotted name below smearscan -> file; a package is named as itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "_shipped":
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def floor_name(module: str) -> str:
    return module.split(".")[0]


class Imports(ast.NodeVisitor):
    """Collects (module imported, inside a function) of one file, without what only a type checker reads."""

    def __init__(self, known: set[str]) -> None:
        self.found: list[tuple[str, bool]] = []
        self._known, self._depth = known, 0

    def _add(self, dotted: str) -> None:
        if dotted == "smearscan" or dotted.startswith("smearscan."):
            self.found.append((dotted.removeprefix("smearscan").removeprefix("."), self._depth > 0))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert not node.level, "imports are absolute"
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            is_module = full.removeprefix("smearscan.") in self._known
            self._add(full if is_module else str(node.module))

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1


def imports(source: str, known: set[str]) -> list[tuple[str, bool]]:
    visitor = Imports(known)
    visitor.visit(ast.parse(source))
    return visitor.found


def every_import() -> list[tuple[str, str, bool]]:
    files = modules()
    return [
        (name, target, late)
        for name, path in files.items()
        for target, late in imports(path.read_text(encoding="utf-8"), set(files))
    ]


def complaint(module: str, target: str, late: bool) -> str | None:
    """Say why an import is not allowed; None where it is."""
    here, there = floor_name(module), floor_name(target)
    if here == there or (here, there) in NEIGHBORS or (late and (here, there) in LATE):
        return None
    if here == "statistics" and there != "taxonomy":
        return f"{module} is pure and may import taxonomy only, not {target}"
    if here == "training" and there in ("evaluation", "scanner"):
        return f"{module} trains and may not import {target}"
    if there == "evaluation" and here != "cli":
        return f"{target} may be imported by cli only, not by {module}"
    if FLOORS[there] < FLOORS[here] or there == "":
        return None
    return f"{module} (floor {FLOORS[here]}) imports {target} (floor {FLOORS[there]})"


def test_the_reader_of_imports_sees_every_kind() -> None:
    source = """
import smearscan.boxes
from smearscan import errors, __version__
from smearscan.training.loop import Curves
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from smearscan.cli import main
class A:
    def f(self):
        from smearscan.report.tables import cells_frame
"""
    assert imports(source, {"errors", "boxes", "training.loop", "report.tables"}) == [
        ("boxes", False),
        ("errors", False),
        ("", False),
        ("training.loop", False),
        ("report.tables", True),
    ]


@pytest.mark.parametrize(
    ("module", "target", "late", "allowed"),
    [
        ("detector", "boxes", False, True),
        ("boxes", "detector", False, False),
        ("detector", "classifier", False, False),
        ("classifier", "detector", True, False),
        ("scale", "detector", False, True),
        ("detector", "scale", False, False),
        ("scanner", "scale", False, True),
        ("results", "report.tables", False, False),
        ("results", "report.tables", True, True),
        ("boxes", "report.tables", True, False),
        ("training.cells", "detector", False, True),
        ("training.cells", "training.loop", False, True),
        ("training.loop", "scanner", False, False),
        ("training.loop", "evaluation.detection", True, False),
        ("cli.train", "evaluation.detection", True, True),
        ("evaluation.detection", "boxes", False, True),
        ("statistics.errors", "taxonomy", False, True),
        ("statistics.excess", "statistics.errors", False, True),
        ("statistics.excess", "results", False, False),
        ("statistics.excess", "errors", True, False),
        ("flag", "statistics.excess", False, True),
        ("naming", "statistics.errors", False, True),
        ("naming", "differential", False, False),
        ("calibration", "naming", False, True),
        ("calibration", "weights", False, True),
        ("weights", "calibration", False, False),
        ("slide", "calibration", False, False),
    ],
)
def test_the_rule_itself(module: str, target: str, late: bool, allowed: bool) -> None:
    assert (complaint(module, target, late) is None) == allowed


def test_every_module_has_a_floor() -> None:
    assert {floor_name(name) for name in modules()} <= set(FLOORS)
    assert len(modules()) > 20


def test_modules_import_from_lower_floors_only() -> None:
    complaints = [told for one in every_import() if (told := complaint(*one))]
    assert not complaints, "\n".join(complaints)


def test_no_import_runs_in_a_circle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for name, target, late in every_import():
        if not late and target != name:
            graph[name].add(target)
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle in its message


def test_the_stages_and_their_trainers_do_not_know_each_other() -> None:
    pairs = {("detector", "classifier"), ("training.detector", "training.classifier")}
    pairs |= {("training.detector", "classifier"), ("training.classifier", "detector")}
    pairs |= {(b, a) for a, b in pairs}
    assert not [(a, b) for a, b, _ in every_import() if (a, b) in pairs]


def test_one_file_alone_touches_ultralytics() -> None:
    users = [
        name
        for name, path in modules().items()
        if any(
            (isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "ultralytics")
            or (
                isinstance(node, ast.Import)
                and any(a.name.split(".")[0] == "ultralytics" for a in node.names)
            )
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]
    assert users == ["yolo"]
