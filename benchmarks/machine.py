"""What figures depend on: the machine, versions of libraries, weights, memory of this process."""

import os
import platform
import resource
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from smearscan import __version__
from smearscan.report.figures import json_of_figures
from smearscan.weights.pairs import load_any_card, shipped

_PACKAGES = ("torch", "openvino", "onnxruntime", "ultralytics", "opencv-python", "numpy", "nncf")


def described() -> dict[str, Any]:
    """Tell machine, versions and weights, and how busy the machine was with other things."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "load_before": round(os.getloadavg()[0], 2),
        "smearscan": f"{__version__} ({_revision()})",
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "weights": {
            name: load_any_card(shipped(name)).sha256[:12] for name in ("detector", "differential", "blast")
        },
    }


def in_words(machine: dict[str, Any]) -> str:
    """Put :func:`described` in one paragraph."""
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    weights = ", ".join(f"{name}:{digest}" for name, digest in machine["weights"].items())
    return (
        f"{machine['when']}; {machine['cores']} cores of {machine['processor']}, {machine['memory_gb']:g} GB "
        f"of memory; {machine['system']}; smearscan {machine['smearscan']}; {packages}; weights {weights}; "
        f"load before the run {machine['load_before']:g}."
    )


def peak_mb() -> float:
    """Most memory this process has held so far, MB (10^6 bytes).

    On Linux not ``ru_maxrss``: that begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(line[1]) * 1024 / 1e6 for line in lines if line[0] == "VmHWM:")
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def write_json(path: Path, figures: dict[str, Any]) -> None:
    """Write figures so that two runs can be compared line by line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json_of_figures(figures), encoding="utf-8")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def _revision() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    told = subprocess.run(asked, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return told.stdout.strip() or "no checkout"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
