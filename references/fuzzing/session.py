"""A session of fuzzing: every target for so long, and how many files each was given."""

import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from references.fuzzing.targets import targets
from smearscan.errors import ConfigError

_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_STARTING_S = 600
"""A target that has not ended so long after its time hangs."""


def fuzz_targets(names: Sequence[str], seconds: float, findings: Path) -> dict[str, Any]:
    """Fuzz targets one after the other, each in a process of its own.

    Parameters
    ----------
    names : sequence of str
        Of :func:`references.fuzzing.targets.targets`; empty takes all.
    seconds : float
        Time of each.
    findings : Path
        Folder for files that broke a promise; made where it is missing.

    Returns
    -------
    dict
        By what it was fuzzed, for how long, and of each of the ``targets``, ``executions`` and ``findings``:
        what it printed last, where it ended early or by an error; of these also the sums.

    Raises
    ------
    ConfigError
        If a name is not known.
    """
    known = targets()
    if unknown := set(names) - known.keys():
        raise ConfigError(f"--target {unknown.pop()}: is none of {', '.join(known)}")
    findings.mkdir(parents=True, exist_ok=True)
    found = {name: _fuzzed(name, seconds, findings) for name in names or known}
    return {
        "by": _tool(),
        "seconds_each": seconds,
        "executions": sum(one["executions"] for one in found.values()),
        "findings": sum(len(one["findings"]) for one in found.values()),
        "targets": found,
    }


def _tool() -> str:
    try:
        return f"atheris {version('atheris')}"
    except PackageNotFoundError:
        return "plain mutation"


def _fuzzed(name: str, seconds: float, findings: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "references.fuzzing", name, str(seconds), str(findings)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds + _STARTING_S
        )
    except subprocess.TimeoutExpired:
        return {"executions": 0, "findings": [f"{name}: hangs"]}
    printed = done.stdout + done.stderr
    executed = _EXECUTED.search(printed)
    is_sound = done.returncode == 0 and executed and "Traceback" not in printed
    return {
        "executions": int(executed[1]) if executed else 0,
        "findings": [] if is_sound else [_without_places(printed[-2000:])],
    }


def _without_places(text: str) -> str:
    """Take away where this machine keeps the program and its packages."""
    # the packages may lie within the checkout: the longest first
    for place in sorted((str(Path.cwd()), sys.prefix, sys.base_prefix), key=len, reverse=True):
        text = text.replace(f"{place}/", "")
    return text
