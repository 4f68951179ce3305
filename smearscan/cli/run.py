"""``smearscan run``."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.options import machine, only_place, stages
from smearscan.cli.run_targets import find_targets
from smearscan.cli.stopping import stop_on_sigterm
from smearscan.errors import ConfigError
from smearscan.taxonomy import NOTICE

if TYPE_CHECKING:
    from smearscan.io.folders import Slide

_PATH = click.Path(path_type=Path)
_LAST_SEEN = 8
"""Slides whose lines fit on a screen together with what was said before them."""


@click.command("run")
@click.argument("places", metavar="SLIDES", type=_PATH, nargs=-1, required=True)
@click.option("--out", required=True, help="Report to write, CSV, one row a slide; a folder; - for stdout.")
@click.option("--cells", type=_PATH, help="Table of every leukocyte to write, CSV.")
@click.option("--summary", type=_PATH, help="Short table to write, CSV: the twelve columns people look at.")
@click.option("--html", "page", type=_PATH, help="Page to read and print, one screen a slide.")
@click.option("--overlays", type=_PATH, help="Folder for pictures of the fields with their cells drawn in.")
@click.option(
    "--overlay-format", type=click.Choice(["png", "jpeg"]), default="png", show_default=True,
    help="Of --overlays; JPEG takes a fraction of the room.",
)  # fmt: skip
@click.option(
    "--export", "kinds", help="For other tools: coco, yolo, geojson, parquet, fhir, contact, map, by commas."
)
@click.option("--exports", type=_PATH, help="Folder for --export. Default: 'exports' beside the report.")
@click.option("--review", type=_PATH, help="Folder for the page to review, correct and sign in a browser.")
@click.option("--run", type=_PATH, help="Folder for the state of the run. Default: beside --out, NAME.run.")
@click.option(
    "--resume/--no-resume", default=None, help="Go on with an interrupted run, or read every slide anew."
)
@click.option("--shard", help="Scan part I of N alone, as I/N; 'smearscan merge' puts them together.")
@click.option(
    "--engine-cluster",
    "cluster",
    type=click.Choice(["ray"]),
    help="Scan slides on the machines of a cluster.",
)
@click.option("--address", help="Of the Ray cluster. Default: RAY_ADDRESS, else this machine alone.")
@click.option(
    "--worker-cores", type=click.IntRange(1), help="Of each worker. Default: all of the smallest machine."
)
@click.option(
    "--pictures",
    type=_PATH,
    help="Folder for what is fetched from a URL. Default: beside --out, NAME.pictures.",
)
@click.option("--one-slide", is_flag=True, help="All pictures of SLIDES are fields of one slide.")
@click.option(
    "--pseudonymize",
    "keyfile",
    type=_PATH,
    help="File with a secret, by which slides and fields get pseudonyms.",
)
@click.option("--excel", is_flag=True, help="Begin the CSV files with the mark by which Excel knows UTF-8.")
@click.option(
    "--task", type=click.Choice(["both", "blast", "differential"]), help="Nets to run. Default: both."
)
@machine
@click.option("--um-per-px", type=float, help="Micrometers a pixel, if known; else red cells are measured.")
@click.option(
    "--no-stain",
    "reference_stain",
    flag_value=False,
    type=bool,
    default=None,
    help="Name cells as photographed, though a slide is stained unlike the training cells.",
)
@click.option(
    "--weights",
    "pairs",
    type=_PATH,
    multiple=True,
    help="A weights pair in place of the shipped one; repeatable.",
)
@click.option("--calibration", type=_PATH, help="Calibration card of your site, see 'smearscan calibrate'.")
@click.option(
    "--read",
    help="How far, in random order: resolved (flag and intervals settled), blasts (flag raised), or a number "
    "of leukocytes. Default: all.",
)
@click.option("--until-resolved", is_flag=True, help="The same as --read resolved.")
@click.option(
    "--resolve-width",
    "resolve_width_percent",
    type=float,
    help="With --read resolved: width of the intervals in percentage points. Default: 15.",
)
@click.option("--window", type=int, help="Most fields whose crops are classified together.")
@click.option("--timing", is_flag=True, help="Tell where the time went, on stderr.")
@click.option("--config", "config_file", type=_PATH, help="YAML file of settings; options win over it.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors; the exit code tells the rest.")
@click.option("--verbose", "-v", is_flag=True, help="Print the log, with the cause of every failure.")
def command(
    places: tuple[Path, ...], out: str, cells: Path | None, summary: Path | None, page: Path | None,
    overlays: Path | None, overlay_format: str, review: Path | None, run: Path | None, resume: bool | None,
    one_slide: bool, pictures: Path | None,
    kinds: str | None, exports: Path | None, keyfile: Path | None, excel: bool, pairs: tuple[Path, ...],
    timing: bool, config_file: Path | None, quiet: bool, verbose: bool, read: str | None,
    until_resolved: bool, shard: str | None, cluster: str | None, address: str | None,
    worker_cores: int | None, **settings: object,
) -> None:  # fmt: skip
    """Scan SLIDES: every sub-folder is a slide, its pictures are fields; a loose picture is a slide.

    So is a whole-slide file (SVS, NDPI, MRXS, SCN, BIF, tiled TIFF, DICOM), wherever it lies. SLIDES may be a
    URL (s3://, gs://, az://): its files are fetched first.

    Each slide is kept in the run folder as soon as it is read: after an interruption the same command with
    --resume goes on. The report suggests; it is never a diagnosis. Exit code 0: done; 1: some fields or
    slides failed, or a result could not be written; 2: wrong usage; 130, 143: stopped by Ctrl-C, by SIGTERM.
    """
    from smearscan.cli.after_scan import export_kinds
    from smearscan.cli.console import account, logging_to_terminal, voice
    from smearscan.config import scan_config
    from smearscan.io.folders import survey
    from smearscan.io.naming import OutputNames, Pseudonyms

    place = only_place(places, "run")
    slides = _fetched_to(place, pictures, out)
    if cluster is None and (address or worker_cores):
        raise ConfigError("--address and --worker-cores are of a cluster; add --engine-cluster ray")
    if cluster and overlays:
        raise ConfigError(
            "--overlays are drawn by the machine that scans; leave them out with --engine-cluster"
        )
    if cluster and timing:
        raise ConfigError("--timing accounts for this process alone; leave it out with --engine-cluster")
    if cluster:  # a worker runs in another folder
        slides = slides.absolute()
    wanted = export_kinds(kinds)
    targets = find_targets(
        out, slides, run=run, cells=cells, summary=summary, page=page, overlays=overlays, review=review,
        exports=exports, export_kinds=wanted, overlay_format=overlay_format,
    )  # fmt: skip
    if keyfile and (review or wanted):
        raise ConfigError("--review and --export name the pictures as they are; leave out --pseudonymize")
    if resume and targets.run is None:
        raise ConfigError("--resume: with the report on a pipe, give the run folder with --run")
    missing = None
    if slides != place:
        slides, missing = _fetch(place, slides, quiet)
    names = OutputNames(slides, Pseudonyms.read(keyfile) if keyfile else None)
    found = survey(slides, one_slide, missing=missing)
    own = _part(shard, found.slides) if shard else found.slides
    if until_resolved and read not in (None, "resolved"):
        raise ConfigError(f"--until-resolved means --read resolved, but --read is {read}; give one of them")
    how_far = "resolved" if until_resolved else read
    config = scan_config(config_file, read=how_far, **settings, **stages(pairs))

    with logging_to_terminal(quiet, verbose), stop_on_sigterm():
        say = voice(quiet)
        for told in found.passed_over:
            say(f"passed over: {told}")
        flat = "" if one_slide else _told_if_flat(slides, found.slides)
        if flat:
            say(flat)

        from smearscan.cli.warm_up import warm_up
        from smearscan.scan.scanner import SmearScanner

        warm_up()
        scanner = SmearScanner.load(config)

        from smearscan.cli.run_scan import scan_and_write
        from smearscan.runtime.batches import usable_cores
        from smearscan.scan.timing import Stopwatch

        scan_all = None
        if cluster:
            from smearscan.scan.cluster import scan_on_ray
            from smearscan.scan.run import answer_settings

            settings_told = answer_settings(scanner, names)
            scan_all = scan_on_ray(config, settings_told, names, address, worker_cores)
        watch = Stopwatch()
        outcome = scan_and_write(
            scanner, own, names, targets, root=slides, resume=resume, for_excel=excel, say=say,
            show=not quiet, part_of=found.slides if shard else (), scan_all=scan_all,
        )  # fmt: skip
        if flat and len(own) > _LAST_SEEN:
            say(flat)  # what was said before the slides has left the screen
        say(NOTICE)
    if timing:
        account(watch.stop(scanner.timer, outcome.n_fields, outcome.n_cells, usable_cores()))
    sys.exit(outcome.exit_code)


def _fetched_to(place: Path, pictures: Path | None, out: str) -> Path:
    """Folder to scan: that which was given, or where the files of a URL are to lie."""
    from smearscan.io.remote import is_url

    if not is_url(place):
        if pictures:
            raise ConfigError(
                f"--pictures is for what is fetched from a URL, and {place} is none; leave it out"
            )
        return place
    if pictures is None and out == "-":
        raise ConfigError(
            f"{place}: with the report on a pipe, give the folder for its files with --pictures"
        )
    return pictures or (
        Path(out) / "slides.pictures" if Path(out).is_dir() else Path(out).with_suffix(".pictures")
    )


def _fetch(url: Path, folder: Path, quiet: bool) -> tuple[Path, Mapping[Path, str]]:
    """Fetch what lies at a URL; returns what is to be scanned, and why files are missing."""
    from smearscan.cli.console import voice
    from smearscan.io.remote import fetch

    done = fetch(url, folder)
    voice(quiet)(
        f"{done.n_fetched} files fetched to {folder}, {done.n_kept} lay there, {len(done.failures)} failed"
    )
    return done.root, done.failures


def _part(shard: str, slides: Sequence["Slide"]) -> Sequence["Slide"]:
    """Every n-th slide, from the i-th on: the parts i/n of one folder have every slide once."""
    i, slash, n = shard.partition("/")
    if not (slash and i.isdecimal() and n.isdecimal() and 1 <= int(i) <= int(n)):
        raise ConfigError(f"--shard {shard}: is no part; give I/N, from 1/N to N/N, for example 1/8")
    if int(i) > len(slides):
        raise ConfigError(
            f"--shard {shard}: there are {len(slides)} slides; part them in {len(slides)} at most"
        )
    return slides[int(i) - 1 :: int(n)]


def _told_if_flat(root: Path, found: Sequence["Slide"]) -> str:
    """Say that loose pictures are slides of their own: a patient's folder is easily given for SLIDES."""
    loose = [slide for slide in found if len(slide.paths) == 1 and slide.paths[0].parent == root]
    if len(loose) < 2:
        return ""
    return (
        f"{len(loose)} pictures lie in {root.name or root} itself: each is read as a slide of one field. "
        "Are they fields of one slide? Then add --one-slide."
    )
