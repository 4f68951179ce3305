"""A net as its regime has it: built, held where it does not learn, with its optimizer."""

from pathlib import Path

import torch
from torch import nn

from smearscan.classification import backbones
from smearscan.classification.backbones import Network
from smearscan.errors import ConfigError
from smearscan.training.config import ClassifierTraining
from smearscan.weights.pairs import ClassifierCard, load_card


def network(config: ClassifierTraining, n_classes: int, start: Path | None) -> Network:
    """Build the net of a configuration from its seed and, where the regime has it so, start weights.

    Raises
    ------
    WeightsError
        If the start weights cannot be read or do not fit.
    ConfigError
        If none are given and some are to be held.
    """
    torch.manual_seed(config.seed)
    model = backbones.build(config.architecture, n_classes, config.head, config.norm)
    if given := config.how.start(start):
        backbones.start_from(model, given, with_last_layer=config.last_layer == "kept")
    elif config.held:
        raise ConfigError(f"{config.name}: 'trunk: held' keeps what comes with start weights; give --start")
    elif config.last_layer == "kept":
        raise ConfigError(
            f"{config.name}: 'last_layer: kept' begins with that of start weights; give --start"
        )
    for name, p in model.named_parameters():
        learns = config.how.body_learns and name.partition(".")[0] not in config.held
        p.requires_grad_(learns or name.startswith("head."))
    return model


def check_last_layer(config: ClassifierTraining, classes: tuple[str, ...], start: Path | None) -> None:
    """Refuse a last layer that begins with other classes than it is to learn: their order is its rows'.

    Raises
    ------
    ConfigError
    """
    if config.last_layer == "new" or start is None:
        return
    known = load_card(start, ClassifierCard).classes
    if known != classes:
        raise ConfigError(
            f"{config.name}: 'last_layer: kept' needs the classes of {start.name} ({', '.join(known)}), not "
            f"{', '.join(classes)}; name these under 'classes', or leave 'last_layer' out"
        )


def learning_part(config: ClassifierTraining, model: Network) -> nn.Module:
    """Tell what the regime trains: the whole net or its head."""
    return model if config.how.body_learns else model.head


def optimizer_of(config: ClassifierTraining, model: nn.Module) -> torch.optim.Optimizer:
    """Make the configuration's optimizer over what learns.

    Each group of weights has its ``factor`` of the learning rate, which the loop sets at every step.
    RMSprop forgets at .9, the value of Hinton's lecture and of Keras.
    """
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    head = {"params": [p for n, p in named if n.startswith("head.")], "factor": config.head_factor}
    body = {"params": [p for n, p in named if not n.startswith("head.")], "factor": 1.0}
    groups, decay = [g for g in (head, body) if g["params"]], config.weight_decay
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=1.0, weight_decay=decay)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=1.0, weight_decay=decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=config.momentum, weight_decay=decay)
    return torch.optim.RMSprop(groups, lr=1.0, alpha=0.9, weight_decay=decay)


def set_training(config: ClassifierTraining, model: Network, start: Path | None) -> None:
    """Put what learns into training mode; a body that does not learn keeps its statistics, too."""
    model.train(config.how.body_learns)
    for part in config.held:
        model.get_submodule(part).eval()
    model.head.train()
    if config.norm == "frozen" and config.how.start(start):
        # from random weights there are no statistics worth holding
        backbones.hold_normalization(model.modules())
