"""Markdown tables of raw figures (docs/results/performance.json)."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.commands import LIBRARIES
from benchmarks.machine import in_words

Figures = dict[str, Any]


def about(known: Figures) -> str:
    """Tell machine, versions and weights of the latest run."""
    latest = max((part["machine"] for part in known.values()), key=lambda m: str(m["when"]))
    own = [part for part in known.values() if part["machine"]["when"] == latest["when"]]
    minutes = sum(part["took_seconds"] for part in own) / 60
    return f"{in_words(latest)} It took {minutes:.0f} minutes.\n"


def table(part: str, known: Figures) -> str:
    """Tell one part, and where it is not of the latest run, of which."""
    own = known[part]["machine"]
    latest = max(str(other["machine"]["when"]) for other in known.values())
    note = "" if own["when"] == latest else f"\nOf another run: {in_words(own)}\n"
    return "\n".join(_WAYS[part](known[part]["figures"])) + f"\n{note}"


def _beside_peer(figures: Figures) -> Iterator[str]:
    for size, told in figures.items():
        yield f"**{size}**, {told['fields']} fields, median of {told['rounds']} rounds in turns\n"
        yield "| program | ms a field | core ms a field | times the peer's speed | peak memory, MB | cells | of smearscan's cells found | named alike |"
        yield "|---|---|---|---|---|---|---|---|"
        ratios = told["times_faster_than_peer"]
        for name, run in told["runs"].items():
            a = run["against_ours"]
            yield (
                f"| {name} | {run['ms_per_field']:.1f} | {run['core_ms_per_field']:.1f} | {ratios[name]:.1f} | "
                f"{run['peak_mb']:.0f} | {a['other']} | {a['both']} of {a['one']} | {a['same_name']} |"
            )
        drawn = told["runs"]["smearscan"]["against_drawn"]
        yield f"\nDrawn were {drawn['one']} leukocytes; smearscan found {drawn['both']} of them and {drawn['other'] - drawn['both']} others.\n"


def _limits(figures: Figures) -> Iterator[str]:
    yield "| field | of | decoding alone, ms | networks alone, ms | both side by side, ms | scan, ms | scan, scale given, ms |"
    yield "|---|---|---|---|---|---|---|"
    names = ("decode", "network", "both", "smearscan", "smearscan, scale given")
    for size, told in figures.items():
        for time, key in (("time that passes", "ms_per_field"), ("a core's time", "core_ms_per_field")):
            ms = (f"{told['runs'][name][key]:.2f}" for name in names)
            yield f"| {size} | {time} | " + " | ".join(ms) + " |"
    yield "\n| field | bound | ms a field | reached by the scan | with the scale given |\n|---|---|---|---|---|"
    for size, told in figures.items():
        for name, ms in told["bounds_ms"].items():
            shares = (told["share_of_bound"][scan][name] for scan in ("smearscan", "smearscan, scale given"))
            yield f"| {size} | {name} | {ms:.2f} | " + " | ".join(f"{100 * s:.0f} %" for s in shares) + " |"
    yield "\n| field | stage | ms a field, added up over threads |\n|---|---|---|"
    for size, told in figures.items():
        run = told["runs"]["smearscan"]
        for stage, seconds in run["stages"].items():
            yield f"| {size} | {stage} | {1000 * seconds / run['fields']:.2f} |"


def _profile(figures: Figures) -> Iterator[str]:
    yield "| step | " + " | ".join(f"{size}, core ms a field | share" for size in figures) + " |"
    yield "|---" + "|---|---" * len(figures) + "|"
    first = next(iter(figures.values()))["core_ms"]
    whole = {size: sum(own["core_ms"].values()) for size, own in figures.items()}
    for step in sorted(first, key=first.__getitem__, reverse=True):
        shares = (
            f"{figures[size]['core_ms'][step]:.2f} | {figures[size]['core_ms'][step] / whole[size]:.1%}"
            for size in figures
        )
        yield f"| {step} | " + " | ".join(shares) + " |"
    yield "| all | " + " | ".join(f"{ms:.2f} |" for ms in whole.values()) + " |"


def _scaling(figures: Figures) -> Iterator[str]:
    yield "| field | fields | ms a field | peak memory, MB |\n|---|---|---|---|"
    for size, rows in figures.items():
        for row in rows:
            yield f"| {size} | {row['fields']:,} | {row['ms_per_field']:.2f} | {row['peak_mb']:.0f} |"
    for size, rows in figures.items():
        first = next((r for r in rows if r["fields"] >= 100), rows[0])
        grown = 100 * (rows[-1]["peak_mb"] / first["peak_mb"] - 1)
        yield f"\n{size}: from {first['fields']:,} to {rows[-1]['fields']:,} fields peak memory grows by {grown:.1f} %."


def _start_up(figures: Figures) -> Iterator[str]:
    yield "| a new process | s |\n|---|---|"
    yield f"| `smearscan --help` | {figures['help_seconds']:.2f} |"
    yield f"| `python -c 'import {LIBRARIES}'` | {figures['libraries_seconds']:.2f} |"
    yield f"| `smearscan run` of one field, networks compiled before | {figures['first_field_seconds']:.2f} |"


def _whole_command(figures: Figures) -> Iterator[str]:
    yield "| fields | `smearscan run`, s | the peer's command, s | times as fast | rounds |\n|---|---|---|---|---|"
    for name, told in figures.items():
        ours, peer = told["seconds"]["smearscan"], told["seconds"]["peer"]
        yield f"| {name} | {ours:.2f} | {peer:.2f} | {told['times_faster']:.1f} | {told['rounds']} |"


def _threads(figures: Figures) -> Iterator[str]:
    counts = list(next(iter(figures.values())))
    yield "| field | " + " | ".join(f"{n} workers" for n in counts) + " |\n|---" + "|---" * len(counts) + "|"
    for size, told in figures.items():
        yield f"| {size} | " + " | ".join(f"{told[n]:.2f}" for n in counts) + " |"


def _engines(figures: Figures) -> Iterator[str]:
    yield f"{figures['fields']} fields, {figures['crops']} crops; ms with {figures['cores']} cores at work.\n"
    yield "| engine | detector, ms a field | both classifiers, ms a crop | boxes apart, px | cells found by one alone | probabilities apart |"
    yield "|---|---|---|---|---|---|"
    for name, f in figures["engines"].items():
        yield (
            f"| {name} | {f['ms_a_field_detector']:.2f} | {f['ms_a_crop']:.2f} | {f['boxes_apart_px']:.3g} | "
            f"{f['found_by_one_alone']} | {f['probability_apart']:.2g} |"
        )


def _plain(what: str, unit: str) -> Callable[[Figures], Iterator[str]]:
    def told(figures: Figures) -> Iterator[str]:
        yield f"| {what} | {unit} |\n|---|---|"
        for name, value in figures.items():
            yield f"| {name} | {value:.2f} |"

    return told


def _working_scale(figures: Figures) -> Iterator[str]:
    sites = list(next(iter(figures.values()))["sites"])
    yield "| px a red cell | ms a field | " + " | ".join(f"{s}: AP50, AP50-95, recall" for s in sites) + " |"
    yield "|---|---|" + "---|" * len(sites)
    for px, told in figures.items():
        own = (told["sites"][site] for site in sites)
        shown = (f"{f['ap50']:.3f}, {f['ap50_95']:.3f}, {f['recall']['n']}/{f['recall']['of']}" for f in own)
        yield f"| {px} | {told['ms_a_field']:.2f} | " + " | ".join(shown) + " |"


def _crop_pixels(figures: Figures) -> Iterator[str]:
    yield "| net | crop, px | ms a crop | cells | accuracy | AUROC |\n|---|---|---|---|---|---|"
    for task, rows in figures.items():
        for px, told in rows.items():
            f = told["sites"]["all"]
            yield f"| {task} | {px} | {told['ms_a_crop']:.2f} | {f['cells']} | {_interval(f['accuracy'])} | {_interval(f['auroc'])} |"


def _int8(figures: Figures) -> Iterator[str]:
    yield "| net | engine | ms a crop | accuracy | AUROC | probabilities apart from torch: 95 %, most | other names |"
    yield "|---|---|---|---|---|---|---|"
    for task, told in figures.items():
        for name, f in told["engines"].items():
            yield (
                f"| {task} | {name} | {f['ms_a_crop']:.2f} | {_interval(f['accuracy'])} | {_interval(f['auroc'])} | "
                f"{f['probability_apart_95']:.3f}, {f['probability_apart']:.3f} | {f['other_name']} of {told['cells']} |"
            )


def _smaller_detector(figures: Figures) -> Iterator[str]:
    variants = list(figures["core_ms"])
    yield "| site | network | AP50, AP50-95 | leukocytes found | false boxes a field |\n|---|---|---|---|---|"
    for site, told in figures["sites"].items():
        for name in variants:
            f = told[name]
            found = f"{f['recall']['n']} of {f['recall']['of']}"
            yield f"| {site} | {name} | {f['ap50']:.3f}, {f['ap50_95']:.3f} | {found} | {f['false_per_field']:.2f} |"
    yield (
        "\nA core's ms for a field of 128x96 px: "
        + "; ".join(f"{n} {figures['core_ms'][n]:.2f}" for n in variants)
        + "."
    )


def _interval(values: list[float]) -> str:
    value, *limits = values
    return f"{value:.3f} ({limits[0]:.3f} to {limits[1]:.3f})" if limits else f"{value:.3f}"


_WAYS: dict[str, Callable[[Figures], Iterator[str]]] = {
    "beside_peer": _beside_peer,
    "limits": _limits,
    "profile": _profile,
    "scaling": _scaling,
    "start_up": _start_up,
    "whole_command": _whole_command,
    "whole_command_real": _whole_command,
    "threads": _threads,
    "engines": _engines,
    "batches": _plain("classifier", "ms a crop and net, all cores at work"),
    "memory_layout": _plain("torch, one thread", "ms a crop or field"),
    "architectures": _plain("network", "ms a crop or field, all cores at work"),
    "working_scale": _working_scale,
    "crop_pixels": _crop_pixels,
    "int8": _int8,
    "smaller_detector": _smaller_detector,
}
