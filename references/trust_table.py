"""What long runs found that no test of every day repeats, as the table of the page Trust."""

import json
from pathlib import Path
from typing import Any

_ROWS = {
    "make bad-inputs": (
        "{right} of {inputs} bad and odd inputs end as they should: [bad inputs](bad_inputs.md)"
    ),
    "make kill-test": (
        "{same_bytes} of {runs} scans that were killed, {between_slides} of them between their first and "
        "their last slide, were resumed to byte-identical reports"
    ),
    "make fuzz": (
        "{executions:,} files in {n_targets} parsers, {seconds_each:g} s each, by {by}; findings: {findings} "
        "([fuzz.json](results/fuzz.json))"
    ),
    "make soak": (
        "{fields:,} of {fields_wanted:,} drawn fields on {slides} slides, {failed} failed: memory grew by "
        "{growth_mb:g} MB over the last two thirds, {peak_mb:g} MB at most ([its curve](results/soak.json))"
    ),
    "python -m benchmarks.versions": (
        "{ratio:g} times the core time of version {before} on {n_fields} drawn fields of {kind} px, in turns "
        "(quartiles of the rounds {low:g} to {high:g}; load before {load_before:g})"
    ),
}


def trust_table(results: Path) -> str:
    """Write a row a run, from the figures that its command left in the folder of results."""

    def read(name: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
        return told

    fuzz, versions = read("fuzz"), read("versions")
    figures = {
        "make bad-inputs": read("bad_inputs"),
        "make kill-test": read("kill_test"),
        "make fuzz": {**fuzz, "n_targets": len(fuzz["targets"])},
        "make soak": read("soak"),
        "python -m benchmarks.versions": {
            **versions["machine"],
            **versions["scan"],
            "n_fields": versions["scan"]["fields"],
            "before": versions["before"],
        },
    }
    lines = [f"| `{name}` | {row.format(**figures[name])} |" for name, row in _ROWS.items()]
    return "\n".join(["| command | last result |", "|---|---|", *lines]) + "\n"
