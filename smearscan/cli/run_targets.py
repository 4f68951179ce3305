"""Where ``smearscan run`` writes to: worked out and checked before the scan."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smearscan.cli.options import writable
from smearscan.errors import ConfigError
from smearscan.io.atomic import is_special
from smearscan.report.tables import STDOUT

_NOT_CSV = {".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".html", ".json", ".parquet", ".pdf"}


@dataclass(frozen=True, slots=True)
class Targets:
    """Files and folders of a run; None where one was not asked for.

    Attributes
    ----------
    report : Path
        ``report.csv``; ``-`` is the standard output.
    run : Path or None
        The run folder; None where the report goes to a pipe: then nothing can be gone on with.
    cells, summary, page, overlays, review, exports : Path or None
    export_kinds : tuple of str
        What to write to `exports`.
    overlay_format : str
        ``png`` or ``jpeg``.
    existed : frozenset of Path
        Those that were there before: they are replaced.
    """

    report: Path
    run: Path | None
    cells: Path | None
    summary: Path | None
    page: Path | None
    overlays: Path | None
    review: Path | None
    exports: Path | None
    export_kinds: tuple[str, ...] = ()
    overlay_format: str = "png"
    existed: frozenset[Path] = frozenset()

    def written(self, path: Path, what: str) -> str:
        """Say that a file was written."""
        return f"written: {path} ({what}{', replaced' if path in self.existed else ''})"


def find_targets(
    out: str,
    root: Path,
    *,
    run: Path | None = None,
    cells: Path | None = None,
    summary: Path | None = None,
    page: Path | None = None,
    overlays: Path | None = None,
    review: Path | None = None,
    exports: Path | None = None,
    export_kinds: Sequence[str] = (),
    overlay_format: str = "png",
) -> Targets:
    """Work out where a run writes to.

    Parameters
    ----------
    out : str
        A CSV file; a folder, that is there or ends with a slash, gets ``report.csv``; ``-`` is the standard
        output.
    root : Path
        The scanned folder.
    run, cells, summary, page, overlays, review, exports : Path, optional
    export_kinds : sequence of str
        With some and no `exports`, the folder ``exports`` beside the report is taken.
    overlay_format : str

    Raises
    ------
    ConfigError
        Naming the option, the place, and the cure.
    """
    is_folder = out.endswith(("/", os.sep)) or Path(out).is_dir()
    report = Path(out) / "report.csv" if is_folder else Path(out)
    files = {"--out": report, "--cells": cells, "--summary": summary, "--html": page}
    _check_files({option: file for option, file in files.items() if file is not None})
    for option, folder in (
        ("--overlays", overlays),
        ("--run", run),
        ("--review", review),
        ("--exports", exports),
    ):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder}: is a file; {option} is a folder")
    _check_overlays(overlays, root)
    if run is None and report != STDOUT and not is_special(report):
        run = report.with_suffix(".run")
        if run.exists() and not run.is_dir():
            raise ConfigError(f"{run}: is a file; give a folder for the state of the run with --run")
    if export_kinds and exports is None:
        exports = report.parent / "exports"
    existed = frozenset(file for file in files.values() if file is not None and file.is_file())
    return Targets(
        report, run, cells, summary, page, overlays, review, exports, tuple(export_kinds), overlay_format,
        existed,
    )  # fmt: skip


def _check_files(files: dict[str, Path]) -> None:
    seen: dict[str, str] = {}
    for option, file in files.items():
        suffix = file.suffix.lower()
        if option != "--html" and suffix in _NOT_CSV:
            raise ConfigError(
                f"{file}: {option} writes CSV, not {suffix}; give {file.with_suffix('.csv')} "
                "(Excel opens it; --excel adds the mark that Excel needs for accents)"
            )
        if file != STDOUT and not is_special(file):
            writable(file, option)
        if option == "--html" and file == STDOUT:
            raise ConfigError("--html: the page is a file; give its name, for example report.html")
        place = os.path.realpath(file)
        if place in seen and not is_special(file):
            raise ConfigError(f"{file}: is given for {seen[place]} and for {option}; give two files")
        seen[place] = option


def _check_overlays(overlays: Path | None, root: Path) -> None:
    """Refuse pictures within the scanned folder: the next scan would take them for a slide."""
    if overlays is None or not root.is_dir():
        return
    if overlays.resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"{overlays}: lies in the scanned folder, where the next scan would read it as a slide; "
            f"give --overlays a folder outside {root}"
        )
