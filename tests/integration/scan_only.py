"""``make scan-only``: a cold scan in an environment without torch answers as this one does, to the byte."""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
_MOST_MB = 1000
_ABSENT = ("torch", "torchvision", "ultralytics", "sklearn", "matplotlib")


def main(place: Path) -> None:
    """Make the environment in `place`, scan drawn smears in both, and compare."""
    venv.create(place / "venv", with_pip=True, clear=True)
    python = str(place / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-r", str(ROOT / "requirements" / "scan.txt")], check=True)
    subprocess.run([*pip, "--no-deps", str(ROOT)], check=True)
    there = f"import importlib.util as u; print([n for n in {_ABSENT} if u.find_spec(n)])"
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
