"""The state of a run on disk: what was read stays read, whatever ends the process.

::

    report.run/
        run.json       settings, weights, slides in their order, and whether all were read
        facts.json     what pages and exports tell of the run, see :mod:`smearscan.scan.facts_file`
        lock           held by the process that scans
        slides/        one file a slide, see :mod:`smearscan.scan.slide_file`

Every file is written whole or not at all. A slide's file carries a key: the hash of the settings and weights
and of the contents of its pictures. A slide whose key is another one is read again.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from smearscan.differential.slide_report import SlideReport
from smearscan.errors import RunError
from smearscan.io.atomic import cannot_write, write_bytes, write_text
from smearscan.results import FieldFailure, FieldResult
from smearscan.scan.slide_file import read_fields, read_report, read_stored

_LOG = logging.getLogger(__name__)
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What ``run.json`` says.

    Attributes
    ----------
    settings : dict
        All that changes answers, the hashes of weights and calibration among it; see
        :func:`smearscan.scan.run.answer_settings`.
    slides : tuple of str
        Ids of the slides, in the order of the report.
    finished : bool
        Whether the last run came to its end.
    part_of : tuple of str
        Ids of all slides, in the order of the whole report, where these are a part of them; else empty.
    """

    settings: Mapping[str, Any]
    slides: tuple[str, ...]
    finished: bool = False
    part_of: tuple[str, ...] = ()


class RunFolder:
    """A run folder that this process writes to; a context manager that holds its lock.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    settings : mapping
        All that changes answers, as JSON values.
    slides : sequence of str
        Ids of the slides of this run, in the order of the report.
    resume : bool or None
        True keeps the slides that were read with the same settings; False reads all anew; None is False, but
        refuses to throw away what an interrupted run has read.
    part_of : sequence of str
        See :class:`RunRecord`.

    Raises
    ------
    RunError
        If another process is at work in the folder, or an interrupted run is to be continued first.
    OutputError
        If the folder cannot be written to.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], slides: Sequence[str], resume: bool | None = None,
        part_of: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.folder = folder
        self.changed: tuple[str, ...] = ()
        self._record = RunRecord(settings, tuple(slides), part_of=tuple(part_of))
        self._resume = resume
        self._lock = FileLock(folder / "lock")

    def __enter__(self) -> "RunFolder":
        try:
            (self.folder / "slides").mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(
                f"{self.folder}: another smearscan is writing to this run folder; "
                "wait for it to end, or give another folder with --run"
            ) from error
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        try:
            self._begin()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def _begin(self) -> None:
        """Bring the folder to the state of this run: slides that do not belong to it go."""
        former = _record(self.folder)
        stored = list((self.folder / "slides").glob("*.npz"))
        if self._resume is None and former and not former.finished and stored:
            raise RunError(
                f"{self.folder}: holds {len(stored)} of {len(former.slides)} slides of a run that was "
                "interrupted; go on with --resume, or read all anew with --no-resume"
            )
        if former is not None and self._resume:
            old, new = former.settings, json.loads(json.dumps(dict(self._record.settings)))
            self.changed = tuple(sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k)))
        keep = {self._file(slide) for slide in self._record.slides}
        for file in stored:
            if not self._resume or self.changed or file not in keep:
                with suppress(OSError):
                    file.unlink()
        for part in self.folder.rglob(".*.part"):  # of a process that was killed while it wrote
            with suppress(OSError):
                part.unlink()
        self._write(finished=False)

    @property
    def resumed(self) -> bool:
        """Whether a run of the same settings is gone on with."""
        return bool(self._resume) and not self.changed

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that changes answers, as they were given."""
        return self._record.settings

    def has_file(self, slide_id: str) -> bool:
        """Whether anything is stored of a slide, whatever its key: what :meth:`holds` is worth asking of."""
        return self._file(slide_id).exists()

    def holds(self, slide_id: str, key: str) -> bool:
        """Whether a slide was read whole with this key; what is stored with another one is deleted."""
        file = self._file(slide_id)
        stored = read_stored(file)
        if stored is not None and key and (stored.slide_id, stored.key) == (slide_id, key):
            return True
        if file.exists():
            _LOG.info("%s: is read anew, its pictures changed or it was not read whole", slide_id)
            with suppress(OSError):
                file.unlink()
        return False

    def store(self, slide_id: str, content: bytes) -> None:
        """Keep a slide's file, made by :func:`smearscan.scan.slide_file.slide_bytes`.

        With an empty key in it the slide is read again at the next ``--resume``.

        Raises
        ------
        OutputError
            If the disk is full or the place closed; what was stored before stays.
        """
        write_bytes(self._file(slide_id), content)

    def report(self, slide_id: str) -> SlideReport:
        """Report of a slide that is kept."""
        return read_report(self._file(slide_id))

    def finish(self) -> None:
        """Write that every slide was read."""
        self._write(finished=True)

    def _write(self, finished: bool) -> None:
        record = replace(self._record, finished=finished)
        content = {
            "format": _FORMAT,
            "settings": dict(record.settings),
            "slides": list(record.slides),
            "finished": record.finished,
            **({"part_of": list(record.part_of)} if record.part_of else {}),
        }
        write_text(self.folder / "run.json", json.dumps(content, indent=1) + "\n")

    def _file(self, slide_id: str) -> Path:
        return slide_file(self.folder, slide_id)


def slide_key(
    settings: Mapping[str, Any], slide_id: str, names: Sequence[str], digests: Sequence[str],
    beside: Sequence[str] = (),
) -> str:  # fmt: skip
    """Hash of all that a slide's result depends on; empty where a picture cannot be read.

    Parameters
    ----------
    settings : mapping
        Of the run.
    slide_id : str
    names, digests : sequence of str
        Of its pictures: the paths relative to the scanned folder, and the SHA-256 of each.
    beside : sequence of str
        What else its report says of its folder.
    """
    if not all(digests):
        return ""
    told = [settings, slide_id, list(zip(names, digests, strict=True)), list(beside)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode("ascii")).hexdigest()


def read_run(
    folder: Path, root: Path | None = None
) -> Iterator[tuple[SlideReport, list[FieldResult | FieldFailure]]]:
    """Restore what a run has read, one slide at a time, in the order of the report.

    A run that is not finished gives the slides it has; :func:`run_record` tells which it wants.

    Parameters
    ----------
    folder : Path
        Run folder.
    root : Path, optional
        The folder that was scanned, where it lies now: the fields' paths are then below it. By default they
        are relative to it, for a run folder names no place of the machine it was made on.

    Yields
    ------
    SlideReport, list of FieldResult or FieldFailure
        As the scan gave them, to the last bit.

    Raises
    ------
    RunError
        If there is no run, or a file is damaged.
    """
    for report, file in _stored(folder):
        yield report, [placed(item, root) for item in read_fields(file)]


def read_reports(folder: Path) -> Iterator[SlideReport]:
    """Restore the reports of a run alone, as :func:`read_run` does, without the cells."""
    for report, _ in _stored(folder):
        yield report


def run_record(folder: Path) -> RunRecord:
    """Read what a run folder says of its run.

    Raises
    ------
    RunError
        If there is none.
    """
    record = _record(folder)
    if record is None:
        raise RunError(
            f"{folder}: holds no run; give the folder that 'smearscan run' wrote, for example report.run"
        )
    return record


def placed(item: FieldResult | FieldFailure, root: Path | None) -> FieldResult | FieldFailure:
    """Return a field's result with its path below `root`, where one is given."""
    return replace(item, path=root / item.path) if root is not None and item.path is not None else item


def _stored(folder: Path) -> Iterator[tuple[SlideReport, Path]]:
    for slide_id in run_record(folder).slides:
        file = slide_file(folder, slide_id)
        if file.exists():
            yield read_report(file), file


def _record(folder: Path) -> RunRecord | None:
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            return None
        part_of = tuple(content.get("part_of", ()))
        return RunRecord(content["settings"], tuple(content["slides"]), content["finished"], part_of)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def slide_file(folder: Path, slide_id: str) -> Path:
    """Place of a slide's file: named by a hash, for ids hold slashes and may be of any length."""
    digest = hashlib.sha256(slide_id.encode("utf-8", "surrogatepass")).hexdigest()
    return folder / "slides" / f"{digest[:24]}.npz"
