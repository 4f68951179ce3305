"""What every network of stage two has, and the networks that are put together here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from smearscan.errors import WeightsError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Input:
    """What pictures a network was designed for.

    `px` is the side of the square, `mean` and `std` (of RGB, 0 to 1) its normalization. A `fixed` network
    takes no other side; all others pool whatever comes, from `smallest` px.
    """

    px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fixed: bool = False
    smallest: int = 8


class Network(nn.Module):
    """Features, then a head: maps (B, 3, H, W) normalized pictures to logits (B, n_classes).

    `features` maps pictures to (B, `width`); `head`, whose parameters are named ``head.*``, is set by
    :func:`smearscan.classification.backbones.build`, and `head_name` tells which it is. `trunk_parts` names
    the first layers of a :class:`Trunked` network, and is empty in all others.
    """

    trunk_parts: tuple[str, ...] = ()
    features: Callable[[Tensor], Tensor]
    head: nn.Module
    width: int
    head_name: str

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits."""
        logits: Tensor = self.head(self.features(images))
        return logits


class Bodied(Network):
    """A library's network without its last layers as `body`; parameters keep its names after ``body.``."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.width = body, width

    def features(self, images: Tensor) -> Tensor:
        """Features (B, width)."""
        out: Tensor = self.body(images)
        return out


class Trunked(Network):
    """A network in two steps, the first of which several nets may have in common (:class:`Joined`)."""

    trunk: Callable[[Tensor], Tensor]
    above: Callable[[Tensor], Tensor]

    def features(self, images: Tensor) -> Tensor:
        """Features (B, width)."""
        return self.above(self.trunk(images))


class Joined(nn.Module):
    """Nets with the same trunk as one network: logits (B, K1 + K2 + ...), what they have in common done once.

    That is the trunk, and all features of nets that differ in their heads alone.

    Parameters
    ----------
    nets : sequence of Trunked
        With the same trunk; the first one's is computed.

    Raises
    ------
    WeightsError
        If a net has no trunk, or another one: its card tells what is not so.
    """

    def __init__(self, nets: Sequence[Network]) -> None:
        super().__init__()
        trunks = [_tensors(net, net.trunk_parts.__contains__) for net in nets]
        if not all(_equal(trunk, trunks[0]) for trunk in trunks):
            raise WeightsError("nets whose cards tell of the same trunk have different ones; train again")
        self.nets = nn.ModuleList(nets)
        bodies = [_tensors(net, lambda part: part != "head") for net in nets]
        self.body_of = [next(k for k, other in enumerate(bodies) if _equal(body, other)) for body in bodies]
        """Of each net, which net's features are its own."""

    def forward(self, images: Tensor) -> Tensor:
        """Compute all logits."""
        nets = [cast(Trunked, net) for net in self.nets]
        maps = nets[0].trunk(images)
        features = {k: nets[k].above(maps) for k in dict.fromkeys(self.body_of)}
        return torch.cat([net.head(features[k]) for net, k in zip(nets, self.body_of, strict=True)], dim=1)


def _tensors(net: Network, belongs: Callable[[str], bool]) -> dict[str, Tensor]:
    """Tensors of a net's parts of which `belongs` is true."""
    return {name: value for name, value in net.state_dict().items() if belongs(name.partition(".")[0])}


def _equal(own: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    """Tell whether two nets' tensors are the same, and any are there."""
    same = own.keys() == others.keys() and all(torch.equal(own[name], others[name]) for name in own)
    return bool(own) and same


class ResNet18Stage3(Trunked):
    """ResNet-18 (He et al., CVPR 2016) without its last stage; pooled features of stages two and three.

    The last stage holds three quarters of the weights and sees a 112 px crop as 4x4 cells, which a leukocyte
    does not need. The trunk is all below stage two: two fifths of the work.
    """

    width = 128 + 256
    trunk_parts = ("conv1", "bn1", "layer1")

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18

        whole = resnet18(weights=None)
        self.conv1, self.bn1, self.relu, self.maxpool = whole.conv1, whole.bn1, whole.relu, whole.maxpool
        self.layer1, self.layer2, self.layer3 = whole.layer1, whole.layer2, whole.layer3

    def trunk(self, images: Tensor) -> Tensor:
        """Compute the maps of stage one, (B, 64, H / 4, W / 4)."""
        maps: Tensor = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images)))))
        return maps

    def above(self, maps: Tensor) -> Tensor:
        """Pool the maps of stages two and three: (B, 384)."""
        low = self.layer2(maps)
        high = self.layer3(low)
        return torch.cat([low.mean(dim=(2, 3)), high.mean(dim=(2, 3))], dim=1)


class Pooled(nn.Module):
    """Mean over a map: (B, C, H, W) to (B, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Pool."""
        return maps.mean(dim=(2, 3))


class MobileNetV2(Network):
    """MobileNetV2 (Sandler et al., CVPR 2018)."""

    width = 1280

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        # a layer without weights at the end: names stay torchvision's
        self.features = mobilenet_v2(weights=None).features.append(Pooled())


class VggBody(nn.Module):
    """VGG's convolutions (Simonyan & Zisserman, ICLR 2015) and its 7 x 7 map, flat (B, 25088).

    Built without torchvision's fully connected part: its 120 million weights would be made to be thrown away.
    """

    def __init__(self, layout: str) -> None:
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers

        self.features = make_layers(cfgs[layout])
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Flat features."""
        return torch.flatten(self.avgpool(self.features(images)), 1)


class LeNet(Network):
    """The small nets of the field: two convolutions with max pooling, then fully connected 120 and 84.

    `soto_ayala_32` and `soto_ayala_400` (Soto-Ayala & Cantoral) and `farias_lenet` (Farias & Valle, 126 px).
    Known of them are the color input, its side, two convolutions, max pooling and the widths 120 and 84.
    Kernels and channels could not be read from the works: they are LeNet-5's, 6 and 16 of 5 x 5 without
    padding (LeCun et al., Proc. IEEE 86, 1998), with ReLU. Features are the last map, flat; the fully
    connected part is the head ``own``.
    """

    def __init__(self, px: int) -> None:
        super().__init__()
        self._px = px
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2)
        side = ((px - 4) // 2 - 4) // 2
        self.width = 16 * side * side

    def features(self, images: Tensor) -> Tensor:
        """Flat features.

        Raises
        ------
        WeightsError
            If the pictures are not of the net's one size.
        """
        if images.shape[2:] != (self._px, self._px):
            got = " x ".join(map(str, images.shape[2:]))
            raise WeightsError(f"this net takes pictures of {self._px} x {self._px} px only, not {got}")
        low = self.pool(torch.relu(self.conv1(images)))
        return torch.flatten(self.pool(torch.relu(self.conv2(low))), 1)


class FeaturesOf(nn.Module):
    """A network without its head: (B, 3, H, W) to (B, width)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Compute features."""
        return self.network.features(images)
