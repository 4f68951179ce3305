"""``smearscan evaluate labeled|coverage|pooled``: what statistics are fitted on and judged by."""

from pathlib import Path

import click

from smearscan.cli.options import JSON, PATH, show, stages


@click.command("labeled")
@click.argument("cells", type=PATH)
@click.option("--data", type=PATH, required=True, help="Folder that holds the data sets.")
@click.option("--blast", type=PATH, help="out_of_fold.csv of the blast net's cross-validation.")
@click.option("--differential", type=PATH, help="The same of the differential net.")
@click.option("--weights", "pairs", type=PATH, multiple=True, help="Pairs in place of the shipped ones.")
@click.option("--site", "sites", multiple=True, help="Only cells of this site; repeatable. Default: all.")
@click.option("--unseen", multiple=True, help="Site that the nets have not learned: all its cells are taken.")
@click.option(
    "--configs", type=PATH, default=Path("configs"), show_default=True, help="Folder of both nets' YAML."
)
@click.option("--out", type=PATH, required=True, help="CSV to write.")
def labeled(
    cells: Path, data: Path, blast: Path | None, differential: Path | None, pairs: tuple[Path, ...],
    sites: tuple[str, ...], unseen: tuple[str, ...], configs: Path, out: Path,
) -> None:  # fmt: skip
    """Put truth and probabilities of cells side by side that the nets have not learned.

    CELLS is a located manifest. Cells scored in cross-validation are taken with those probabilities; others
    of the validation and test splits are named by the nets.
    """
    import pandas as pd

    from smearscan.calibration.labeled_cells import label_published
    from smearscan.classification.classifier import Classifier
    from smearscan.detection.detector import Detector
    from smearscan.report.tables import write_csv
    from smearscan.training.cells import read_manifest
    from smearscan.training.config import ClassifierTraining, load_config
    from smearscan.weights.pairs import shipped

    if (blast is None) != (differential is None):
        raise click.UsageError("--blast and --differential go together")
    tasks, given = ("blast", "differential"), stages(pairs)
    nets = {task: Classifier.load(given.get(task, shipped(task))) for task in tasks}
    told = {task: load_config(configs / f"{task}.yaml", ClassifierTraining) for task in tasks}
    folds = {"blast": blast, "differential": differential}
    folded = {task: pd.read_csv(path) for task, path in folds.items() if path}
    given_cells = read_manifest(cells)
    if sites:
        given_cells = given_cells[given_cells["site"].isin(sites)]
    table = label_published(given_cells, data, nets, told, folded, Detector.load(None), unseen)
    write_csv(table, out)


@click.command("transfer")
@click.argument("scores", type=PATH)
@click.option(
    "--error-rate", default=0.2, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of a site's cells that may get a wrong name; the rest stays unclassified.",
)  # fmt: skip
@click.option(
    "--specificity", default=0.95, show_default=True, type=click.FloatRange(0, 1, max_open=True),
    help="Of a blast net: mean share of a site's healthy cells that its threshold leaves unflagged.",
)  # fmt: skip
@JSON
def transfer(scores: Path, error_rate: float, specificity: float, out: Path | None) -> None:
    """Tell what probabilities, threshold and limit are worth at a site where no cell was labeled.

    SCORES is the out_of_fold.csv of 'smearscan crossval --protocol lodo': probabilities of cells of sites
    that their net had not seen. For each site all is fitted on the other sites, these alike, and judged on
    it.
    """
    from smearscan.calibration.transfer import measure_transfer, read_site_scores

    show(measure_transfer(read_site_scores(scores), error_rate, specificity), out)


@click.command("coverage")
@click.option(
    "--calibration", type=PATH, help="Calibration card whose errors are simulated. Default: shipped."
)
@click.option("--slides", default=2000, show_default=True, help="Slides of each size and blast share.")
@click.option("--seed", default=0, show_default=True)
@JSON
def coverage(calibration: Path | None, slides: int, seed: int, out: Path | None) -> None:
    """Simulate slides of known truth: how often intervals hold it, and how often a flag is false."""
    from smearscan.calibration.coverage import (
        HEALTHY_SLIDES,
        measure_coverage,
        measure_left_shift,
        measure_sequential,
        measure_suspects,
    )
    from smearscan.differential.calibration_card import load_calibration, shipped_calibration
    from smearscan.differential.flag import FlagRule
    from smearscan.differential.reference_ranges import load_ranges
    from smearscan.differential.suspects import SuspectRule

    errors = load_calibration(calibration or shipped_calibration()).errors
    rule = SuspectRule(load_ranges())
    shares, level = (0.0, 0.01, 0.05, 0.2, 0.6), FlagRule().level
    show(
        {
            "level": level,
            "fixed": measure_coverage(errors, (50, 100, 200, 1000), shares, slides, level, seed),
            "left_shift": measure_left_shift(errors, 200, (0.0, 0.05, 0.1, 0.3), 2 * slides, level, seed),
            "suspects": {
                name: measure_suspects(errors, percent, 200, max(slides // 4, 1), rule, seed)
                for name, percent in HEALTHY_SLIDES.items()
            },
            "until_resolved": measure_sequential(errors, shares, slides, level, 15.0, 2000, seed),
        },
        out,
    )


@click.command("pooled")
@click.argument("tables", type=PATH, nargs=-1, required=True, metavar="TABLE...")
@click.option("--calibration", type=PATH, help="Calibration card. Default: shipped.")
@click.option("--cells", "n", default=200, show_default=True, help="Leukocytes of a slide.")
@click.option("--slides", default=20, show_default=True, help="Slides of each group and blast share.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--unseen", type=click.Choice(["unlike", "known"]),
    help="The tables are of laboratories that nets have not seen, as for 'calibrate --left-out': each is "
    "judged by the card of unlike slides that the others make, or by that of known laboratories, as it is.",
)  # fmt: skip
@click.option(
    "--specificity", type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="With --unseen unlike: share of healthy blood that the cards' threshold keeps. Default: as shipped.",
)  # fmt: skip
@JSON
def pooled(
    tables: tuple[Path, ...], calibration: Path | None, n: int, slides: int, seed: int, unseen: str | None,
    specificity: float | None, out: Path | None,
) -> None:  # fmt: skip
    """Pool slides of known composition from the labeled cells of a TABLE and judge what is said of them."""
    from functools import partial

    import numpy as np

    from smearscan.calibration.calibrate import RATE_ELSEWHERE, SPECIFICITY_ELSEWHERE
    from smearscan.calibration.labeled_cells import joined, read_labeled
    from smearscan.calibration.pooled_slides import (
        cross_fitted,
        each_site_alone,
        each_site_unseen,
        measure_pooled,
    )
    from smearscan.differential.calibration_card import load_calibration, shipped_calibration
    from smearscan.weights.pairs import ClassifierCard, load_card, shipped

    if specificity and unseen != "unlike":
        raise click.UsageError("--specificity is of '--unseen unlike', which is missing")
    card = load_calibration(calibration or shipped_calibration())
    cards = {task: load_card(shipped(task), ClassifierCard) for task in ("blast", "differential")}
    tell = partial(click.echo, err=True)
    cells = joined([read_labeled(table, cards["differential"].classes, tell=tell) for table in tables])
    rng, shares = np.random.default_rng(seed), (0.0, 0.01, 0.05, 0.2, 0.6)
    if not unseen:
        judgings = cross_fitted(cells, card, cards, 5, rng)
        return show(measure_pooled(cells, judgings, cards, n, shares, slides, rng, tell), out)
    kept = specificity or SPECIFICITY_ELSEWHERE
    sites = (
        each_site_alone(cells, card)
        if unseen == "known"
        else each_site_unseen(cells, card, cards, RATE_ELSEWHERE, kept)
    )
    told = {site: measure_pooled(cells, [own], cards, n, shares, slides, rng, tell) for site, own in sites}
    return show({site: rows for site, rows in told.items() if rows}, out)
