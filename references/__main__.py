"""``python -m references``: what serves the published data sets and the figures of this repository alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from smearscan.cli import Refusing
from smearscan.cli.options import JSON, PATH, replace_section, show


@click.group(cls=Refusing)
def command() -> None:
    """Make the manifest of the published sets, measure helpers on them, and write tables of results."""


@command.command("published")
@click.argument("data", type=PATH)
@click.option("--out", type=PATH, required=True, help="Manifest to write, CSV.")
@click.option(
    "--detector",
    type=PATH,
    help="Locate cells without a box with this detector; 'shipped' for the shipped one.",
)
@click.option(
    "--fine",
    is_flag=True,
    help="With the sets that only a net of fine types learns from (configs/cells.yaml).",
)
def published(data: Path, out: Path, detector: Path | None, fine: bool) -> None:
    """Write one manifest of the published single-cell sets in DATA, split without leaks."""
    from references.published_sets import published_cells
    from smearscan.cli.console import progress
    from smearscan.report.tables import write_csv

    table = published_cells(data, fine)
    if detector is not None:
        from smearscan.detection.detector import Detector
        from smearscan.training.cells import locate

        found = Detector.load(None if str(detector) == "shipped" else detector)
        with progress("Locating", len(table)) as advance:
            table = locate(table, data, found, advance)
    write_csv(table, out)
    click.echo(table.groupby(["site", "split"]).size().unstack(fill_value=0).to_string())


@command.command("graphs")
@JSON
def graphs(out: Path | None) -> None:
    """Write the shipped networks as graphs that need no torch, beside the weights; compare each."""
    from references.graphs import make_all

    show({file.name: sizes for file, sizes in make_all().items()}, out)


@command.command("with-trees")
@click.argument("pair", type=PATH)
@click.argument("manifest", type=PATH)
@click.option("--config", type=PATH, required=True, help="What PAIR was trained by; tells the trees' weight.")
@click.option("--data", type=PATH, required=True, help="What the manifest's pictures are relative to.")
@click.option("--exclude-site", multiple=True, help="Leave a site out.")
def with_trees(pair: Path, manifest: Path, config: Path, data: Path, exclude_site: tuple[str, ...]) -> None:
    """Give the classifier PAIR trees beside its network, fitted to the training cells of MANIFEST."""
    from references.with_trees import add_trees
    from smearscan.training.config import ClassifierTraining, load_config

    told = load_config(config, ClassifierTraining)
    told = told.model_copy(update={"exclude_sites": [*told.exclude_sites, *exclude_site]})
    card = add_trees(pair, told, manifest, data)
    click.echo(f"written: {pair}: temperature {card.temperature:.3f}, sha256 {card.short_hash}")


@command.command("mean-weights")
@click.argument("pairs", type=PATH, nargs=-1, required=True, metavar="PAIR...")
@click.option("--config", type=PATH, required=True, help="As each PAIR was trained by; names the new one.")
@click.option("--cells", type=PATH, required=True, help="Its manifest: validation cells fit the temperature.")
@click.option("--data", type=PATH, required=True, help="What the manifest's pictures are relative to.")
@click.option("--exclude-site", multiple=True, help="Leave a site out.")
@click.option("--out", type=PATH, required=True, help="Weights file to write.")
def mean_weights(
    pairs: tuple[Path, ...], config: Path, cells: Path, data: Path, exclude_site: tuple[str, ...], out: Path
) -> None:
    """Write one network of the mean weights of each PAIR: trainings that began with the same weights."""
    from references.mean_weights import average
    from smearscan.training.config import ClassifierTraining, load_config

    told = load_config(config, ClassifierTraining)
    told = told.model_copy(update={"exclude_sites": [*told.exclude_sites, *exclude_site]})
    out.parent.mkdir(parents=True, exist_ok=True)
    card = average(pairs, told, cells, data, out)
    click.echo(f"written: {out}: temperature {card.temperature:.3f}, sha256 {card.short_hash}")


@command.command("without-coarsest-grid")
@click.argument("pair", type=PATH)
@click.option("--out", type=PATH, required=True, help="Pair to write.")
def without_coarsest_grid(pair: Path, out: Path) -> None:
    """Write the detector PAIR without its grid of 32 px and the layers that serve it alone."""
    from references.coarsest_grid import write_without_coarsest_grid

    card = write_without_coarsest_grid(pair, out)
    click.echo(f"written: {out}: {card.architecture}, sha256 {card.short_hash}")


@command.command("same-boxes")
@click.argument("pair", type=PATH)
@click.argument("data", type=PATH)
@click.option("--most", default=1000, show_default=True, help="Photographs of a set, at most.")
@JSON
def same_boxes(pair: Path, data: Path, most: int, out: Path | None) -> None:
    """Compare the shipped detector with PAIR on the photographs in DATA: each box, to the bit."""
    from references.coarsest_grid import compare_boxes, photographs
    from smearscan.cli.console import progress
    from smearscan.detection import Detector

    one, other = Detector.load(), Detector.load(pair)
    with progress("Comparing", sum(map(len, photographs(data, most).values()))) as advance:
        sites = compare_boxes(one, other, data, most, advance)
    detectors = [f.card.short_hash for f in (one, other)]
    show({"detectors": detectors, "engine": one.engine.name, "sites": sites}, out)


@command.command("background")
@click.option(
    "--data", type=PATH, required=True, help="Folder that holds the data sets jtsc and cellavision."
)
@click.option("--detector", type=PATH, help="Detector pair that finds the cells. Default: shipped.")
@JSON
def background(data: Path, detector: Path | None, out: Path | None) -> None:
    """Score the removal of the background against published masks of leukocytes."""
    from references.background_removal import MASKED, measure_background
    from references.published_sets import published_cells
    from smearscan.cli.console import progress
    from smearscan.detection.detector import Detector
    from smearscan.errors import DatasetError
    from smearscan.training.cells import locate

    table = published_cells(data)
    table = table[table["site"].isin(MASKED)].reset_index(drop=True)
    if table.empty:
        raise DatasetError(f"{data}: holds neither of the sets with masks ({', '.join(MASKED)})")
    with progress("Locating", len(table)) as advance:
        table = locate(table, data, Detector.load(detector), advance)
    show(measure_background(table, data), out)


@command.command("doubts")
@click.argument("data", type=PATH)
@click.option("--most", default=30, show_default=True, help="Fields of a slide, at most.")
@JSON
def doubts(data: Path, most: int, out: Path | None) -> None:
    """Measure how often the published fields in DATA raise a doubt, as they are and made wrong."""
    from references.doubt_rates import doubt_rates

    show(doubt_rates(data, most), out)


@command.command("quality")
@click.argument("data", type=PATH)
@click.option("--most", default=6, show_default=True, help="Fields of a slide, at most.")
@JSON
def quality(data: Path, most: int, out: Path | None) -> None:
    """Measure the quality of the published fields in DATA, and how often worse ones are noticed."""
    from references.field_quality import quality_rates

    show(quality_rates(data, most), out)


@command.command("odd-fields")
@click.argument("data", type=PATH)
@click.option("--most", default=8, show_default=True, help="Fields of a slide, at most.")
@JSON
def odd_fields(data: Path, most: int, out: Path | None) -> None:
    """Compare the published fields in DATA with their slides, as they are and one at a time made wrong."""
    from references.odd_fields import odd_field_rates

    show(odd_field_rates(data, most), out)


@command.command("quality-limits")
@click.argument("results", type=PATH)
@click.argument("odd", type=PATH)
def quality_limits(results: Path, odd: Path) -> None:
    """Write the limits that RESULTS of 'quality', and ODD of 'odd-fields', give into the detector's card."""
    import json

    from references.field_quality import limits_of
    from references.odd_fields import limits_of_odd_fields
    from smearscan.weights import DetectorCard, load_card, save_card, shipped

    limits, told = limits_of(json.loads(results.read_text(encoding="utf-8")))
    limits, of_odd = limits_of_odd_fields(json.loads(odd.read_text(encoding="utf-8")), limits)
    card = load_card(shipped("detector"), DetectorCard)
    metrics = {**card.metrics, "quality": told, "odd_fields": of_odd}
    save_card(shipped("detector"), card.model_copy(update={"quality": limits, "metrics": metrics}))
    click.echo(limits.model_dump_json(indent=1))


@command.command("known-cells")
@click.argument("cells", type=PATH)
@click.option("--data", type=PATH, required=True, help="Pictures of CELLS: a folder, or a pack.")
@click.option("--fields", type=PATH, help="Folder of the published sets: slides of fields are judged, too.")
@click.option("--write-card", is_flag=True, help="Write what is known into the cards of both shipped nets.")
@JSON
def known_cells(cells: Path, data: Path, fields: Path | None, write_card: bool, out: Path | None) -> None:
    """Measure the stain of CELLS that the shipped nets learned from, and which slides are unlike them.

    CELLS is a manifest of published cells, with sites that the nets never saw.
    """
    from references.known_cells import fields_unlike
    from references.known_cells import known_cells as measure
    from smearscan.cli.console import progress
    from smearscan.training.cells import read_cells
    from smearscan.weights import ClassifierCard, load_card, save_card, shipped

    card = load_card(shipped("differential"), ClassifierCard)
    with progress("Cutting", None) as advance:
        known, figures = measure(read_cells(cells, data, None, None, 0), data, card, advance)
    if fields:
        figures["fields"] = fields_unlike(fields, card, known)
    show({"known_cells": known.model_dump(mode="json"), **figures}, out)
    for net in ("differential", "blast") if write_card else ():
        own = load_card(shipped(net), ClassifierCard)
        save_card(shipped(net), own.model_copy(update={"known_cells": known}))


@command.command("as-known")
@click.argument("source", type=PATH)
@click.argument("target", type=PATH)
def as_known(source: Path, target: Path) -> None:
    """Write how the training cells of SOURCE, by its card, are stained into the card of TARGET."""
    from smearscan.weights import ClassifierCard, load_card, save_card

    known = load_card(source, ClassifierCard).known_cells
    save_card(target, load_card(target, ClassifierCard).model_copy(update={"known_cells": known}))


@command.command("film-parts")
@click.argument("data", type=PATH)
@click.option("--most", default=30, show_default=True, help="Fields of a slide, at most.")
@click.option("--into", type=PATH, help="Markdown file in which the table follows <!-- parts -->.")
@JSON
def film_parts(data: Path, most: int, into: Path | None, out: Path | None) -> None:
    """Tell what parts of a film the published fields in DATA are taken for, alone and laid on each other."""
    from references.film_parts import parts_of_published_fields, table

    figures = parts_of_published_fields(data, most)
    show(figures, out)
    if into:
        replace_section(into, "<!-- parts -->", table(figures))


@command.command("bad-inputs")
@click.option(
    "--program", type=PATH, help="Scan what this program makes (FIELD OUT: ok, fail, either) instead."
)
@click.option("--into", type=PATH, help="Markdown file in which the table follows <!-- bad inputs -->.")
@JSON
def bad_inputs(program: Path | None, into: Path | None, out: Path | None) -> None:
    """Scan hundreds of bad inputs beside sound ones, and read label files that are wrong in one place."""
    from references.bad_inputs.labels import try_labels
    from references.bad_inputs.table import as_json, bad_inputs_table
    from references.bad_inputs.trial import try_pictures, try_places, try_program

    done = try_program(program) if program else [*try_labels(), *try_places(), *try_pictures()]
    show(as_json(done), out)
    if into:
        replace_section(into, "<!-- bad inputs -->", bad_inputs_table(done))
    if any(not one.is_right for one in done):
        raise SystemExit(1)


@command.command("fuzz")
@click.option("--seconds", default=60.0, show_default=True, help="Time of each target.")
@click.option("--target", "names", multiple=True, help="Only these; repeatable.")
@click.option(
    "--findings", type=PATH, default=Path("build/fuzz"), show_default=True, help="Folder of what broke."
)
@JSON
def fuzz(seconds: float, names: tuple[str, ...], findings: Path, out: Path | None) -> None:
    """Fuzz the parsers of pictures, label files and cards, each in a process of its own."""
    from references.fuzzing.session import fuzz_targets

    figures = fuzz_targets(names, seconds, findings)
    show(figures, out)
    if figures["findings"]:
        raise SystemExit(1)


@command.command("leaks")
@click.argument("cells", type=PATH)
@click.option("--data", type=PATH, required=True, help="Folder that holds the data sets bccd, pbc and txl.")
@JSON
def leaks(cells: Path, data: Path, out: Path | None) -> None:
    """Try the leak guard on known leaks: one picture in two sets, augmented copies, and none."""
    import tempfile

    from references.leak_trial import known_leaks
    from smearscan.training.cells import read_manifest

    with tempfile.TemporaryDirectory() as work:
        show(known_leaks(read_manifest(cells), data, Path(work)), out)


NETS = click.option(
    "--nets", "folder", type=PATH, required=True,
    help="Folder of nets that have not seen the set: pairs differential and blast, and calibration.yaml.",
)  # fmt: skip


@command.command("unseen")
@click.argument("data", type=PATH)
@NETS
@JSON
def unseen(data: Path, folder: Path, out: Path | None) -> None:
    """Scan the patients of DATA/lld with nets that have not seen their laboratory."""
    from references.unseen_leukemias import measure_unseen
    from references.unseen_nets import UnseenNets

    show(measure_unseen(UnseenNets(folder).scanner, data / "lld"), out)


@command.command("published-slides")
@click.argument("data", type=PATH)
@JSON
def published_slides(data: Path, out: Path | None) -> None:
    """Scan the fields of BCCD, TXL and a promyelocytic leukemia in DATA as slides."""
    from references.published_slides import measure_published_slides
    from smearscan.scan.scanner import SmearScanner

    scanner = SmearScanner()
    slides = measure_published_slides(scanner, data)
    show({"weights": list(scanner.weights), "slides": slides}, out)


def _show_with_table(
    figures: dict[str, Any], out: Path | None, into: Path | None, marker: str,
    table: Callable[[dict[str, Any]], str],
) -> None:  # fmt: skip
    """Print figures, write them where asked, and put their table after a marker of a page."""
    show(figures, out)
    if into:
        replace_section(into, marker, table(figures))


@command.command("corrections")
@click.argument("data", type=PATH)
@click.option("--into", type=PATH, help="Markdown file in which the table follows <!-- corrections -->.")
@JSON
def corrections(data: Path, into: Path | None, out: Path | None) -> None:
    """Measure what the review page's first cells teach, on DATA/lld."""
    from references.correction_loop import corrections_table, measure_corrections

    figures = measure_corrections(data)
    _show_with_table(figures, out, into, "<!-- corrections -->", corrections_table)


@command.command("corrections-training")
@click.argument("data", type=PATH)
@click.option("--answers", type=int, multiple=True, default=(50, 100), show_default=True)
@click.option(
    "--into", type=PATH, help="Markdown file in which the table follows <!-- corrections training -->."
)
@JSON
def corrections_training(data: Path, answers: tuple[int, ...], into: Path | None, out: Path | None) -> None:
    """Measure what a training on the review page's first cells teaches, on DATA/lld; minutes a training."""
    from references.correction_training import measure_training, training_table

    figures = measure_training(data, answers)
    _show_with_table(figures, out, into, "<!-- corrections training -->", training_table)


@command.command("few-labels")
@click.argument("data", type=PATH)
@NETS
@click.option("--into", type=PATH, help="Markdown file in which the table follows <!-- few labels -->.")
@JSON
def few_labels(data: Path, folder: Path, into: Path | None, out: Path | None) -> None:
    """Measure what a few labeled cells teach both nets at a laboratory they have not seen, on DATA/lld."""
    from references.few_labels import few_labels_table, measure_few_labels
    from references.unseen_nets import UnseenNets

    figures = measure_few_labels(UnseenNets(folder), data / "lld")
    _show_with_table(figures, out, into, "<!-- few labels -->", few_labels_table)


@command.command("labeled-scans")
@click.argument("data", type=PATH)
@NETS
@click.option("--into", type=PATH, help="Markdown file in which the table follows <!-- labeled scans -->.")
@JSON
def labeled_scans(data: Path, folder: Path, into: Path | None, out: Path | None) -> None:
    """Scan the patients of DATA/lld again after a hundred cells of their laboratory were labeled."""
    from references.labeled_scan import labeled_scans_table, measure_labeled_scans
    from references.unseen_nets import UnseenNets

    told = measure_labeled_scans(UnseenNets(folder), data / "lld")
    _show_with_table(told, out, into, "<!-- labeled scans -->", labeled_scans_table)


@command.command("stain")
@click.argument("cells", type=PATH)
@click.option("--config", "config_file", type=PATH, required=True, help="YAML of a net of fine types.")
@click.option("--data", type=PATH, required=True, help="What the manifest's paths are relative to.")
@click.option("--site", "sites", multiple=True, required=True, help="Sites whose groups are slides.")
@JSON
def stain(cells: Path, config_file: Path, data: Path, sites: tuple[str, ...], out: Path | None) -> None:
    """Tell how far the stain ruler's gain depends on which of a slide's cells are measured."""
    from references.stain_trial import measure_dependence, measure_pooled
    from smearscan.cli.console import progress
    from smearscan.training.cells import read_manifest
    from smearscan.training.config import ClassifierTraining, load_config
    from smearscan.weights import ClassifierCard, load_card, shipped

    every = load_config(config_file, ClassifierTraining)
    of_slides = every.model_copy(update={"sites": list(sites)})
    table, known = read_manifest(cells), load_card(shipped("differential"), ClassifierCard).known_cells
    assert known is not None
    with progress("Measuring", None) as advance:
        slides = measure_dependence(table, of_slides, data, advance)
        show({"slides": slides, "pooled": measure_pooled(table, every, data, known, advance)}, out)


@command.command("left-out")
@click.argument("manifest", type=PATH)
@click.option(
    "--data", type=PATH, required=True, help="What the manifest's paths are relative to; or a pack."
)
@click.option("--config", "config_file", type=PATH, required=True, help="YAML of the net of fine types.")
@click.option("--nets", type=PATH, required=True, help="Folder with both pairs, trained without the sites.")
@click.option("--site", "sites", multiple=True, required=True, help="Site that was left out; repeatable.")
@click.option("--photographed", is_flag=True, help="As photographed, in place of the reference stain.")
@click.option("--out", type=PATH, required=True, help="CSV to write, for 'smearscan calibrate --left-out'.")
def left_out(
    manifest: Path, data: Path, config_file: Path, nets: Path, sites: tuple[str, ...], photographed: bool,
    out: Path,
) -> None:  # fmt: skip
    """Name the cells of sites that nets were trained without; MANIFEST is located, of fine types."""
    from references.left_out import name_left_out
    from references.unseen_nets import UnseenNets
    from smearscan.cli.console import progress
    from smearscan.report.tables import write_csv
    from smearscan.training.cells import read_manifest
    from smearscan.training.config import ClassifierTraining, load_config

    cells = read_manifest(manifest)
    config = load_config(config_file, ClassifierTraining)
    with progress("Naming", None) as advance:
        own = cells[cells["site"].isin(sites)]
        table = name_left_out(own, data, config, UnseenNets(nets).pairs, advance, photographed)
    write_csv(table, out)


@command.command("stain-views")
@click.argument("runs", type=PATH)
@click.option("--config", "config_file", type=PATH, required=True, help="YAML that the runs are of.")
@click.option(
    "--data", type=PATH, required=True, help="What the manifest's paths are relative to; or a pack."
)
@click.option("--site", "sites", multiple=True, required=True, help="Sites that were left out.")
@JSON
def stain_views(runs: Path, config_file: Path, data: Path, sites: tuple[str, ...], out: Path | None) -> None:
    """Score left-out sites as photographed and in their slides' reference stain; RUNS kept their nets."""
    from references.stain_views import measure_views
    from smearscan.cli.console import progress
    from smearscan.training.config import ClassifierTraining, load_config

    config = load_config(config_file, ClassifierTraining)
    with progress("Scoring", None) as advance:
        show(measure_views(runs, config, data, sites, advance), out)


@command.command("table")
@click.argument("results", type=PATH)
@click.option(
    "--part", type=click.Choice(["front", "networks", "statistics"]), default="networks", show_default=True
)
@click.option("--into", type=PATH, help="Markdown file in which the text follows <!-- measured -->.")
def table(results: Path, part: str, into: Path | None) -> None:
    """Print the figures of a folder of results as Markdown."""
    from references.front_table import front_table
    from references.tables import summarize, summarize_statistics

    write = {"front": front_table, "networks": summarize, "statistics": summarize_statistics}
    text = write[part](results)
    click.echo(text)
    if into:
        replace_section(into, "<!-- measured -->", text)


@command.command("trust")
@click.argument("results", type=PATH)
@click.option("--into", type=PATH, help="Markdown file in which the table follows <!-- long runs -->.")
def trust(results: Path, into: Path | None) -> None:
    """Print what the long runs of the page Trust found, from a folder of results."""
    from references.trust_table import trust_table

    text = trust_table(results)
    click.echo(text)
    if into:
        replace_section(into, "<!-- long runs -->", text)


@command.command("licenses")
@click.argument("sbom", type=PATH)
@click.option("--out", type=PATH, required=True, help="Table to write, Markdown.")
def licenses(sbom: Path, out: Path) -> None:
    """List the packages of SBOM, a CycloneDX file of 'make sbom', by license; say which tell none."""
    from references.licenses import by_license, table
    from smearscan.io.atomic import write_text

    found = by_license(sbom)
    write_text(out, table(found))
    click.echo(f"written: {out}: {sum(map(len, found.values()))} packages, {len(found)} licenses")
    if silent := found.get(""):
        click.echo(f"tell no license: {', '.join(silent)}", err=True)


@command.command("vulnerabilities")
@click.argument("lock", type=PATH)
def vulnerabilities(lock: Path) -> None:
    """Ask for known vulnerabilities of the versions in LOCK; exit code 1 if there are any."""
    from references.vulnerabilities import audited, sentences

    asked, found = audited(lock)
    click.echo(sentences(asked, found))
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    command()
