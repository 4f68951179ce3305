"""Figures of :mod:`benchmarks.whole_film` in Markdown."""

from collections.abc import Iterator
from typing import Any

from benchmarks import machine
from benchmarks.replay import in_words

_COLUMNS = {
    "`--read`": "{read}", "read of the layer": "{read_percent:.0f} %", "leukocytes": "{leukocytes:,}",
    "drawn whole there": "{drawn:,}", "found once": "{found_once:,}", "twice": "{found_twice}",
    "lost": "{lost}", "of these in photographs, too": "{lost_in_photographs_too}",
    "blasts drawn": "{blasts_drawn}", "of these called blast": "{blasts_called_blast}",
    "others called blast": "{others_called_blast}",
    "boxes of no leukocyte": "{found_elsewhere}", "flag": "{flag}", "core s": "{core_seconds:.0f}",
    "memory, MB": "{peak_mb:.0f}",
}  # fmt: skip


def tables(known: dict[str, Any]) -> str:
    """Tell what was measured."""
    f = known["film"]
    size, small = ("{:,} x {:,} px".format(*told["size_px"]) for told in (f, f["small"]))
    slide, plain = f["small"]["core_ms_a_megapixel"].values()
    ratio = {name: f"{100 * (r - 1):+.0f}" for name, r in f["small"]["ratio"].items()}
    return "\n".join(
        [
            f"A drawn film of {size} with {f['drawn']:,} leukocytes in all its parts; {f['pieces']} "
            "pieces are laid at random. Cells that the edge of a piece cuts are not judged.",
            *_parts(f["parts"]),
            *_ways(f["ways"]),
            f"\nRead whole, a field of the last third took {f['last_beside_first_third']:.2f} times as long "
            f"as one of the first (core time), and memory grew by {f['growth_mb']:.0f} MB over the last two "
            f"thirds. A film of {small} took {f['small']['peak_mb']:.0f} MB; a megapixel of it took "
            f"{slide:.0f} ms of a core, with the look for its parts, and one of its {f['small']['fields']} "
            f"fields as photographs {plain:.0f} ms: {ratio['median']} % ({ratio['least']} to "
            f"{ratio['most']} %; {f['small']['rounds']} rounds in turn).",
            *_replays(f["replayed"]),
            f"\n`{known['command']}`; {machine.in_words(known['machine'])}",
        ]
    )


def _parts(parts: dict[str, dict[str, int]]) -> Iterator[str]:
    yield "\n| drawn part | its squares were taken for |\n|---|---|"
    for part, counts in parts.items():
        told = ", ".join(f"{n:,} {name}" for name, n in counts.items())
        yield f"| {part} | {told or 'no square lies in it whole'} |"


def _ways(ways: dict[str, Any]) -> Iterator[str]:
    yield "\n| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS)
    for read, way in ways.items():
        told = {**way, "read": read}
        yield "| " + " | ".join(how.format(**told) for how in _COLUMNS.values()) + " |"


def _replays(replays: dict[str, Any]) -> Iterator[str]:
    if not replays:
        return
    orders = next(iter(replays.values()))["orders"]
    yield f"\nThe same fields, read again in {orders} random orders; median (least to most):\n"
    yield (
        "| `--read` | read of the layer | cells counted | called blast | no blast in | flag |\n"
        + "|---" * 6
        + "|"
    )
    for read, told in replays.items():
        flags = ", ".join(f"{state}: {n}" for state, n in told["flags"].items())
        yield (
            f"| {read} | {in_words(told['read_percent'], ' %')} | {in_words(told['cells'])} "
            f"| {in_words(told['blasts'])} | {told['without_blasts']} of {told['orders']} | {flags} |"
        )
