"""What becomes of batch normalization: left as trained, held still, or replaced by group normalization."""

from collections.abc import Iterable
from math import gcd
from typing import Literal, get_args

from torch import Tensor, nn

Norm = Literal["batch", "frozen", "group"]
NORMS: tuple[Norm, ...] = get_args(Norm)
"""``batch``: as trained, statistics of each batch. ``frozen``: statistics held (:func:`hold_normalization`
while training). ``group``: :func:`use_group_normalization`."""

GROUPS = 32
"""Groups of a layer (Wu & He, ECCV 2018), or the greatest divisor of its channels among those of 32."""


class GroupNormalization(nn.GroupNorm):
    """Takes a batch normalization's place: its channels, gain, offset, and what timm fuses into it."""

    def __init__(self, batch: nn.BatchNorm2d) -> None:
        channels = batch.num_features
        super().__init__(gcd(GROUPS, channels), channels, batch.eps, batch.affine)
        if batch.affine:
            self.weight, self.bias = batch.weight, batch.bias
        # timm's BatchNormAct2d is normalization, dropout and activation in one
        self.drop = getattr(batch, "drop", nn.Identity())
        self.act = getattr(batch, "act", nn.Identity())

    def forward(self, images: Tensor) -> Tensor:
        """Normalize within groups of channels of each picture; no statistics are kept."""
        out: Tensor = self.act(self.drop(super().forward(images)))
        return out


def use_group_normalization(module: nn.Module) -> None:
    """Replace every batch normalization below `module`, in place.

    A group's statistics are those of one picture, so neither batch nor site of training matter to them
    (Wu & He, "Group normalization", ECCV 2018). Gain and offset are taken over, and a network's published
    weights still fit by name.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, GroupNormalization(child))
        else:
            use_group_normalization(child)


def hold_normalization(modules: Iterable[nn.Module]) -> None:
    """Keep the running statistics of every batch normalization among `modules` (call after ``train()``)."""
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
