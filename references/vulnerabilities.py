"""Known vulnerabilities of the locked versions, by pip-audit; a version without an answer is not cleared."""

import json
import subprocess
import sys
from pathlib import Path

from smearscan.errors import DatasetError
from smearscan.results.doubts import first_of


def audited(lock: Path) -> tuple[int, dict[str, list[str]]]:
    """Ask the Python Packaging Advisory Database about every version of a lock file.

    Returns
    -------
    asked : int
        Versions.
    found : dict
        ``name version`` to the identifiers of what is known against it.

    Raises
    ------
    DatasetError
        As :func:`known_against`.
    """
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(lock),
        "--disable-pip",
        "--require-hashes",
    ]
    told = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
    )
    return known_against(told.stdout, told.stderr)


def known_against(printed: str, complaints: str) -> tuple[int, dict[str, list[str]]]:
    """Read what pip-audit printed; it ends well, too, where the database answered for no version.

    Raises
    ------
    DatasetError
        If it did not answer for every version.
    """
    try:
        versions = json.loads(printed)["dependencies"]
        unanswered = [one["name"] for one in versions if "skip_reason" in one]
    except (ValueError, KeyError, TypeError) as error:
        why = (complaints.strip() or "pip-audit printed nothing").splitlines()[-1]
        raise DatasetError(
            f"the database of vulnerabilities was not reached: {why[:300]}; {_CURE}"
        ) from error
    if unanswered or not versions:
        raise DatasetError(
            f"the database of vulnerabilities answered for {len(versions) - len(unanswered)} of "
            f"{len(versions)} versions, and not for {first_of(unanswered)}; {_CURE}"
        )
    known = {f"{one['name']} {one['version']}": [each["id"] for each in one["vulns"]] for one in versions}
    return len(versions), {name: ids for name, ids in known.items() if ids}


_CURE = "nothing is known of these: ask again with a network that reaches pypi.org"


def sentences(asked: int, found: dict[str, list[str]]) -> str:
    """Tell what was found, a line each."""
    lines = [f"{name}: {', '.join(ids)}" for name, ids in found.items()]
    return "\n".join([*lines, f"{len(found)} of {asked} versions have a known vulnerability"])
