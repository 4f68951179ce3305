"""Gives a trained pair trees beside its network, which stays as it is: the last step of their training."""

from pathlib import Path

from smearscan.classification.classifier import Pair
from smearscan.errors import ConfigError
from smearscan.training.cells import load_crops, read_cells
from smearscan.training.config import ClassifierTraining
from smearscan.training.train_classifier import Trained, calibrated_card, prepared, trees_for
from smearscan.weights.pairs import ClassifierCard


def add_trees(weights: Path, config: ClassifierTraining, manifest: Path, root: Path) -> ClassifierCard:
    """Fit trees to the manifest's training cells, set temperature and threshold anew, write the pair again.

    Parameters
    ----------
    weights : Path
        A pair that was trained by `config`, but for its trees.
    config : ClassifierTraining
        With ``trees``.
    manifest : Path
        Located cells with their splits.
    root : Path
        What their pictures are relative to.

    Raises
    ------
    ConfigError
        If the configuration asks for no trees, or names other classes than the pair.
    """
    pair = Pair.read(weights)
    if not config.trees:
        raise ConfigError("the configuration asks for no trees; set 'trees', as 0.5")
    table, classes = prepared(read_cells(manifest, root, None, None, config.seed), config)
    if classes != pair.card.classes:
        raise ConfigError(f"{weights}: is not of the classes of this configuration; give its own")
    parts = [table[table["split"] == split].reset_index(drop=True) for split in ("train", "val")]
    crops = [load_crops(part, root, config.crop_um, config.crop_px) for part in parts]
    made = Trained(pair.network(), trees_for(config, parts[0], len(classes), crops[0]))
    card = calibrated_card(config, classes, made, parts[1], crops[1])
    sites = {site: len(rows) for site, rows in parts[0].groupby("site")}
    new = {"trees", "temperature", "threshold", "confusion", "metrics"}
    training = {**pair.card.training, "trees": {"weight": config.trees, "cells": sites}}
    told = {**{name: getattr(card, name) for name in new}, "training": training}
    return made.save(weights, pair.card.model_copy(update=told))
