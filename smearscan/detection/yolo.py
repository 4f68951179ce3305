"""The detector's network: the only file that touches Ultralytics.

Ultralytics' model definition is used; its predictor is not. Its NMS stops on a wall clock and then returns
no boxes for the rest of a batch, so pre- and post-processing are our own (see
:mod:`smearscan.detection.detector`).
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MethodType, SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from smearscan.errors import WeightsError
from smearscan.weights.pairs import start_tensors

os.environ.setdefault("YOLO_OFFLINE", "true")  # no look for downloads or telemetry, whatever the settings
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")

ARCHITECTURES = ("yolov8n", "yolov8n-p4", "yolov8s", "yolov8s-p4")
"""Ultralytics' names; with ``-p4`` without the coarsest grid, of 32 px, and what serves it alone."""

_P4 = "-p4"
_FOR_P5 = 3  # layers before the head


@contextmanager
def _pictures_untouched() -> Iterator[None]:
    """Keep `Image.open`: the import replaces it by one that looks for packages when a picture is broken."""
    opened = Image.open
    try:
        yield
    finally:
        vars(Image)["open"] = opened


def build(architecture: str, n_classes: int) -> nn.Module:
    """Make an untrained YOLO detection network.

    Parameters
    ----------
    architecture : str
        One of :data:`ARCHITECTURES`.
    n_classes : int
        Number of object classes.

    Returns
    -------
    torch.nn.Module
        Maps (B, 3, H, W) float32 RGB in [0, 1] to Ultralytics' own outputs; see :class:`Decoded`.

    Raises
    ------
    WeightsError
        If the architecture is not known.
    """
    if architecture not in ARCHITECTURES:
        raise WeightsError(f"detector architecture {architecture!r} is not one of {', '.join(ARCHITECTURES)}")
    with _pictures_untouched():
        from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    layers = yaml_model_load(f"{architecture.removesuffix(_P4)}.yaml")
    if architecture.endswith(_P4):
        *others, (grids, *head) = layers["head"]
        layers["head"] = [*others[:-_FOR_P5], [grids[:-1], *head]]
    model: nn.Module = DetectionModel(layers, ch=3, nc=n_classes, verbose=False)
    return model


def fitting(given: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Take of a network's tensors those that another one has, too, by name and shape.

    A head is a head, whatever number its layer has: that depends on the grids of the network.

    Parameters
    ----------
    given : mapping
        Tensors by name, as torch's ``state_dict`` names them.
    model : torch.nn.Module
        Made by :func:`build`.
    """
    own = model.state_dict()
    theirs, ours = (f"model.{max(map(_layer, names), default=0)}." for names in (given, own))
    named = {ours + k.removeprefix(theirs) if k.startswith(theirs) else k: v for k, v in given.items()}
    return {k: v for k, v in named.items() if k in own and own[k].shape == v.shape}


def _layer(name: str) -> int:
    """Give the number of the layer that a tensor ``model.NUMBER. ...`` belongs to; 0 of any other name."""
    number = name.removeprefix("model.").partition(".")[0]
    return int(number) if number.isdecimal() else 0


def start_from(model: nn.Module, source: Path) -> int:
    """Copy the tensors that fit from a ``.safetensors`` file, see :func:`fitting`.

    Returns
    -------
    int
        How many tensors were taken over.

    Raises
    ------
    WeightsError
        As :func:`smearscan.weights.pairs.start_tensors`, or if the file shares fewer than half of the
        network's tensors.
    """
    own, taken = model.state_dict(), fitting(start_tensors(source), model)
    if len(taken) < len(own) / 2:
        raise WeightsError(f"{source}: only {len(taken)} of {len(own)} tensors fit this architecture")
    model.load_state_dict(taken, strict=False)
    return len(taken)


class Decoded(nn.Module):
    """A detection network reduced to what scanning needs; exports to every engine.

    Maps (B, 3, H, W) float32 RGB in [0, 1] to (B, 4 + n_classes, A) float32: center x, center y, width and
    height in pixels of the input, then one probability a class, for each of the A anchors.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Run the network."""
        decoded: Tensor = self.model(images)
        return decoded


def fused(model: nn.Module) -> Decoded:
    """Fold batch normalization into the convolutions (exact up to rounding) and wrap for scanning.

    Ultralytics' head keeps the anchors of the last picture size in itself: two threads with pictures of two
    sizes would decode by each other's, into an error or, where the numbers of anchors agree, into wrong
    boxes. Here the head keeps nothing, and a trace holds for every size.
    """
    model.eval()
    folded: Any = model
    network: Any = folded.fuse(verbose=False)
    network.model[-1].forward = MethodType(_decode, network.model[-1])
    return Decoded(network).eval()


def _decode(head: Any, levels: list[Tensor]) -> Tensor:
    """Answer of the head: (B, 4 + n_classes, A), as `Decoded` tells it, of the levels' features."""
    from ultralytics.utils.tal import make_anchors

    n = len(levels[0])
    boxes = torch.cat([head.cv2[i](x).view(n, 4 * head.reg_max, -1) for i, x in enumerate(levels)], -1)
    logits = torch.cat([head.cv3[i](x).view(n, head.nc, -1) for i, x in enumerate(levels)], -1)
    anchors, strides = (each.transpose(0, 1) for each in make_anchors(levels, head.stride, 0.5))
    xywh = head.decode_bboxes(head.dfl(boxes), anchors.unsqueeze(0)) * strides
    return torch.cat((xywh, logits.sigmoid()), 1)


class DetectionLoss:
    """YOLOv8's loss that can leave out classes a data set does not annotate.

    A red cell without a box in a set that boxes only leukocytes is no background; its class term is masked.
    """

    def __init__(self, model: nn.Module) -> None:
        with _pictures_untouched():
            from ultralytics.utils.loss import v8DetectionLoss

        model.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)  # type: ignore[assignment]
        self._loss = v8DetectionLoss(model)
        self._steps: list[float] = self._loss.stride.tolist()
        self._bce = nn.BCEWithLogitsLoss(reduction="none")
        self._mask = torch.ones(1)
        self._loss.bce = lambda logits, target: self._bce(logits, target) * self._mask

    def __call__(self, outputs: Any, targets: dict[str, Tensor], labeled: Tensor) -> Tensor:
        """Loss of a batch.

        Parameters
        ----------
        outputs : the network's own training outputs.
        targets : dict
            ``batch_idx`` (M,), ``cls`` (M,), ``bboxes`` (M, 4) center xywh as share of the canvas.
        labeled : Tensor, (B, n_classes, S/8, S/8)
            1 where the class is annotated.

        Returns
        -------
        Tensor, (3,)
            Box, class and distribution terms, each times the batch size.
        """
        finer = [self._steps[0] / step for step in self._steps]
        levels = [nn.functional.interpolate(labeled, scale_factor=k, mode="nearest") for k in finer]
        self._mask = torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2)
        loss: Tensor = self._loss(outputs, targets)[0]
        return loss
