"""Slides through one pipeline: while the last fields of one are named, the next are opened and read."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from smearscan.differential import SlideTally
from smearscan.io import Slide, read_ahead
from smearscan.results import AS_PHOTOGRAPHED, FieldResult, Scale
from smearscan.scan.film import Film, Seams
from smearscan.scan.pipeline import Pipeline
from smearscan.scan.reading import EveryField, Reading, order_of
from smearscan.scan.slide_judge import UNKNOWN, ScannedSlide, SlideJudge
from smearscan.scan.slide_opening import SlideOpener
from smearscan.scan.streams import LoadFn, Stream

OnProgress = Callable[[str], None]

_OPENED = 2
"""Slides that are opened ahead, at a time: each holds the fields that its scale is measured on."""


@dataclass(slots=True, eq=False)
class _SlideStream(Stream[Path]):
    """A slide whose fields are scanned."""

    slide: Slide = field(kw_only=True)
    reading: Reading = field(kw_only=True)
    scale: Scale = field(kw_only=True)
    film: Film | None = field(kw_only=True, default=None)


def scan_in_one_go(
    slides: Iterable[Slide],
    opener: SlideOpener,
    judge: SlideJudge,
    pipeline: Pipeline,
    on_progress: OnProgress | None = None,
) -> Generator[tuple[Slide, ScannedSlide | Exception], None, None]:
    """Scan slides, one after the other, without a pause between them.

    Parameters
    ----------
    slides : iterable of Slide
        Drawn a few ahead.
    opener : SlideOpener
    judge : SlideJudge
    pipeline : Pipeline
    on_progress : callable, optional
        Called with the slide's name after each field, failed or not.

    Yields
    ------
    Slide, (SlideReport, list of FieldResult or FieldFailure) or Exception
        What became of each, in order; an exception where it could not be scanned.
    """
    with closing(pipeline.scan_each(_opened(slides, opener, judge))) as scanned:
        for stream, item in scanned:
            if item is None:
                yield stream.slide, _outcome(stream, judge)
                continue
            if on_progress:
                on_progress(stream.slide.slide_id)
            try:
                stream.ended = stream.reading.add(item)
            except Exception as error:  # of a report that was to tell whether it is settled
                stream.broken(error)


def _opened(slides: Iterable[Slide], opener: SlideOpener, judge: SlideJudge) -> Iterator[_SlideStream]:
    yield from read_ahead(slides, partial(_open, opener, judge), _OPENED, _OPENED)


def _open(opener: SlideOpener, judge: SlideJudge, slide: Slide) -> _SlideStream:
    """Open a slide; one that cannot be opened has no field and ends with its error."""
    try:
        film = opener.open_film(slide) if slide.is_whole else None
        scale = film.scale if film else opener.measure_scale(slide)
    except Exception as error:
        nothing = Reading(slide.slide_id, (), (), EveryField(0))
        none = opener.loader(slide.slide_id, None)
        return _SlideStream((), none, ended=True, error=error, slide=slide, reading=nothing, scale=UNKNOWN)
    paths = film.fields if film else slide.paths
    order = order_of(len(paths), is_film=film is not None, reads_all=opener.config.read == "all")
    reading = Reading(slide.slide_id, paths, order, judge.pace(len(paths), scale))
    load: LoadFn[Path] = opener.loader(slide.slide_id, scale)
    own = None
    if film:
        load, own = film.loader(load), Seams(film.grid, opener.detector.card.nms_iou)
    return _SlideStream(reading.fields, load, own, True, slide=slide, reading=reading, scale=scale, film=film)


def _outcome(stream: _SlideStream, judge: SlideJudge) -> ScannedSlide | Exception:
    """Report of a slide whose fields were read, and their results in the order of their names."""
    if stream.error:
        return stream.error
    try:
        results, stop = stream.reading.done()
        paths = [r.path for r in results if isinstance(r, FieldResult) and r.path is not None]
        film_map = stream.film.map_of(paths) if stream.film else None
        results += stream.slide.failures
        report = judge.report(SlideTally.of(stream.slide.slide_id, results), stream.scale, stop)
        with judge.timer("report"):
            if stream.film:  # its scale is judged by its run, its parts before they are read
                counts = [r.unlike_training for r in results if isinstance(r, FieldResult)]
                doubts = judge.doubts_of_cells(counts)
            else:
                doubts = judge.doubts(stream.scale, results)
    except Exception as error:
        return error
    stain = stream.stain or AS_PHOTOGRAPHED
    every = (*stream.slide.doubts, *judge.with_stain_told(doubts, stain))
    return replace(report, doubts=every, film=film_map, stain=stain), results
