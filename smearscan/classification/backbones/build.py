"""Every architecture by name: its input, its own head, and the one function that builds it."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from smearscan.classification.backbones.heads import HEADS, Dense, Head, make_head
from smearscan.classification.backbones.networks import (
    Bodied,
    Input,
    LeNet,
    MobileNetV2,
    Network,
    ResNet18Stage3,
    VggBody,
)
from smearscan.classification.backbones.normalization import NORMS, Norm, use_group_normalization
from smearscan.errors import WeightsError

_Rgb = tuple[float, float, float]
_HALF: _Rgb = (0.5, 0.5, 0.5)
TIMM = "timm:"
"""Prefix of any architecture of timm."""


@dataclass(frozen=True, slots=True)
class _Architecture:
    """How to make a network without its head, what pictures it wants, and its heads.

    `own` is the fully connected part it was published with, `head` what it gets unless told otherwise.
    """

    make: Callable[[], Network]
    input: Input = Input(224)  # noqa: RUF009 - frozen
    own: Dense = Dense()  # noqa: RUF009 - frozen
    head: Head = "linear"


def _torchvision(name: str, width: int, last: str = "classifier", **options: Any) -> Network:
    """Make a network of torchvision whose layer `last` hands its input on."""
    from torchvision import models

    whole = getattr(models, name)(weights=None, **options)
    place, _, layer = last.rpartition(".")
    setattr(whole.get_submodule(place), layer, nn.Identity())
    return Bodied(whole, width)


def _vgg(layout: str) -> Network:
    return Bodied(VggBody(layout), 512 * 7 * 7)


def _inception() -> Network:
    # pictures come normalized as the network wants them (input_of), so it has nothing to transform; its own
    # initial weights explode wherever statistics are not those of the batch, so they are torch's
    options = {"aux_logits": False, "transform_input": False, "init_weights": False}
    network = _torchvision("inception_v3", 2048, "fc", **options)
    network.get_submodule("body").dropout = nn.Identity()  # belongs to its own head
    return network


def _timm(name: str) -> Network:
    body = _timm_library(name).create_model(name, pretrained=False, num_classes=0)
    return Bodied(body, int(getattr(body, "head_hidden_size", body.num_features)))


def _timm_library(name: str) -> Any:
    """Import timm, which is optional, and check that it knows an architecture."""
    if importlib.util.find_spec("timm") is None:
        raise WeightsError(f"the architecture {name!r} is timm's, which is not installed; pip install timm")
    import timm

    if not timm.is_model(name):
        raise WeightsError(f"timm {timm.__version__} has no architecture {name!r}; see timm.list_models()")
    return timm


def _lenet(px: int, mean: _Rgb, std: _Rgb) -> _Architecture:
    return _Architecture(partial(LeNet, px), Input(px, mean, std, fixed=True), Dense((120, 84)), "own")


_KNOWN: dict[str, _Architecture] = {
    "resnet18_stage3": _Architecture(ResNet18Stage3, Input(112)),
    "mobilenet_v2": _Architecture(MobileNetV2, own=Dense(dropout=0.2)),
    "vgg16": _Architecture(partial(_vgg, "D"), own=Dense((4096, 4096), 0.5)),
    "vgg19": _Architecture(partial(_vgg, "E"), own=Dense((4096, 4096), 0.5)),
    "resnet18": _Architecture(partial(_torchvision, "resnet18", 512, "fc")),
    "resnet34": _Architecture(partial(_torchvision, "resnet34", 512, "fc")),
    "resnet50": _Architecture(partial(_torchvision, "resnet50", 2048, "fc")),
    "inception_v3": _Architecture(_inception, Input(299, _HALF, _HALF, smallest=75), Dense(dropout=0.5)),
    "densenet121": _Architecture(partial(_torchvision, "densenet121", 1024)),
    "densenet169": _Architecture(partial(_torchvision, "densenet169", 1664)),
    "densenet201": _Architecture(partial(_torchvision, "densenet201", 1920)),
    "mobilenet_v3_large": _Architecture(
        partial(_torchvision, "mobilenet_v3_large", 960), own=Dense((1280,), 0.2, nn.Hardswish)
    ),
    "mobilenet_v3_small": _Architecture(
        partial(_torchvision, "mobilenet_v3_small", 576), own=Dense((1024,), 0.2, nn.Hardswish)
    ),
    "efficientnet_b0": _Architecture(partial(_torchvision, "efficientnet_b0", 1280), own=Dense(dropout=0.2)),
    # the first two layers of ConvNeXt's classifier normalize and flatten: they stay
    "convnext_tiny": _Architecture(partial(_torchvision, "convnext_tiny", 768, "classifier.2")),
    "xception": _Architecture(partial(_timm, "legacy_xception"), Input(299, _HALF, _HALF)),
    # of these works' normalization nothing could be read: to -1..1, and plain 0..1
    "soto_ayala_32": _lenet(32, _HALF, _HALF),
    "soto_ayala_400": _lenet(400, _HALF, _HALF),
    "farias_lenet": _lenet(126, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

ARCHITECTURES = tuple(_KNOWN)
"""Architectures by name; besides these, ``timm:NAME`` is any of timm's."""


def _find(architecture: str) -> _Architecture:
    if architecture in _KNOWN:
        return _KNOWN[architecture]
    if not architecture.startswith(TIMM):
        raise WeightsError(
            f"classifier architecture {architecture!r} is not one of {', '.join(ARCHITECTURES)}, timm:NAME"
        )
    name = architecture.removeprefix(TIMM)
    told = _timm_library(name).get_pretrained_cfg(name)
    if told is None:
        return _Architecture(partial(_timm, name))
    return _Architecture(
        partial(_timm, name), Input(told.input_size[-1], told.mean, told.std, bool(told.fixed_input_size))
    )


def input_of(architecture: str) -> Input:
    """Tell the size and normalization an architecture was published with.

    Raises
    ------
    WeightsError
        If the architecture is not known, or is timm's and timm is not installed.
    """
    return _find(architecture).input


def default_head(architecture: str) -> Head:
    """Tell the head a network has unless told otherwise: the small nets their own, the others ``linear``.

    Raises
    ------
    WeightsError
        As :func:`input_of`.
    """
    return _find(architecture).head


def trunk_of(architecture: str) -> tuple[str, ...]:
    """Name the first layers of an architecture that several nets may have in common; empty where it has none.

    Raises
    ------
    WeightsError
        As :func:`input_of`.
    """
    made = _find(architecture).make
    return made.trunk_parts if isinstance(made, type) and issubclass(made, Network) else ()


def build(architecture: str, n_classes: int, head: Head = "linear", norm: Norm = "batch") -> Network:
    """Make an untrained classifier.

    Parameters
    ----------
    architecture : str
        One of :data:`ARCHITECTURES` or ``timm:NAME``.
    n_classes : int
    head : Head
        One of :data:`smearscan.classification.backbones.HEADS`; see
        :func:`smearscan.classification.backbones.heads.make_head`.
    norm : Norm
        ``batch`` or ``frozen``: batch normalization (held by :func:`hold_normalization` while training);
        ``group``: group normalization in its place.

    Raises
    ------
    WeightsError
        If architecture, head or norm is not known, or the architecture is timm's and timm is not installed.
    """
    for given, known, what in ((head, HEADS, "head"), (norm, NORMS, "norm")):
        if given not in known:
            raise WeightsError(f"{what} {given!r} of a classifier is not one of {', '.join(known)}")
    found = _find(architecture)
    network = found.make()
    network.head = make_head(head, network.width, n_classes, found.own)
    network.head_name = head
    if norm == "group":
        use_group_normalization(network)
    return network
