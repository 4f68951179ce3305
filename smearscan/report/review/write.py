"""From slides, one after the other, to a folder with the page."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smearscan.differential.flag import FlagRule
from smearscan.differential.slide_report import SlideReport
from smearscan.report.review.judgement import judgement
from smearscan.report.review.page import dictionaries, write_page
from smearscan.report.review.parts import Doubtful, Spooled, spool
from smearscan.report.review.teaching import teaching_order
from smearscan.report.run_facts import RunFacts
from smearscan.results import FieldFailure, FieldResult
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, HEALTHY, NOTICE, UNCLASSIFIED
from smearscan.taxonomy.palette import look

SCHEMA = "smearscan.review/1"
MOST_BYTES = 30_000_000
"""A page that would be larger is split by slide."""
TEACH_FIRST = 50
"""So many of the unclassified cells are marked as those that teach most."""

_LETTERS = {
    BLAST: "b", "neutrophil": "n", "lymphocyte": "l", "monocyte": "m", "eosinophil": "e", "basophil": "a",
    "immature_granulocyte": "i", "erythroblast": "r", "smudge_cell": "s", "platelet": "p", "other": "o",
    HEALTHY: "h", UNCLASSIFIED: "u",
}  # fmt: skip
_TAKEN = frozenset("fgk")  # the page's own commands

Slides = Iterable[tuple[SlideReport, list[FieldResult | FieldFailure]]]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: files (index first), slides, cells, bytes; fields without their picture, and why."""

    files: tuple[Path, ...]
    slides: int
    cells: int
    size: int
    missing_pictures: tuple[str, ...]


def write_review(
    out: Path, facts: RunFacts, slides: Slides, root: Path | None, title: str = "", with_fields: bool = True,
    most_bytes: int = MOST_BYTES,
) -> Written:  # fmt: skip
    """Write the page on which a person reviews a run.

    Parameters
    ----------
    out : Path
        Folder; gets ``index.html`` and, where that would grow beyond `most_bytes`, ``slide_0001.html`` ...
    facts : RunFacts
    slides : iterable of (SlideReport, list of FieldResult or FieldFailure)
        Taken one by one; their pictures are read again from where they lie.
    root : Path or None
        Folder that was scanned: fields are named by their paths below it.
    title : str
        Name of the run; by default the scanned folder's.
    with_fields : bool
        Whether fields are embedded, too.
    most_bytes : int
    """
    out.mkdir(parents=True, exist_ok=True)
    doubtful = Doubtful()
    spooled: list[Spooled] = []
    first: SlideReport | None = None
    names: set[str] = set()
    with tempfile.TemporaryDirectory(dir=out, prefix=".review-") as folder:
        for report, results in slides:
            first = first or report
            names.update(report.tally.types)
            spooled.append(spool(len(spooled), report, results, root, Path(folder), doubtful, with_fields))
        _put_in_order(spooled, doubtful)
        title = title or (root.absolute().name if root else "") or "smearscan"
        run = _run(facts, spooled, first, names, title)
        files, size = _write(out, run, spooled, most_bytes)
    return Written(
        tuple(files),
        len(spooled),
        sum(len(s.numbers["cells"]["type"]) for s in spooled),
        size,
        tuple(told for s in spooled for told in s.missing),
    )


def _put_in_order(spooled: list[Spooled], doubtful: Doubtful) -> None:
    """Give every unclassified cell its rank in the run; the first ones are counted in their slide's entry."""
    if not doubtful.where:
        return
    order = teaching_order(
        np.stack(doubtful.probs), np.array(doubtful.blast, np.float32), np.stack(doubtful.looks)
    )
    for rank, i in enumerate(order.tolist(), 1):
        slide, cell = doubtful.where[i]
        spooled[slide].numbers["cells"]["teach"][cell] = rank
        spooled[slide].entry["teach"] += rank <= TEACH_FIRST


def _run(
    facts: RunFacts, spooled: list[Spooled], first: SlideReport | None, names: set[str], title: str
) -> dict[str, Any]:
    rule = first.rule if first else FlagRule()
    counted = first.differential.classes if first else ()
    has_restained = any(slide.entry["restained"] for slide in spooled)
    errors = (
        (facts.errors, facts.unlike_errors if has_restained else None) if first and first.test else (None,)
    )
    digest = hashlib.sha256(facts.digest().encode())
    for slide in spooled:
        digest.update(json.dumps([slide.entry["name"], slide.numbers["cells"]]).encode())
    return {
        "schema": SCHEMA,
        "id": digest.hexdigest()[:16],
        "title": title,
        "notice": NOTICE,
        "here": [],
        "index": "",
        "by": judgement(facts.task, counted, rule, *errors),
        "classes": class_infos(counted, facts.classes, names, facts.task),
        "named": list(facts.classes),
        "ranges": {name: list(known) for name in counted if (known := facts.range_of(name))},
        "ranges_source": facts.ranges_source,
        "slides": [slide.entry for slide in spooled],
        "provenance": facts.as_json(),
        "words": dictionaries(),
    }


def class_infos(
    counted: tuple[str, ...], known: tuple[str, ...], seen: set[str], task: str
) -> list[dict[str, str]]:
    """Classes that a person can give, blasts first, each with its short name, color and letter.

    All classes of the differential are offered, also those that the net in use does not know.
    """
    offered = DIFFERENTIAL_CLASSES if task != "blast" else ()
    order = dict.fromkeys((*counted, *known, *offered, *sorted(seen)))
    names = [*(n for n in (BLAST,) if n in order), *(n for n in order if n not in (BLAST, UNCLASSIFIED))]
    letters: dict[str, str] = {}
    for name in (*names, UNCLASSIFIED):
        wanted = (_LETTERS.get(name, ""), *name.lower(), *"0123456789")
        own = (c for c in wanted if c.isascii() and c.isalnum() and c not in _TAKEN | set(letters.values()))
        reserved = set(_LETTERS.values()) if name not in _LETTERS else set()
        letters[name] = next((c for c in own if c not in reserved), "")
    return [
        {"name": name, "short": look(name).short, "color": look(name).hex, "key": key}
        for name, key in letters.items()
    ]


def _write(out: Path, run: dict[str, Any], spooled: list[Spooled], most: int) -> tuple[list[Path], int]:
    index = out / "index.html"
    everything = range(len(spooled))
    for old in out.glob("slide_[0-9]*.html"):  # of an earlier, larger page
        old.unlink()
    if sum(slide.size for slide in spooled) <= most:
        size = write_page(index, run | {"here": list(everything)}, dict(enumerate(spooled)))
        return [index], size
    files, size = [index], 0
    for i, slide in enumerate(spooled):
        slide.entry["page"] = f"slide_{i + 1:04d}.html"
    for i, slide in enumerate(spooled):
        path = out / slide.entry["page"]
        own = [entry | {"page": "" if k == i else entry["page"]} for k, entry in enumerate(run["slides"])]
        size += write_page(path, run | {"here": [i], "index": index.name, "slides": own}, {i: slide})
        files.append(path)
    return files, size + write_page(index, run, {})
