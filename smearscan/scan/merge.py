"""Parts of a run, scanned by several processes or machines, put together as if one had scanned all."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from smearscan.errors import RunError
from smearscan.io.atomic import write_bytes
from smearscan.results.doubts import first_of
from smearscan.scan.facts_file import keep_facts, read_facts
from smearscan.scan.run_folder import RunFolder, RunRecord, run_record, slide_file


def merge_runs(parts: Sequence[Path], folder: Path) -> None:
    """Make one run folder of those of all parts of a run; what is written of it is the same to the byte.

    Parameters
    ----------
    parts : sequence of Path
        Run folders of ``smearscan run --shard``, in any order.
    folder : Path
        To make; a run that it holds is replaced.

    Raises
    ------
    RunError
        If a part is missing, given twice, not finished, of other settings or of other slides.
    OutputError
        If `folder` cannot be written to.
    """
    records = {part: run_record(part) for part in parts}
    first = records[parts[0]]
    order = _all_slides(first)
    for part, record in records.items():
        _check_part(part, record, parts[0], first)
    counts = Counter(slide for part in parts for slide in records[part].slides)
    if twice := [slide for slide, n in counts.items() if n > 1]:
        raise RunError(f"{first_of(twice)}: in two of the run folders; give each part once")
    if missing := [slide for slide in order if slide not in counts]:
        raise RunError(f"{first_of(missing)}: in none of the run folders; give every part of the run")
    with RunFolder(folder, first.settings, order, resume=False) as merged:
        for part, record in records.items():
            for slide in record.slides:
                write_bytes(slide_file(folder, slide), slide_file(part, slide).read_bytes())
        keep_facts(folder, read_facts(parts[0]), resumed=False)
        merged.finish()


def _all_slides(record: RunRecord) -> tuple[str, ...]:
    return record.part_of or record.slides


def _check_part(part: Path, record: RunRecord, first_part: Path, first: RunRecord) -> None:
    """Refuse a part that does not belong to the first one."""
    if not record.finished:
        raise RunError(f"{part}: is not finished; scan it to its end with --resume")
    if absent := [slide for slide in record.slides if not slide_file(part, slide).is_file()]:
        raise RunError(f"{part}: lacks what was read of {first_of(absent)}; scan it again with --resume")
    old, new = first.settings, record.settings
    if changed := sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k)):
        raise RunError(
            f"{part}: was scanned with another {first_of(changed)} than {first_part}; scan both alike"
        )
    if _all_slides(record) != _all_slides(first):
        raise RunError(f"{part}: is part of a scan of other slides than {first_part}")
