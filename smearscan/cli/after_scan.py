"""What is made of a run folder besides tables: the page, the exports. ``run`` and later commands alike."""

from collections.abc import Callable, Sequence
from pathlib import Path

from smearscan.errors import ConfigError

_MOST_NAMED = 10
"""So many pictures that are missing are named; of more the number is told."""

Say = Callable[[str], None]


def make_review(out: Path, run: Path, pictures: Path, say: Say, with_fields: bool = True) -> int:
    """Write the review page of a run folder and say what was written.

    Parameters
    ----------
    out : Path
    run : Path
        Run folder.
    pictures : Path
        The scanned folder or picture, where it lies now.
    say : callable
    with_fields : bool

    Returns
    -------
    int
        Fields whose picture is gone or another one; each is named.
    """
    from smearscan.report.review import write_review
    from smearscan.scan.facts_file import read_facts
    from smearscan.scan.run_folder import read_run

    slides = read_run(run, _base(pictures))
    done = write_review(out, read_facts(run), slides, pictures, with_fields=with_fields)
    told = f"{done.slides} slides, {done.cells} cells, {done.size / 1e6:.1f} MB"
    pages = f" and {len(done.files) - 1} pages of slides" if len(done.files) > 1 else ""
    say(f"written: {done.files[0]}{pages} ({told}); open it in a browser")
    return _name_missing("the page", done.missing_pictures, say)


def make_exports(out: Path, kinds: Sequence[str], run: Path, pictures: Path | None, say: Say) -> int:
    """Write exports of a run folder, with the run's manifest, and say where they are.

    Parameters
    ----------
    out, kinds
        See :func:`smearscan.report.exports.write_exports`.
    run : Path
        Run folder.
    pictures : Path or None
        As of :func:`make_review`; None suffices for kinds that draw nothing.
    say : callable

    Returns
    -------
    int
        As of :func:`make_review`.
    """
    from smearscan.report.exports import write_exports
    from smearscan.scan.facts_file import read_facts
    from smearscan.scan.run_folder import read_run

    base = _base(pictures) if pictures is not None else None
    done = write_exports(out, kinds, read_facts(run), read_run(run, base), pictures or Path())
    for path in done.files:
        say(f"written: {path}")
    return _name_missing("contact sheets", done.missing_pictures, say)


def export_kinds(listed: str | None) -> list[str]:
    """Read kinds of export, by commas; refuse an unknown one before the scan."""
    if not listed:
        return []
    from smearscan.report.exports import KINDS

    kinds = [kind.strip().lower() for kind in listed.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"--export {kind}: is none of {', '.join(KINDS)}")
    if "parquet" in kinds:
        from importlib.util import find_spec

        if find_spec("pyarrow") is None:
            raise ConfigError("--export parquet needs pyarrow: pip install pyarrow")
    return kinds


def need_pictures(kinds: Sequence[str]) -> list[str]:
    """Of kinds of export, those that read the photographs again."""
    from smearscan.report.exports import NEED_PICTURES

    return [kind for kind in kinds if kind in NEED_PICTURES]


def check_run(run: Path, pictures: Path | None, say: Say) -> None:
    """Refuse what no page or export can be made of; say how much of the run there is.

    Raises
    ------
    RunError
        If there is no run.
    ConfigError
        If it was made with pseudonyms, or none of its pictures lies where they are said to lie.
    """
    from smearscan.io.whole_slides import file_of
    from smearscan.scan.run_folder import read_reports, read_run, run_record

    record = run_record(run)
    if record.settings.get("pseudonyms"):
        raise ConfigError(
            f"{run}: was made with --pseudonymize, and pages and exports name the pictures as they are; "
            "scan without it to make them"
        )
    n = sum(1 for _ in read_reports(run))
    if n < len(record.slides):
        say(f"{run}: the run was interrupted: {n} of {len(record.slides)} slides are read")
    if pictures is None:
        return
    base = _base(pictures)
    paths = (
        file_of(item.path) for _, items in read_run(run, base) for item in items if item.path is not None
    )
    first = next(paths, None)
    if first is not None and not first.exists() and not any(path.exists() for path in paths):
        raise ConfigError(
            f"{pictures}: holds none of the run's pictures, for example {first.relative_to(base)}; "
            "give the folder that was scanned with --pictures"
        )


def _base(pictures: Path) -> Path:
    return pictures.parent if pictures.is_file() else pictures


def _name_missing(where: str, missing: Sequence[str], say: Say) -> int:
    if missing:
        say(f"{len(missing)} fields are in {where} without their pictures:")
        for told in missing[:_MOST_NAMED]:
            say(f"  {told}")
        if len(missing) > _MOST_NAMED:
            say(f"  and {len(missing) - _MOST_NAMED} more")
    return len(missing)
