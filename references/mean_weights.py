"""One network whose weights are the mean of several: what trainings by different recipes agree on.

Trainings that begin with the same pretrained weights stay near enough to each other that the mean of their
weights is a network as good as the mean of their answers, at the cost of one (model soups; Wortsman et al.,
ICML 2022).
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from smearscan.classification import backbones
from smearscan.errors import ConfigError
from smearscan.training.cells import load_crops, read_cells
from smearscan.training.config import ClassifierTraining
from smearscan.training.train_classifier import Trained, calibrated_card, prepared
from smearscan.weights.pairs import ClassifierCard, load_weights


def average(
    pairs: Sequence[Path], config: ClassifierTraining, manifest: Path, root: Path, out: Path
) -> ClassifierCard:
    """Write the pair of mean weights; temperature and threshold are fitted to the validation cells anew.

    Parameters
    ----------
    pairs : sequence of Path
        Networks without trees, alike but for their weights and names.
    config : ClassifierTraining
        Like theirs: which cells, and what the pair is named.
    manifest : Path
        Located cells with their splits.
    root : Path
        What their pictures are relative to.
    out : Path
        Weights file to write.

    Raises
    ------
    ConfigError
        If the pairs are not alike, one has trees, or the configuration names other classes.
    """
    cards, tensors = zip(*(load_weights(pair, ClassifierCard) for pair in pairs), strict=True)
    table, classes = prepared(read_cells(manifest, root, None, None, config.seed), config)
    for pair, card in zip(pairs, cards, strict=True):
        if (card.architecture, card.head, card.norm, card.classes) != (
            config.architecture, config.head, config.norm, classes,
        ) or card.trees:  # fmt: skip
            raise ConfigError(f"{pair}: is not as the configuration tells, or has trees; give pairs alike")
    model = backbones.build(config.architecture, len(classes), config.head, config.norm)
    model.load_state_dict({name: _mean([own[name] for own in tensors]) for name in tensors[0]})
    val_cells = table[table["split"] == "val"].reset_index(drop=True)
    made = Trained(model.eval().requires_grad_(False), None)
    crops = load_crops(val_cells, root, config.crop_um, config.crop_px)
    card = calibrated_card(config, classes, made, val_cells, crops)
    training = {
        **cards[0].training,
        "mean_of": {own.short_hash: own.training.get("config", {}) for own in cards},
    }
    return made.save(out, card.model_copy(update={"training": training}))


def _mean(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(parts)).mean(dim=0) if parts[0].dtype.is_floating_point else parts[0]
