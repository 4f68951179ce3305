"""``smearscan calibrate``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.options import PATH as _PATH
from smearscan.cli.options import namers, stages

if TYPE_CHECKING:
    from smearscan.calibration.calibrate import Calibrated


@click.command("calibrate")
@click.option(
    "--cells", "table", type=_PATH, required=True,
    help="Table of 'smearscan run --cells' with a column 'truth': what the cells that you looked at are.",
)  # fmt: skip
@click.option("--out", type=_PATH, required=True, help="Calibration card to write, .yaml.")
@click.option(
    "--weights",
    "pairs",
    type=_PATH,
    multiple=True,
    help="Pairs that made the table, where these are not the shipped ones.",
)
@click.option("--base", type=_PATH, help="Card to start from. Default: the shipped one.")
@click.option("--from-scratch", is_flag=True, help="Start from no card: for new networks, with many cells.")
@click.option(
    "--error-rate", default=0.1, show_default=True,
    help="From scratch: share of a slide's cells that may get a wrong name; the rest stays unclassified.",
)  # fmt: skip
@click.option(
    "--left-out", type=_PATH, multiple=True,
    help="From scratch: such a table of laboratories that nets trained alike had not seen, for slides that "
    "are stained unlike the training cells; repeatable.",
)  # fmt: skip
@click.option(
    "--left-out-rate", type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="With --left-out: share of such a laboratory's cells that may get a wrong name. Default: 0.3.",
)  # fmt: skip
@click.option("--split", "splits", multiple=True, help="Only rows with this in a column 'split'; repeatable.")
@click.option("--site", "sites", multiple=True, help="Only rows with this in a column 'site'; repeatable.")
@click.option(
    "--judge-split", "judged", multiple=True,
    help="Judge before and after on the rows with this in 'split', in place of cross-validation; repeatable.",
)  # fmt: skip
@click.option("--limit", "limits", multiple=True, help="Known limit to write into the card; repeatable.")
@click.option("--json", "written", type=_PATH, help="Write the figures before and after to this file, too.")
@click.option("--plot", type=_PATH, help="Reliability diagram to write, .png.")
@click.option(
    "--last-layer", type=_PATH,
    help="Also re-fit the last layers of both nets, and write the new pairs to this folder.",
)  # fmt: skip
@click.option("--slides", type=_PATH, help="With --last-layer: the folder that was scanned.")
@click.option("--force", is_flag=True, help="Write the card also where its figures are worse than before.")
def command(
    table: Path, out: Path, pairs: tuple[Path, ...], base: Path | None, from_scratch: bool, error_rate: float,
    left_out: tuple[Path, ...], left_out_rate: float | None, splits: tuple[str, ...], sites: tuple[str, ...],
    judged: tuple[str, ...], limits: tuple[str, ...],
    written: Path | None, plot: Path | None, last_layer: Path | None, slides: Path | None, force: bool,
) -> None:  # fmt: skip
    """Fit probabilities, naming errors and the false-blast rate to labeled cells of your site.

    Some 100 cells are enough. Label them in the table that 'smearscan run --cells' wrote: a new column
    'truth' with the right name, empty for cells that you did not look at, 'none' for boxes without a
    leukocyte: where it pays, boxes of low scores are dropped. Use the card with 'smearscan run
    --calibration CARD'.
    """
    import json
    from dataclasses import replace
    from functools import partial

    from smearscan.calibration.calibrate import (
        RATE_ELSEWHERE,
        calibrate_from_scratch,
        calibrate_to_site,
        check_base,
    )
    from smearscan.calibration.false_boxes import fit_box_score, read_boxes
    from smearscan.calibration.fit import class_targets
    from smearscan.calibration.labeled_cells import (
        are_restained,
        joined,
        labeled_rows,
        read_labeled,
    )
    from smearscan.cli.rich_console import err
    from smearscan.differential.calibration_card import (
        load_calibration,
        save_calibration,
        shipped_calibration,
    )
    from smearscan.results.doubts import counted
    from smearscan.taxonomy import NOTICE
    from smearscan.weights.pairs import ClassifierCard, DetectorCard, load_card, shipped

    if (last_layer is None) != (slides is None) or (last_layer and (from_scratch or judged)):
        raise click.UsageError(
            "--last-layer and --slides go together, and not with --from-scratch or --judge-split"
        )
    if from_scratch and (base or judged):
        raise click.UsageError("--from-scratch goes with neither --base nor --judge-split")
    if left_out and not from_scratch:
        raise click.UsageError("--left-out goes with --from-scratch alone: a site's own card knows its stain")
    if left_out_rate and not left_out:
        raise click.UsageError("--left-out-rate says how --left-out is used, which is missing")
    paths = namers(pairs)
    cards = {task: load_card(path, ClassifierCard) for task, path in paths.items()}
    classes = cards["differential"].classes
    boxes = fit_box_score(read_boxes(table, classes, splits, sites))
    tell, least = partial(err.print, markup=False, highlight=False), boxes.least_score
    cells = read_labeled(table, classes, splits, sites, tell, None if from_scratch else least)
    if from_scratch:
        if boxes.n_false:
            told = counted(boxes.n_false, "box", "boxes")
            tell(f"{told} labeled 'none' left out: --from-scratch fits no score to them")
        elsewhere = (
            joined([read_labeled(path, classes, tell=tell) for path in left_out]) if left_out else None
        )
        rate = left_out_rate or RATE_ELSEWHERE
        made = calibrate_from_scratch(out.stem, cells, cards, error_rate, elsewhere, rate)
    else:
        start, refitted = load_calibration(base or shipped_calibration()), {}
        check_base(start, cards, str(base or "the shipped card"))
        rows = labeled_rows(table, classes, splits, sites)
        for task in ("differential", "blast"):  # what named cells of unknown stain is what they teach
            path, card = paths.pop(f"{task}_unlike", None), cards.pop(f"{task}_unlike", None)
            asked = class_targets(task, rows["truth"].to_numpy(str), cards[task].classes)
            if path and card and last_layer and are_restained(rows) and len(set(asked) - {-1}) > 1:
                paths[task], cards[task] = path, card
        if last_layer and slides:
            from smearscan.calibration.last_layer import with_new_layers

            refitted["last_layer"], start, cells, cards = with_new_layers(
                rows, slides, paths, last_layer, start, cells, cards
            )
            names = (
                " and ".join(refitted["last_layer"]["pairs"].values()) or "no net: only one class is labeled"
            )
            tell(f"last layer fitted anew: {names}")
        elif start.unlike and are_restained(rows):
            start = start.unlike
            tell("scanned in the reference stain: the card starts from that of slides of unknown stain")
        for told in boxes.sentences():
            tell(told)
        judging = read_labeled(table, classes, judged, sites, least_score=least) if judged else None
        new = refitted.get("last_layer", {})
        made = calibrate_to_site(out.stem, start, cells, cards, judging, new.get("pairs", ()))
        before = {"before": new["before"]} if new else {}  # of the nets as they were, by the same cells
        made = replace(made, figures=refitted | made.figures | before)
        detector = load_card(stages(pairs).get("detector", shipped("detector")), DetectorCard)
        made = made.with_boxes(boxes, detector.sha256)
    _show(made, out, force, has_new_layers=last_layer is not None)
    save_calibration(out, made.documented(cells, table.name, limits))
    if written:
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps(made.figures, indent=1) + "\n")
    if plot:
        from smearscan.calibration.reliability_plot import draw_reliability

        draw_reliability(plot, made.compared)
    err.print(f"written: {out}", markup=False)
    err.print(NOTICE, style="dim")


def _show(made: "Calibrated", out: Path, force: bool, has_new_layers: bool) -> None:
    """Print figures, verdict and limits; a worse card ends here unless it is forced."""
    from smearscan.calibration.verdict import is_unknown_stain
    from smearscan.cli.rich_console import err, figures_table
    from smearscan.errors import ConfigError

    figures_table(made.compared)
    if not has_new_layers and is_unknown_stain(made.compared.get("after", {})):
        err.print(
            "fewer than half of the cells get their right name: a card cannot teach the networks this stain "
            "or camera; add --last-layer FOLDER --slides SLIDES, which fits their last layers to your cells",
            markup=False,
        )
    if (verdict := made.verdict) is not None:
        err.print(f"the card is {verdict.state} than before: {verdict.reason}", markup=False)
        if verdict.state == "worse" and not force:
            raise ConfigError(
                f"{out}: not written, its figures are worse than before ({verdict.reason}); label more cells "
                "of more slides, keep the card you had, or give --force"
            )
        if verdict.state == "no better":
            err.print("keep the card you had, or label more cells", markup=False)
    for limit in made.card.limits:
        err.print(f"limit of the card: {limit}", markup=False)
