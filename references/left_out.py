"""Cells of a site named by nets that were trained without it: what the card of unlike slides is fitted to."""

from pathlib import Path

import numpy as np
import pandas as pd

from references.unseen_nets import TASKS
from smearscan.classification.classifier import Classifier
from smearscan.classification.morphometry import measure
from smearscan.classification.naming import geometric_mean
from smearscan.rulers.optical_density import multiply_density
from smearscan.rulers.stain import measure_cells
from smearscan.taxonomy import BLAST, BLAST_SUMS, DIFFERENTIAL_SUMS
from smearscan.training.batches import slide_gains
from smearscan.training.cells import Progress, load_crops
from smearscan.training.config import ClassifierTraining
from smearscan.training.partial import summed_targets
from smearscan.training.train_classifier import prepared


def name_left_out(
    cells: pd.DataFrame, root: Path, config: ClassifierTraining, nets: dict[str, Path],
    progress: Progress | None = None, photographed: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Put truth and probabilities of a site's cells side by side, as a scan shows a slide of unknown stain.

    The networks see each cell in its slide's reference stain, their trees as it was photographed.

    Parameters
    ----------
    cells : DataFrame
        Located manifest of fine types, of sites that no net has learned.
    root : Path
        What ``image`` is relative to.
    config : ClassifierTraining
        Of the net of fine types: which sites are one slide, whose promyelocytes are normal.
    nets : dict
        Weights file of ``blast`` and of ``differential``, and of ``TASK_unlike`` where there is one.
    progress : callable, optional
        Called with a word after each crop.
    photographed : bool
        Whether the networks, too, see cells as they were photographed, as of a slide of usual stain.

    Returns
    -------
    DataFrame
        As :func:`smearscan.calibration.labeled_cells.read_labeled` reads it; cells whose label leaves open
        what they are called are left out. No cell is asked of the detector: the boxes are the true ones.
    """
    table, fine = prepared(cells, config)
    table = table.reset_index(drop=True)
    kinds, blasts = (
        summed_targets(table, fine, task, config.normal_promyelocytes) for task in ("differential", "blast")
    )
    is_blast = blasts == list(BLAST_SUMS).index(BLAST)
    truth = np.where(is_blast, BLAST, np.array(list(DIFFERENTIAL_SUMS))[np.maximum(kinds, 0)])
    known = is_blast | (kinds >= 0)
    table, truth = table[known].reset_index(drop=True), truth[known]
    told: dict[str, object] = {}
    for task in TASKS:
        other = None if photographed else nets.get(f"{task}_unlike")
        asked = [Classifier.load(file) for file in (nets[task], other) if file]
        net = asked[0]
        crops = load_crops(table, root, net.card.crop_um, net.card.crop_px, progress)
        shown = crops
        if not photographed:
            gains = slide_gains(table, measure_cells(crops, net.card.crop_um), config.one_slide)
            shown = np.stack([multiply_density(crop, gain) for crop, gain in zip(crops, gains, strict=True)])
        form = measure(crops, net.geometry) if any(one.trees for one in asked) else None
        probs = geometric_mean(*(one.probs(shown, measured=form) for one in asked))
        if task == BLAST:
            told["blast_probability"] = probs[:, net.card.classes.index(BLAST)]
        else:
            told |= {f"p_{name}": column for name, column in zip(net.card.classes, probs.T, strict=True)}
    group = table["site"] + "/" + table["group"].astype(str)
    slide = table["site"].where(table["site"].isin(config.one_slide), group)
    return table[["image", "site", "split"]].assign(slide=slide, truth=truth, asked=0, **told)
