"""Measures the review page of many cells in Chromium: ``python -m benchmarks.review_page`` fills docs/review.md.

Drawn fields, named as a fair net might; three pages of 5,000 cells. It takes some minutes. ``--quick`` shows
that it runs, on 200 cells; ``--shots FOLDER`` also leaves pictures of the page, to be looked at.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.performance import filled

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT / "tests" / part) for part in ("unit", "integration")]

import drawn_run  # noqa: E402
from browser import Watched, chromium  # noqa: E402

from smearscan.report.review import Written, write_review  # noqa: E402
from smearscan.results import FieldResult  # noqa: E402

CELLS, SLIDES, QUICK = 5_000, 20, 200
_RECLASSED = 40
_ONE_KEY = """async key => {
    const began = performance.now();
    document.querySelector('#cells').dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    await new Promise(done => requestAnimationFrame(() => {
        const after = new MessageChannel();
        after.port1.onmessage = done;
        after.port2.postMessage(0);
    }));
    return performance.now() - began;
}"""
_TO_THE_END = """async () => {
    const cells = document.querySelector('#cells');
    let last = performance.now(), worst = 0;
    for (let step = 1; step <= 100; step++) {
        cells.scrollTop = step / 100 * cells.scrollHeight;
        await new Promise(requestAnimationFrame);
        worst = Math.max(worst, performance.now() - last);
        last = performance.now();
    }
    return worst;
}"""


def slides_of(pool: list[FieldResult], n_slides: int, n_cells: int) -> drawn_run.Slides:
    """Give slides of about so many cells in all, of the same few fields over and over."""
    made, source, known = [], cycle(pool), drawn_run.errors()
    for i in range(n_slides):
        fields: list[FieldResult] = []
        while sum(map(len, fields)) < n_cells / n_slides:
            fields.append(replace(next(source), slide_id=f"slide {i + 1:02d}"))
        made.append((drawn_run.report(f"slide {i + 1:02d}", list(fields), known), list(fields)))
    return made


def measured(browser: Any, made: Written, seconds: float, hash_: str) -> dict[str, Any]:
    """Open a page, re-class, scroll; milliseconds and MB."""
    file = made.files[1] if len(made.files) > 1 else made.files[0]
    watched = Watched(browser, file, viewport={"width": 1400, "height": 900})
    began = time.perf_counter()
    page = watched.open(hash_)
    page.wait_for_selector("#cells .tile")
    load = 1000 * (time.perf_counter() - began)
    page.focus("#cells")
    page.keyboard.press("Home")
    session = watched.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # not slowed by what else runs
    busy = _metric(session, "TaskDuration")
    times = [page.evaluate(_ONE_KEY, "mn"[i % 2]) for i in range(_RECLASSED)]
    busy = _metric(session, "TaskDuration") - busy
    worst = page.evaluate(_TO_THE_END)
    session.send("HeapProfiler.collectGarbage")
    used = _metric(session, "JSHeapUsedSize")
    renderer = max(_resident_mb(browser))
    watched.close()
    if watched.troubles:
        raise RuntimeError(f"the page complained: {watched.troubles}")
    return {
        "slides": made.slides,
        "cells": made.cells,
        "files": len(made.files),
        "mb": round(made.size / 1e6, 1),
        "largest_file_mb": round(max(f.stat().st_size for f in made.files) / 1e6, 1),
        "written_seconds": round(seconds, 1),
        "open_ms": round(load),
        "reclass_thread_ms": round(1000 * busy / _RECLASSED, 1),
        "reclass_median_ms": round(median(times), 1),
        "reclass_worst_ms": round(max(times), 1),
        "scroll_worst_frame_ms": round(worst, 1),
        "heap_mb": round(used / 1e6, 1),
        "renderer_mb": round(renderer),
    }


def _metric(session: Any, name: str) -> float:
    """One of the figures that Chromium keeps of a page; durations in seconds of its thread."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == name)


def _resident_mb(browser: Any) -> list[float]:
    """Memory of each of the browser's processes that draw pages."""
    session = browser.new_browser_cdp_session()
    told = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    found = []
    for process in told:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text(encoding="ascii")
            kb = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
            found.append(int(kb) / 1024)
    return found


def shoot(browser: Any, file: Path, folder: Path) -> None:
    """Leave pictures of the views: wide and narrow, light and dark, printed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in {"wide": (1400, 900), "narrow": (420, 800)}.items():
        for scheme in ("light", "dark"):
            view = {"width": size[0], "height": size[1]}
            watched = Watched(browser, file, viewport=view, color_scheme=scheme)
            for part in ("", "slide/0/gallery", "slide/0/fields/0", "slide/0/report"):
                page = watched.open(f"#/{part}")
                page.wait_for_timeout(700)
                page.screenshot(path=folder / f"{name}_{scheme}_{part.replace('/', '_') or 'slides'}.png")
            watched.close()
    watched = Watched(browser, file)
    page = watched.open("#/slide/0/gallery")
    page.wait_for_selector("#cells .tile")
    page.pdf(path=folder / "printed.pdf", format="A4")
    watched.close()


def table(known: dict[str, Any]) -> str:
    """Tell the figures as Markdown."""
    lines = [
        "| page | cells | files, MB | opened | a re-class: time of the page's thread | median (worst) by the clock | worst frame while scrolling | script's heap, whole process |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, told in known["pages"].items():
        lines.append(
            f"| {name} | {told['cells']:,} in {told['slides']} | {told['files']}, {told['mb']:.0f} "
            f"(largest {told['largest_file_mb']:.1f}) | {told['open_ms']} ms | {told['reclass_thread_ms']:.0f} ms | {told['reclass_median_ms']:.0f} "
            f"({told['reclass_worst_ms']:.0f}) ms | {told['scroll_worst_frame_ms']:.0f} ms | "
            f"{told['heap_mb']:.0f}, {told['renderer_mb']} MB |"
        )
    return "\n".join([*lines, "", machine.in_words(known["machine"]), f"{known['browser']}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="see that it runs; figures mean nothing")
    parser.add_argument("--json", type=Path, help="default docs/results/review_page.json")
    parser.add_argument("--into", type=Path, help="Markdown file; default docs/review.md")
    parser.add_argument("--shots", type=Path, help="folder for pictures of the first page")
    asked = parser.parse_args()
    n = QUICK if asked.quick else CELLS
    known: dict[str, Any] = {"machine": machine.described(), "pages": {}}
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        known["browser"] = f"Chromium {browser.version}, headless"
        pool = list(drawn_run.fields(drawn_run.draw(Path(folder), 3 if asked.quick else 12)))
        ways = {
            f"{SLIDES} slides with their fields": (SLIDES, True),
            f"{SLIDES} slides, cells alone": (SLIDES, False),
            "one slide, cells alone": (1, False),
        }
        for number, (name, (n_slides, with_fields)) in enumerate(ways.items()):
            slides = slides_of(pool, n_slides, n)
            began = time.perf_counter()
            made = write_review(
                Path(folder) / f"page_{number}", drawn_run.facts(), slides, Path(folder), "5,000 cells",
                with_fields=with_fields,
            )  # fmt: skip
            taken = time.perf_counter() - began
            known["pages"][name] = measured(browser, made, taken, "#/slide/0/gallery")
            print(name, known["pages"][name], file=sys.stderr, flush=True)
            if asked.shots and not number:
                shoot(browser, made.files[min(1, len(made.files) - 1)], asked.shots)
    if asked.quick and not (asked.json and asked.into):
        print(table(known))
        return
    machine.write_json(asked.json or _ROOT / "docs/results/review_page.json", known)
    document = asked.into or _ROOT / "docs/review.md"
    text = document.read_text(encoding="utf-8")
    document.write_text(filled(text, "review page", table(known)), encoding="utf-8")


if __name__ == "__main__":
    main()
