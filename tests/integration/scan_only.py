"""``make scan-only``: a cold scan in an environment without torch answers as this one does, to the byte.

:func:`linked` makes such an environment in a second, of the packages that are installed here.
"""

import os
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ABSENT = ("torch", "torchvision", "ultralytics", "sklearn", "matplotlib")
_MOST_MB = 1000


def linked(place: Path) -> Path:
    """Make an environment of what requirements/scan.txt asks for, as links; give its interpreter."""
    venv.create(place, with_pip=False, symlinks=True)
    packages = next(place.glob("lib/python*/site-packages"))
    asked = (ROOT / "requirements" / "scan.txt").read_text(encoding="utf-8").splitlines()
    for own in _with_all_they_need([line for line in asked if not line.startswith("#")]):
        for top in {file.parts[0] for file in own.files or ()} - {"..", "__pycache__"}:
            (packages / top).symlink_to(Path(str(own.locate_file(top))))
    return place / "bin" / "python"


def _with_all_they_need(asked: list[str]) -> list[Distribution]:
    """Installed packages that are asked for, and those that these ask for in turn."""
    found: dict[str, Distribution] = {}
    while asked:
        wanted = Requirement(asked.pop())
        if wanted.name not in found and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            found[wanted.name] = distribution(wanted.name)
            asked += found[wanted.name].requires or []
    return list({own.name: own for own in found.values()}.values())  # one may be asked for by two spellings


def main(place: Path) -> None:
    """Make the environment in `place`, scan drawn smears in both, and compare."""
    venv.create(place / "venv", with_pip=True, clear=True)
    python = str(place / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-r", str(ROOT / "requirements" / "scan.txt")], check=True)
    subprocess.run([*pip, "--no-deps", str(ROOT)], check=True)
    there = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    found = subprocess.run([python, "-c", there], capture_output=True, text=True, check=True, cwd=place)
    assert found.stdout.strip() == "[]", f"installed, though nothing asks for it: {found.stdout}"
    packages = next((place / "venv").glob("lib/python*/site-packages"))
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file()) / 1e6
    print(f"{size:.0f} MB installed")
    assert size < _MOST_MB
    reports = []
    for name, interpreter in (("with", sys.executable), ("without", python)):
        out = place / name
        environment = {**os.environ, "SMEARSCAN_CACHE": str(place / f"cache_{name}")}
        code = "from smearscan.cli import main; main()"
        subprocess.run([interpreter, "-c", code, "demo", str(out)], check=True, env=environment, cwd=place)
        reports.append({file: (out / file).read_bytes() for file in ("report.csv", "cells.csv")})
    assert reports[0] == reports[1], "the reports differ"
    print("the same reports, to the byte")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
