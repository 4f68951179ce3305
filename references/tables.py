"""One Markdown text of all measured figures, made from the JSON files that the evaluate commands write."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Figures = dict[str, Any]


def summarize(folder: Path) -> str:
    """Turn a folder of results into Markdown tables; what was not measured is not printed.

    Parameters
    ----------
    folder : Path
        Holds ``detector.json``, ``detector_scales.json``, ``detector_without_SITE.json``, ``differential.json``,
        ``blast.json``, ``differential_unseen.json``, ``blast_crossval.json``, ``blast_lld.json``, ``pipeline.json``, ``unseen_leukemias.json``
        and ``published_slides.json``, or some.
    """
    files = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    detector = files.get("detector", {})
    for name, figures in files.get("detector_scales", {}).items():
        detector[name] = {**figures, **detector.get(name, {})}
    parts = [
        *_detector(detector, files),
        *_types("Types, held-out groups of the sites it was trained on", files.get("differential")),
        *_types("Types, sites the net never saw", files.get("differential_unseen")),
        *_blast(
            files.get("blast"), [files[name] for name in ("blast_crossval", "blast_lld") if name in files]
        ),
        *_pipeline(files.get("pipeline")),
        *_unseen_laboratory(files.get("unseen_leukemias")),
        *_published_slides(files.get("published_slides")),
    ]
    return "\n".join(parts) + "\n"


def _detector(figures: Figures, files: dict[str, Figures]) -> Iterator[str]:
    sites = [name for name, f in figures.items() if "scale given" in f]
    if sites:
        yield "**Leukocytes found** (test fields; scale measured on each field alone; AP with the scale given)\n"
        yield "| site | fields | cells | AP50 | AP50-95 | recall | false a field | trained without the site: AP50 | recall |"
        yield "|---|---|---|---|---|---|---|---|---|"
    for name in sites:
        given, own = figures[name]["scale given"], figures[name]["scale measured"]
        unseen = files.get(f"detector_without_{name}", {}).get(name, {}).get("scale measured")
        without = f"{unseen['ap50']:.3f} | {_share(unseen['recall'])}" if unseen else "- | -"
        yield (
            f"| {name} | {own['fields']} | {own['leukocytes']} | {own['ap50']:.3f} ({given['ap50']:.3f}) | "
            f"{own['ap50_95']:.3f} ({given['ap50_95']:.3f}) | {_share(own['recall'])} | "
            f"{own['false_per_field']:.3f} | {without} |"
        )
    resized = [
        (name, key, f) for name in sites for key, f in figures[name].items() if key.startswith("resized")
    ]
    if resized:
        yield "\n**The same fields at other magnifications** (the red-cell ruler measures each field alone)\n"
        yield "| site | magnification | AP50 | recall | ruler / true, 5-50-95 % |\n|---|---|---|---|---|"
    for name, key, f in resized:
        ratio = " - ".join(f"{v:.2f}" for v in f["ruler_to_true"])
        yield f"| {name} | {key.removeprefix('resized ')} | {f['ap50']:.3f} | {_share(f['recall'])} | {ratio} |"
    if f := figures.get("fields without leukocytes"):
        yield f"\nFields without leukocytes: {f['false']} false in {f['fields']} fields ({f['false_per_field']:.3f} a field)."
    if f := figures.get("drawn clumps"):
        yield f"\nDrawn clumps of 2 to 12 touching cells: recall {_share(f['recall'])}, {f['false']} false."
    if f := figures.get("cells counted by eye"):
        yield (
            f"\nTen crowded leukemic fields counted by eye: {f['cells']} cells, {f['missed']} missed, "
            f"{f['merged']} merged, {f['false']} false boxes."
        )


def _types(title: str, figures: Figures | None) -> Iterator[str]:
    if not figures:
        return
    yield f"\n**{title}**\n"
    yield "| site | cells | groups | accuracy | balanced accuracy | calibration error |\n|---|---|---|---|---|---|"
    for site, f in figures.items():
        a, b = f["accuracy"], f["balanced_accuracy"]
        yield (
            f"| {site} | {a['cells']} | {a['groups']} | {_value(a)} | {_value(b)} | {_value(f['calibration_error'])} |"
        )


def _blast(held_out: Figures | None, crossvals: list[Figures]) -> Iterator[str]:
    rows = [(f"{f['site']}, {f['folds']}-fold over patients, out of fold", f["all"]) for f in crossvals]
    rows += [(f"{site}, held out", f) for site, f in (held_out or {}).items()]
    if rows:
        yield "\n**Blast or blast equivalent against healthy** (at the net's threshold)\n"
        yield "| cells | blasts | healthy | groups | AUROC | recall | specificity | calibration error |"
        yield "|---|---|---|---|---|---|---|---|"
    for name, f in rows:
        shown = " | ".join(_value(f[k]) for k in ("auroc", "recall", "specificity", "calibration_error"))
        yield f"| {name} | {f['blasts']} | {f['healthy']} | {f['groups']} | {shown} |"


def _pipeline(figures: Figures | None) -> Iterator[str]:
    if figures:
        yield "\n**Both stages on BCCD's test fields with a known type** (fields in, named cells out)\n"
        yield (
            f"Found {_share(figures['found'])}; type right, of the cells found: {_share(figures['right_of_found'])}; "
            f"of those not left unclassified: {_share(figures['right_of_named'])}."
        )


def _unseen_laboratory(figures: Figures | None) -> Iterator[str]:
    if not figures:
        return
    yield f"\n**A laboratory never seen: fields of {len(figures['patients'])} patients with leukemia** (exact intervals over cells; {', '.join(figures['weights'])})\n"
    yield "| class | found | of these called blast | without a name | called |\n|---|---|---|---|---|"
    groups = {"all blasts": figures["blasts"], "all others": figures["mature"]}
    for name, f in {**figures["by_class"], **groups}.items():
        called = ", ".join(
            f"{n} {kind}" for kind, n in f["called"].items() if kind not in ("blast", "unclassified")
        )
        shown = " | ".join(_share(f[k]) for k in ("found", "called_blast", "without_a_name"))
        yield f"| {name.replace('_', ' ')} | {shown} | {called.replace('_', ' ')} |"
    yield f"\nOf the others, type right: {_share(figures['mature']['type_right'])} of the cells found.\n"
    yield "| patient | disease | fields | leukocytes | without a name | counted | blasts | flag |\n|---|---|---|---|---|---|---|---|"
    for p in figures["patients"]:
        blasts = "-" if p["blast_percent"] is None else f"{p['blast_percent']:.1f} %"
        yield (
            f"| {p['patient']} | {p['disease']} | {p['fields']} | {p['leukocytes']} | {p['unclassified_percent']:.1f} % | "
            f"{p['counted']} | {blasts} | `{p['flag']}` |"
        )


def _published_slides(figures: Figures | None) -> Iterator[str]:
    if not figures:
        return
    yield f"\n**Published fields as slides** ({', '.join(figures['weights'])}; part of their cells were learned from; `apml` is a promyelocytic leukemia, the others are not leukemic)\n"
    yield "| slide | fields | leukocytes | without a name | blasts | flag | suspected |\n|---|---|---|---|---|---|---|"
    for f in figures["slides"]:
        suspected = ", ".join(f["suspects"]).replace("_", " ") or "-"
        yield (
            f"| {f['slide']} | {f['fields']} | {f['leukocytes']} | {f['unclassified_percent']:.1f} % | {f['blast_percent']:.1f} % | "
            f"`{f['flag']}` | {suspected} |"
        )


def summarize_statistics(folder: Path) -> str:
    """Turn ``coverage.json``, ``pooled.json`` and ``calibration.json`` into Markdown tables, as far as they are there."""
    files = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    parts = [
        *_calibration(files.get("calibration")),
        *_coverage(files.get("coverage")),
        *_without_a_finding(files.get("coverage")),
        *_pooled(files.get("pooled")),
        *_pooled_unseen(*(files.get(f"pooled_unseen{rest}") for rest in ("", "_95", "_known"))),
        *_site(files.get("calibrate_site")),
    ]
    return "\n".join(parts) + "\n"


def _calibration(figures: Figures | None) -> Iterator[str]:
    if figures:
        f = figures["fitted"]
        yield "**The shipped nets on labeled cells that they have not learned** (intervals over patients and slides)\n"
        yield (
            f"{f['unclassified']['cells']} cells of {f['unclassified']['groups']} patients and slides: "
            f"{_value(f['unclassified'])} unclassified; of the named {_value(f['right_of_named'])} right; "
            f"blasts called {_value(f['blasts_called'])}; false blasts {_value(f['false_blasts'])} of what is none; "
            f"expected calibration error {f['calibration_error_blast']:.3f} (blast), "
            f"{f['calibration_error_differential']:.3f} (differential)."
        )


def _coverage(figures: Figures | None) -> Iterator[str]:
    if not figures:
        return
    yield "\n**Simulated slides of known truth**: share of 95 % intervals that hold the true blast percentage\n"
    yield "| cells | blasts | slides | counting alone | raw, of the nets' names | corrected | bias raw | bias corrected | mean width | detectable | flagged |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for f in figures["fixed"]:
        shown = " | ".join(
            f"{f[k]['value']:.3f}" for k in ("raw_of_true_names", "raw_of_nets_names", "corrected")
        )
        found = f"{f['detectable_percent']:.1f} %" if f["detectable_percent"] else "-"
        yield (
            f"| {f['cells']} | {f['blast_percent']:g} % | {f['slides']} | {shown} | "
            f"{f['bias_raw']:+.2f} | {f['bias_corrected']:+.2f} | {f['width_corrected']:.1f} | {found} | "
            f"{f['excess_found']['value']:.4f} |"
        )
    covers = [v for f in figures["fixed"] for v in f["corrected_by_class"].values()]
    yield f"\nOver all classes and rows the corrected intervals cover {min(covers):.3f} to {max(covers):.3f}."
    yield f"\n**The same, read until settled** (flag level {figures['level']:g})\n"
    yield "| blasts | slides | flagged | counting alone | corrected | cells read, median |\n|---|---|---|---|---|---|"
    for row in figures["until_resolved"]:
        yield (
            f"| {row['blast_percent']:g} % | {row['slides']} | {row['flagged']['value']:.4f} | "
            f"{row['raw_of_true_names']['value']:.3f} | {row['corrected']['value']:.3f} | "
            f"{row['cells_read_median']} of {row['of']} |"
        )


def _without_a_finding(figures: Figures | None) -> Iterator[str]:
    """How often slides without blasts show an excess, and healthy slides a suspicion."""
    if rows := (figures or {}).get("left_shift"):
        yield f"\n**Simulated slides without blasts, by their left shift** (flag level {figures['level']:g})\n"
        yield "| cells | immature granulocytes | slides | excess of blasts found | detectable |\n|---|---|---|---|---|"
    for row in rows or ():
        least = "-" if row["detectable_percent"] is None else f"{row['detectable_percent']:.1f} %"
        yield (
            f"| {row['cells']} | {row['immature_granulocyte_percent']:g} % | {row['slides']} | "
            f"{_value(row['excess_found'], 4)} | {least} |"
        )
    if healthy := (figures or {}).get("suspects"):
        yield "\n**Simulated slides inside every reference range**: with a suspicion of the tests\n"
        yield "| composition | slides | suspected | by suspicion |\n|---|---|---|---|"
    for name, row in (healthy or {}).items():
        named = ", ".join(f"{k.replace('_', ' ')} {v:.3f}" for k, v in row["by_name"].items())
        yield f"| {name} | {row['any']['of']} | {_value(row['any'])} | {named} |"


_POOLED = (
    ("raw_covered", "raw covers"), ("corrected_covered", "corrected covers"), ("raw_bias", "bias raw"),
    ("corrected_bias", "bias corrected"), ("width", "width corrected"), ("flagged", "flagged"), ("excess", "excess alone"),
    ("tier_20", "tier 20 %"), ("cleared", "cleared"), ("naive_20", "20 % rule"), ("naive_any", "one blast rule"),
)  # fmt: skip


def _pooled(rows: list[Figures] | None) -> Iterator[str]:
    if not rows:
        return
    yield "\n**Slides pooled from real cells** (a group is a patient, a slide, or a site that names neither; what groups of a site without neutrophils or lymphocytes have is one group, for slides of one type are nobody's blood)\n"
    yield "| cells | blasts | slides | groups | " + " | ".join(title for _, title in _POOLED) + " |"
    yield "|---" * (4 + len(_POOLED)) + "|"
    for row in rows:
        shown = " | ".join(_value(row[key]) for key, _ in _POOLED)
        yield f"| {row['cells']} | {row['blast_percent']:g} % | {row['slides']} | {row['groups']} | {shown} |"


def _pooled_unseen(chosen: Figures | None, strict: Figures | None, known: Figures | None) -> Iterator[str]:
    """Tell how slides of laboratories never seen are flagged, by the threshold in use and by a stricter one."""
    if not chosen or not strict or not known:
        return
    shares = list(dict.fromkeys(row["blast_percent"] for rows in chosen.values() for row in rows))
    yield "\n**Slides pooled at laboratories that the nets have not seen**, each judged by the card of unlike slides that the others make: flagged, by a threshold that keeps .90 of healthy blood (.95)\n"
    yield "| laboratory | groups | " + " | ".join(f"{share:g} % blasts" for share in shares) + " |"
    yield "|---" * (2 + len(shares)) + "|"
    flagged = {
        (name, row["blast_percent"]): row["flagged"]["value"] for name, rows in chosen.items() for row in rows
    }
    before = {
        (name, row["blast_percent"]): row["flagged"]["value"] for name, rows in strict.items() for row in rows
    }
    for name, rows in chosen.items():
        shown = (
            f"{flagged[name, share]:.3f} ({before[name, share]:.3f})" if (name, share) in flagged else ""
            for share in shares
        )
        yield f"| {name} | {rows[0]['groups']} | {' | '.join(shown)} |"
    means = [
        [
            np.mean([told[name, share] for name in chosen if (name, share) in told])
            for told in (flagged, before)
        ]
        for share in shares
    ]
    yield "| mean of laboratories | | " + " | ".join(f"{now:.3f} ({then:.3f})" for now, then in means) + " |"
    yield "\nThe same laboratories by both cards, means: *flagged, cleared (`not flagged`), corrected 95 % intervals that hold the true share*\n"
    yield "| judged by | " + " | ".join(f"{share:g} % blasts" for share in shares) + " |"
    yield "|---" * (1 + len(shares)) + "|"
    for title, figures in (
        ("unlike slides, in the reference stain", chosen),
        ("known laboratories, as photographed", known),
    ):
        cells = (
            ", ".join(
                f"{_mean_of(figures, share, key):.2f}" for key in ("flagged", "cleared", "corrected_covered")
            )
            for share in shares
        )
        yield f"| {title} | {' | '.join(cells)} |"


def _mean_of(sites: Figures, share: float, key: str) -> float:
    """Mean over the laboratories that have such slides."""
    return float(
        np.mean([r[key]["value"] for rows in sites.values() for r in rows if r["blast_percent"] == share])
    )


def _site(figures: Figures | None) -> Iterator[str]:
    if not figures:
        return
    judged = figures["before"]["unclassified"]["cells"]
    yield f"\n**Calibrated to a site that the differential net never saw, JTSC, with the labeled cells of its test split** (judged on its other {judged} cells, which name no patient; the blast net has not seen it either)\n"
    keys = [k for k in ("right_of_named", "unclassified", "false_blasts") if k in figures["before"]]
    yield "| | " + " | ".join(keys) + " | calibration error |\n|---" + "|---" * (len(keys) + 1) + "|"
    for when in ("before", "after"):
        f = figures[when]
        yield (
            f"| {when} | "
            + " | ".join(_value(f[k]) for k in keys)
            + f" | {f['calibration_error_differential']:.3f} |"
        )


def _share(f: Figures) -> str:
    low, high = f["interval_95"]
    return f"{f['n']}/{f['of']} = {f['value']:.3f} ({low:.3f} to {high:.3f})" if f["of"] else "-"


def _value(f: Figures, digits: int = 3) -> str:
    if f["value"] is None:
        return "-"
    if f["interval_95"] is None:
        return f"{f['value']:.{digits}f}"
    low, high = f["interval_95"]
    return f"{f['value']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
