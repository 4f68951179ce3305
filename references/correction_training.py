"""What a training on N corrections of a site teaches: ``train classifier`` beside the net it starts from.

Of half of a laboratory's patients, which the nets have never seen, the review page's first cells are
answered, as in :mod:`references.correction_loop`. The differential goes on from the shipped one by the
configuration that ``smearscan corrections apply`` writes, and is judged on the other patients; then the
halves change places. Beside it the same number of cells without a name, chosen by chance.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from references.correction_loop import HALVES, Laboratory, Rows, figures_of, with_interval
from smearscan.differential.statistics.estimates import over_groups
from smearscan.training.cells import load_crops
from smearscan.training.config import ClassifierTraining
from smearscan.training.corrections import held_for_validation, training_of
from smearscan.training.first_try import classifier_schedule
from smearscan.training.train_classifier import logits_of, prepared, trained
from smearscan.weights.pairs import shipped

DRAWS = 1


def measure_training(data: Path, answers: tuple[int, ...]) -> dict[str, Any]:
    """Measure on the set ``lld`` in `data`.

    Parameters
    ----------
    data : Path
    answers : tuple of int
        How many cells are answered of either half of the patients.

    Returns
    -------
    dict
        As of :func:`references.correction_loop.measure_corrections`, and of each number of answers
        ``gain``: the page's order over the net before.
    """
    known = Laboratory.read(data)
    after = []
    for n in answers:
        orders = known.orders(n, DRAWS)
        hits = {way: np.stack([_judged(asked, known) for asked in orders[way]]) for way in ("page", "chance")}
        better = hits["page"].mean(axis=0) - known.right
        gain = over_groups(lambda rows, better=better: float(better[rows].mean()), known.patient)  # type: ignore[misc]
        after.append({"answers": n, "gain": gain, **figures_of(hits, known.patient)})
    return {**known.figures(), "after": after}


def _judged(asked: tuple[Rows, Rows], known: Laboratory) -> NDArray[np.bool_]:
    """Whether each cell is named rightly by a net trained on answers of the other half's patients, (N,)."""
    right = np.zeros(len(known.cells), np.bool_)
    for rows, other in zip(asked, HALVES[::-1], strict=True):
        judged = np.flatnonzero(np.isin(known.patient, other))
        right[judged] = _called(rows, judged, known) == known.cells["truth"].to_numpy(str)[judged]
    return right


def _called(rows: Rows, judged: Rows, known: Laboratory) -> NDArray[np.str_]:
    """Class that a net trained on some cells calls each of others."""
    own = known.cells.iloc[rows].reset_index(drop=True)
    own = own.assign(**{"class": own["truth"], "group": own["patient"], "site": "corrections"})
    own = own.assign(split=held_for_validation(own))
    config = ClassifierTraining.model_validate(training_of(known.card, set(own["class"])))
    table, classes = prepared(own, config)
    parts = [table[table["split"] == split].reset_index(drop=True) for split in ("train", "val")]
    config = classifier_schedule(config, len(parts[0]))
    with TemporaryDirectory() as out:
        made, _ = trained(
            config, classes, *parts, known.images, shipped("differential"), Path(out), lambda _: None
        )
    crops = load_crops(known.cells.iloc[judged], known.images, config.crop_um, config.crop_px)
    return np.array(classes)[logits_of(made, crops, config).argmax(axis=1)]


def training_table(figures: dict[str, Any]) -> str:
    """Write the figures as a Markdown table."""
    lines = [
        f"The same {figures['cells']} cells, patients and judging; the whole net but the shared first layers learns, four of five answers "
        "train, the fifth sets the temperature.",
        "",
        "| answers | in the page's order | gain over the net before | by chance, one draw | page over chance |",
        "|---|---|---|---|---|",
        f"| none | {with_interval(figures['before'])} | | | |",
    ]
    for row in figures["after"]:
        told = [with_interval(row[key]) for key in ("page", "gain", "chance", "page_over_chance")]
        lines.append(f"| {row['answers']} | {' | '.join(told)} |")
    return "\n".join([*lines, ""])
