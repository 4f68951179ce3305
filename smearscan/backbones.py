"""Networks of stage two: torchvision backbones, with batch normalization held still.

Batch statistics learned at one site are wrong at the next and make most leukocyte classifiers collapse there
(arXiv:2303.01777), so normalization layers keep the statistics they come with; only their gain and offset
learn.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from smearscan.errors import WeightsError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ResNet18Stage3(nn.Module):
    """ResNet-18 (He et al., CVPR 2016) without its last stage; pooled features of stages two and three.

    The last stage holds three quarters of the weights and sees a 112 px crop as 4x4 cells, which a leukocyte
    does not need. Maps (B, 3, H, W) to logits (B, n_classes).
    """

    def __init__(self, n_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        from torchvision.models import resnet18

        whole = resnet18(weights=None)
        self.conv1, self.bn1, self.relu, self.maxpool = whole.conv1, whole.bn1, whole.relu, whole.maxpool
        self.layer1, self.layer2, self.layer3 = whole.layer1, whole.layer2, whole.layer3
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(128 + 256, n_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits."""
        low = self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images))))))
        high = self.layer3(low)
        logits: Tensor = self.head(torch.cat([low.mean(dim=(2, 3)), high.mean(dim=(2, 3))], dim=1))
        return logits


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., CVPR 2018). Maps (B, 3, H, W) to logits (B, n_classes)."""

    def __init__(self, n_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        self.features = mobilenet_v2(weights=None).features
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, n_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits."""
        logits: Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return logits


_ARCHITECTURES = {"resnet18_stage3": ResNet18Stage3, "mobilenet_v2": MobileNetV2}
ARCHITECTURES = tuple(_ARCHITECTURES)


def build(architecture: str, n_classes: int) -> nn.Module:
    """Make an untrained classifier.

    Raises
    ------
    WeightsError
        If the architecture is not known.
    """
    if architecture not in _ARCHITECTURES:
        raise WeightsError(
            f"classifier architecture {architecture!r} is not one of {', '.join(ARCHITECTURES)}"
        )
    return _ARCHITECTURES[architecture](n_classes)


def start_from(model: nn.Module, source: Path) -> int:
    """Copy every tensor of equal name and shape from a safetensors file; the head stays new.

    Returns
    -------
    int
        How many tensors were taken over.

    Raises
    ------
    WeightsError
        If the file cannot be read or fits less than half of the backbone.
    """
    try:
        given = load_file(source)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{source}: the start weights cannot be read ({error})") from error
    own = {k: v for k, v in model.state_dict().items() if not k.startswith("head.")}
    taken = {k: v.float() for k, v in given.items() if k in own and own[k].shape == v.shape}
    if len(taken) < len(own) / 2:
        raise WeightsError(f"{source}: only {len(taken)} of {len(own)} tensors fit this backbone")
    model.load_state_dict(taken, strict=False)
    return len(taken)


def hold_normalization(modules: Iterable[nn.Module]) -> None:
    """Keep the running statistics of every batch normalization among `modules` (call after ``train()``)."""
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
