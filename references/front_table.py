"""The one table of the README: how good it is at sites it has learned from, at sites it has not, and how quick."""

import json
from pathlib import Path
from typing import Any

from smearscan.differential.statistics.estimates import share

Figures = dict[str, Any]


def front_table(folder: Path) -> str:
    """Turn a folder of results into the README's table.

    Parameters
    ----------
    folder : Path
        Holds ``detector.json``, ``detector_without_SITE.json``, ``differential.json``, ``differential_unseen.json``,
        ``blast_crossval.json``, ``unseen_leukemias.json``, ``pooled.json``, ``pooled_unseen.json`` and ``performance.json``.
    """
    files = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    }
    unseen = files["unseen_leukemias"]
    without = [f for name, f in files.items() if name.startswith("detector_without_")]
    held_out = [f["scale measured"] for f in files["detector"].values() if "scale measured" in f]
    never = [site["scale measured"] for f in without for site in f.values()]
    blast = files["blast_crossval"]["all"]
    rows = [
        ("leukocytes found", _recall(held_out), _recall(never)),
        ("type right", _by_groups(files["differential"]["all"]["accuracy"]),
         _by_groups(files["differential_unseen"]["all"]["accuracy"])),
        ("blasts called blast", _by_groups(blast["recall"], blast["blasts"]), _of(unseen["blasts"]["called_blast"])),
        ("of these lymphoblasts", "none among the labeled cells", _of(unseen["by_class"]["lymphoblast"]["called_blast"])),
        ("cells that are no blast, not called so", _by_groups(blast["specificity"], blast["healthy"]),
         _not(unseen["mature"]["called_blast"])),
        ("leukemia patients flagged", "not measured on whole slides", _flags(unseen["patients"])),
        ("healthy slides flagged, pooled from real cells", _falsely(files["pooled"]),
         _falsely_elsewhere(files["pooled_unseen"])),
    ]  # fmt: skip
    lines = ["| | sites the networks have learned from, cells held out | sites never seen |", "|---|---|---|"]
    lines += [f"| {name} | {seen} | {new} |" for name, seen, new in rows]
    return "\n".join([*lines, "", _speed(files["performance"]["beside_peer"])]) + "\n"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}".removesuffix(".0")


def _of(f: Figures) -> str:
    low, high = f["interval_95"]
    return f"{_percent(f['value'])} % ({_percent(low)} to {_percent(high)}; {f['n']} of {f['of']} cells)"


def _not(f: Figures) -> str:
    return _of(share(f["of"] - f["n"], f["of"]))


def _recall(sites: list[Figures]) -> str:
    return _of(share(sum(f["recall"]["n"] for f in sites), sum(f["recall"]["of"] for f in sites)))


def _by_groups(f: Figures, cells: int | None = None) -> str:
    low, high = f["interval_95"]
    told = f"{_percent(f['value'])} % ({_percent(low)} to {_percent(high)}; "
    return told + f"{cells or f['cells']} cells of {f['groups']} patients, slides or pictures)"


def _flags(patients: list[Figures]) -> str:
    flagged = share(sum(p["flag"] == "flagged" for p in patients), len(patients))
    low, high = flagged["interval_95"]  # type: ignore[misc]
    states = sorted({p["flag"] for p in patients})
    rest = f"all `{states[0]}`" if len(states) == 1 else ", ".join(f"`{state}`" for state in states)
    return f"{flagged['n']} of {len(patients)} ({_percent(low)} to {_percent(high)} %); {rest}"


def _falsely(rows: list[Figures]) -> str:
    row = next(row for row in rows if not row["blast_percent"])
    low, high = row["flagged"]["interval_95"]
    told = f"{_percent(row['flagged']['value'])} % ({_percent(low)} to {_percent(high)}; "
    return told + f"{row['slides']} slides of {row['groups']} patients, slides or sites)"


def _falsely_elsewhere(sites: dict[str, list[Figures]]) -> str:
    """Mean of laboratories, of which each has its own composition and way to photograph, and the worst."""
    healthy = {
        name: next(row["flagged"]["value"] for row in rows if not row["blast_percent"])
        for name, rows in sites.items()
    }
    worst = max(healthy, key=healthy.__getitem__)
    mean = sum(healthy.values()) / len(healthy)
    return f"{_percent(mean)} % (mean of {len(healthy)} laboratories; of the worst, {worst}, {_percent(healthy[worst])} %)"


def _speed(part: Figures) -> str:
    field = part["figures"]["640x480"]
    run, ratio = field["runs"]["smearscan"], field["times_faster_than_peer"]["smearscan"]
    each = sorted(seconds / field["fields"] * 1000 for seconds in run["seconds"])
    machine = part["machine"]
    return (
        f"**Speed** of version {machine['smearscan'].split()[0]} on {machine['cores']} cores of {machine['processor']}, no GPU: {run['ms_per_field']:.1f} ms a field of 640x480 (median of {field['rounds']} "
        f"rounds of {field['fields']} fields, {each[0]:.1f} to {each[-1]:.1f}), {ratio:.1f} times the speed of a plain loop "
        f"around the same networks; {run['peak_mb']:.0f} MB of memory at most."
    )
