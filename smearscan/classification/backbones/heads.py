"""Heads: what makes logits of a backbone's features."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

Head = Literal["linear", "own", "dense256", "leuknet", "soto_ayala"]
HEADS: tuple[Head, ...] = get_args(Head)
"""Heads by name; see :func:`make_head`."""

LEUKNET_WIDTHS = (1024, 1024)
"""The work says "smaller dense layers" than VGG's 4096 and 4096; a quarter of each is a choice made here."""


@dataclass(frozen=True, slots=True)
class Dense:
    """Fully connected layers: `hidden` widths, each with activation and dropout, then one to the classes.

    Without hidden layers the dropout stands before the last layer, as in torchvision's networks.
    """

    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: Callable[[], nn.Module] = nn.ReLU

    def make(self, width: int, n_classes: int) -> nn.Sequential:
        """Build it for features of `width`."""
        layers: list[nn.Module] = [] if self.hidden or not self.dropout else [nn.Dropout(self.dropout)]
        for wide in self.hidden:
            layers += [nn.Linear(width, wide), self.activation()]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
            width = wide
        return nn.Sequential(*layers, nn.Linear(width, n_classes))


def make_head(head: Head, width: int, n_classes: int, own: Dense) -> nn.Sequential:
    """Build an untrained head.

    Parameters
    ----------
    head : Head
        ``linear``: dropout .3 and one layer. ``own``: the network's published fully connected part, its last
        layer for `n_classes` (VGG: 4096, 4096). ``dense256``: 256 ReLU, dropout .5, one layer (Beato).
        ``leuknet``: VGG's fully connected part with smaller layers (Vogado et al., Sensors 21:2989, 2021),
        see :data:`LEUKNET_WIDTHS`. ``soto_ayala``: 512 -> 100 -> classes (Soto-Ayala & Cantoral); 512 is the
        width of ResNet-18's features, other features are brought to it by one more layer.
    width : int
        Of the features.
    n_classes : int
    own : Dense
        The network's own head.
    """
    hidden = (100,) if width == 512 else (512, 100)
    kinds: dict[Head, Dense] = {
        "linear": Dense(dropout=0.3),
        "own": own,
        "dense256": Dense((256,), 0.5),
        "leuknet": Dense(LEUKNET_WIDTHS, 0.5),
        "soto_ayala": Dense(hidden),
    }
    return kinds[head].make(width, n_classes)
