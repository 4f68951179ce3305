"""Measures everything docs/performance.md tells, and writes it: ``python -m benchmarks.performance``.

On a machine with nothing else to do it takes about three quarters of an hour; ``--quick`` six
minutes, and its figures mean nothing: it shows that all of it runs, and writes to build/benchmarks.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.fields import FOLDER

_ROOT = Path(__file__).resolve().parents[1]
_DATA = Path(os.environ.get("SMEARSCAN_DATA", _ROOT.parent / "shared" / "data"))
_CELLS = _ROOT / "build" / "grouped.csv"

PARTS = (
    "beside_peer", "limits", "profile", "scaling", "start_up", "whole_command",
    "whole_command_real", "threads", "engines", "batches", "memory_layout", "architectures",
    "working_scale", "crop_pixels", "int8", "smaller_detector",
)  # fmt: skip


def measured(part: str, quick: bool, data: Path | None, cells: Path) -> dict[str, Any]:
    """Measure one part in this process; it imports what it needs only."""
    from benchmarks import accuracy, commands, int8, networks, smaller_detector, whole

    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "start_up": lambda: commands.start_up(quick),
        "whole_command": lambda: commands.whole_command(quick),
        "whole_command_real": lambda: commands.whole_command_real(quick, data),
        "engines": lambda: networks.engines(quick, data),
        "working_scale": lambda: accuracy.working_scale(quick, data),
        "crop_pixels": lambda: accuracy.crop_pixels(quick, data, cells),
        "int8": lambda: int8.int8(quick, data, cells),
        "smaller_detector": lambda: smaller_detector.smaller_detector(quick, data),
    }
    own = getattr(whole, part, None) or getattr(networks, part, None)
    return ways[part]() if part in ways else own(quick)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="see that it runs; figures mean nothing")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part, keep the others")
    parser.add_argument("--render", action="store_true", help="measure nothing, write tables and plot again")
    parser.add_argument("--out", type=Path, help="Markdown file with markers; default docs/performance.md")
    parser.add_argument("--json", type=Path, help="raw figures; default docs/results/performance.json")
    parser.add_argument("--data", type=Path, default=_DATA, help="folder of the real data sets, if there")
    parser.add_argument("--cells", type=Path, default=_CELLS, help="manifest of located cells, if there")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)  # what a process of our own does
    asked = parser.parse_args()
    data = asked.data if asked.data.is_dir() else None
    if asked.part:
        asked.json.write_text(json.dumps(measured(asked.part, asked.quick, data, asked.cells)))
        return
    document = _ROOT / "docs" / "performance.md"
    out = asked.out or (FOLDER / document.name if asked.quick else document)
    results = asked.json or (
        FOLDER / "performance.json" if asked.quick else _ROOT / "docs/results/performance.json"
    )
    if out != document and not asked.render:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(document, out)
    known: dict[str, Any] = json.loads(results.read_text()) if results.is_file() else {}
    if not asked.render:
        _measure(asked, known, results)
    write(known, out)
    print(f"written: {results}, {out}, {out.with_suffix('.png')}", file=sys.stderr)


def _measure(asked: argparse.Namespace, known: dict[str, Any], results: Path) -> None:
    about = machine.described()
    for part in asked.only or PARTS:
        began = time.perf_counter()
        print(f"{part} ...", end=" ", file=sys.stderr, flush=True)
        figures = _in_new_process(part, asked)
        taken = time.perf_counter() - began
        print(
            f"{taken:.0f} s" if figures else "left out: needs what is not here", file=sys.stderr, flush=True
        )
        if figures:
            known[part] = {"machine": about, "took_seconds": round(taken), "figures": figures}
            machine.write_json(results, known)  # a stop half-way loses nothing


def _in_new_process(part: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Measure a part with no thread and no memory left over from another."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    told = FOLDER / f"part-{os.getpid()}.json"
    command = [sys.executable, "-m", "benchmarks.performance", "--part", part, "--json", str(told)]
    command += ["--data", str(asked.data), "--cells", str(asked.cells), *(["--quick"] if asked.quick else [])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])}
    try:
        subprocess.run(command, check=True, cwd=_ROOT, env=env, stdout=sys.stderr)
        figures: dict[str, Any] = json.loads(told.read_text())
    finally:
        told.unlink(missing_ok=True)
    return figures


def write(known: dict[str, Any], out: Path) -> None:
    """Write tables and plot of what was measured."""
    from benchmarks import plots, tables

    text = out.read_text(encoding="utf-8")
    for part in PARTS:
        if part in known:
            text = filled(text, part, tables.table(part, known))
    out.write_text(filled(text, "machine", tables.about(known)), encoding="utf-8")
    plots.draw(known, out.with_suffix(".png"))


def filled(text: str, name: str, table: str) -> str:
    """Put a table between the two markers of its name, in place of what stood there."""
    before, begin, rest = text.partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not begin or not end:
        raise ValueError(
            f"no lines '<!-- {name} -->' and '<!-- /{name} -->'; put them where the table belongs"
        )
    return f"{before}{begin}\n\n{table.strip()}\n\n{end}{after}"


if __name__ == "__main__":
    main()
