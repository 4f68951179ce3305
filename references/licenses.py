"""Licenses of what is installed, from a bill of materials in CycloneDX's JSON (ECMA-424)."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from smearscan.errors import DatasetError

_LONGEST = 60


def by_license(sbom: Path) -> dict[str, list[str]]:
    """List packages with their versions by what they say of their license, "" where they say nothing.

    Raises
    ------
    DatasetError
        If the file is no bill of materials.
    """
    try:
        content = json.loads(sbom.read_text(encoding="utf-8"))
        parts = content["components"] if content["bomFormat"] == "CycloneDX" else None
        if parts is None:
            raise ValueError(f"its format is {content['bomFormat']}")
        found = defaultdict(list)
        for part in parts:
            found[_license(part)].append(f"{part['name']} {part['version']}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{sbom}: is no bill of materials; make one with 'make sbom' ({error})") from error
    return {name: sorted(found[name], key=str.casefold) for name in sorted(found, key=str.casefold)}


def table(found: dict[str, list[str]]) -> str:
    """Write packages by license as a table in Markdown."""
    rows = [f"| {name.replace('|', '/') or 'not told'} | {', '.join(own)} |" for name, own in found.items()]
    return "\n".join(["| license | packages |", "|---|---|", *rows]) + "\n"


def _license(part: dict[str, Any]) -> str:
    """License of a component: SPDX's name or expression where there is one, else its own words, cut short."""
    told = part.get("licenses", [])
    names = [each.get("expression") or each["license"].get("id") for each in told]
    if not any(names):
        names = [" ".join(each["license"].get("name", "").split())[:_LONGEST] for each in told]
    return ", ".join(sorted({name for name in names if name}))
