"""The lock file fits what the package asks for, names no place to load from, and has a hash for each file."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from references.licenses import by_license, table
from references.vulnerabilities import known_against, sentences
from smearscan.errors import DatasetError

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "lock.txt"
CURE = "run: make lock"


def pins() -> dict[str, list[tuple[Requirement, str]]]:
    """Pinned versions by package, with what stands below each."""
    found: dict[str, list[tuple[Requirement, str]]] = {}
    for line, beside in re.findall(r"^([a-z0-9].*?) \\\n((?: .*\n?)*)", LOCK.read_text(), re.MULTILINE):
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, beside))
    return found


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    more = [one for name in ("exports", "wsi", "sign") for one in project["optional-dependencies"][name]]
    return [Requirement(one) for one in [*project["dependencies"], *more]]


@pytest.mark.parametrize("requirement", wanted(), ids=lambda requirement: requirement.name)
def test_each_requirement_is_pinned_to_a_version_it_allows(requirement: Requirement) -> None:
    pinned = pins().get(canonicalize_name(requirement.name), [])
    assert pinned, CURE
    for own, _ in pinned:
        (version,) = [each.version for each in own.specifier if each.operator == "=="]
        assert requirement.specifier.contains(version, prereleases=True), CURE


def test_every_pin_has_hashes_and_no_place() -> None:
    assert sum(map(len, pins().values())) == len(re.findall(r"^[a-z0-9]", LOCK.read_text(), re.MULTILINE))
    for own in pins().values():
        assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", beside) for _, beside in own)
    assert not re.search(r"https?://|--index|--find-links|file:", LOCK.read_text())


# ---------------------------------------------------------------- licenses


def test_packages_are_told_by_license(tmp_path: Path) -> None:
    parts = [
        {"name": "b", "version": "1", "licenses": [{"license": {"id": "MIT"}}]},
        {"name": "A", "version": "2", "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "x"}}]},
        {"name": "c", "version": "3", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
        {"name": "d", "version": "4", "licenses": [{"license": {"name": "own  words | here"}}]},
        {"name": "e", "version": "5"},
    ]
    (tmp_path / "sbom.json").write_text(json.dumps({"bomFormat": "CycloneDX", "components": parts}))
    found = by_license(tmp_path / "sbom.json")
    assert found == {
        "": ["e 5"], "MIT": ["A 2", "b 1"], "MIT OR Apache-2.0": ["c 3"], "own words | here": ["d 4"],
    }  # fmt: skip
    assert "| not told | e 5 |\n| MIT | A 2, b 1 |" in table(found)
    assert "| own words / here |" in table(found)


@pytest.mark.parametrize("content", ["{", "[]", '{"bomFormat": "SPDX"}', '{"bomFormat": "CycloneDX"}'])
def test_what_is_no_bill_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "sbom.json").write_text(content)
    with pytest.raises(DatasetError, match=r"sbom\.json: is no bill of materials; make one with 'make sbom'"):
        by_license(tmp_path / "sbom.json")


# ---------------------------------------------------------------- vulnerabilities


def answer(**versions: list[str] | None) -> str:
    """What pip-audit prints: of each package the identifiers, or None where it got no answer."""
    told = [
        {"name": name, "skip_reason": "not found"}
        if ids is None
        else {"name": name, "version": "1", "vulns": [{"id": each} for each in ids]}
        for name, ids in versions.items()
    ]
    return json.dumps({"dependencies": told, "fixes": []})


def test_vulnerabilities_are_told_by_version() -> None:
    assert known_against(answer(a=[], b=[]), "") == (2, {})
    asked, found = known_against(answer(a=[], b=["PYSEC-1", "PYSEC-2"]), "")
    assert sentences(asked, found) == "b 1: PYSEC-1, PYSEC-2\n1 of 2 versions have a known vulnerability"


@pytest.mark.parametrize(
    ("printed", "complaints", "told"),
    [
        (answer(a=None, b=[]), "No known vulnerabilities", "answered for 1 of 2 versions, and not for a"),
        (answer(), "", "answered for 0 of 0"),
        ("", "Traceback\nConnectionError: no route\n", "was not reached: ConnectionError: no route;"),
        ("", "", "was not reached: pip-audit printed nothing;"),
    ],
)  # fmt: skip
def test_no_answer_is_no_clearance(printed: str, complaints: str, told: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(told) + ".*ask again"):
        known_against(printed, complaints)
