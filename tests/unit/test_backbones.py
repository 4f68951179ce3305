"""Every backbone: built by one function, with its input, head, normalization, start weights and file."""

import copy
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from smearscan.classification import backbones
from smearscan.classification.backbones import (
    ARCHITECTURES,
    HEADS,
    IMAGENET_MEAN,
    Input,
    Network,
    build,
    input_of,
)
from smearscan.classification.backbones.heads import LEUKNET_WIDTHS
from smearscan.classification.backbones.normalization import use_group_normalization
from smearscan.classification.classifier import Classifier
from smearscan.errors import WeightsError
from smearscan.runtime import NetworkSpec, make_engine
from smearscan.runtime.torch_engine import FromPixels, TorchEngine
from smearscan.weights.pairs import ClassifierCard, load_weights, save_weights

QUICK = ("resnet18_stage3", "mobilenet_v2", "mobilenet_v3_small", "resnet18", "soto_ayala_32", "farias_lenet")
HEAVY = tuple(pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES if name not in QUICK)
TIMM = importlib.util.find_spec("timm") is not None
SMALL_TIMM = "timm:resnet10t"


def px(architecture: str) -> int:
    """A side that is quick, and one the net takes."""
    own = input_of(architecture)
    smallest = {"inception_v3": 75, "xception": 71}
    return own.px if own.fixed else smallest.get(architecture, 40)


def pictures(architecture: str, n: int = 2) -> Tensor:
    side = px(architecture)
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def linears(module: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in module.modules() if isinstance(m, nn.Linear)]


# ---------------------------------------------------------------- every architecture


@pytest.mark.parametrize("architecture", [*QUICK, *HEAVY])
def test_a_net_is_its_features_and_its_head_and_learns_everywhere(architecture: str) -> None:
    torch.manual_seed(0)
    network, images = build(architecture, 3), pictures(architecture)
    with torch.no_grad():
        network.eval()
        features = network.features(images)
        assert features.shape == (2, network.width)
        torch.testing.assert_close(network(images), network.head(features))
    network.train()
    logits = network(images)
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    heads = {n for n, _ in network.named_parameters() if n.startswith("head.")}
    assert heads == {f"head.{n}" for n, _ in network.head.named_parameters()}


@pytest.mark.parametrize("architecture", [*QUICK, *HEAVY])
def test_a_net_goes_through_a_file(architecture: str, tmp_path: Path) -> None:
    """A scan loads what was saved, and its answers differ by the file's half precision only."""
    torch.manual_seed(1)
    network, own = build(architecture, 3, norm="group").eval(), input_of(architecture)
    card = ClassifierCard(
        name="net", task="custom", architecture=architecture, classes=("a", "b", "c"), crop_um=20,
        crop_px=px(architecture), mean=own.mean, std=own.std, norm="group",
    )  # fmt: skip
    save_weights(tmp_path / "net", card, network.state_dict())
    shape = (3, card.crop_px, card.crop_px, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    told = Classifier.load(tmp_path / "net", engine="torch").engine.run(crops)
    wanted = TorchEngine(FromPixels(network, own.mean, own.std), torch.device("cpu"), 8).run(crops)
    np.testing.assert_allclose(told, wanted, atol=0.02 * np.abs(wanted).max())
    tensors = load_weights(tmp_path / "net", ClassifierCard)[1]
    assert {k: v.shape for k, v in tensors.items()} == {k: v.shape for k, v in network.state_dict().items()}


@pytest.mark.parametrize(
    ("architecture", "norm"),
    [
        ("soto_ayala_32", "batch"),
        pytest.param("resnet18", "group", marks=pytest.mark.slow),
        *(
            pytest.param(name, "batch", marks=pytest.mark.slow)
            for name in ("mobilenet_v3_small", "vgg16", "densenet121")
        ),
    ],
)
def test_openvino_and_torch_agree(architecture: str, norm: backbones.Norm) -> None:
    torch.manual_seed(0)
    own, side = input_of(architecture), px(architecture)
    whole = FromPixels(build(architecture, 3, "own", norm).eval(), own.mean, own.std)
    crops = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    wanted = TorchEngine(whole, torch.device("cpu"), 2).run(crops)
    other = make_engine(NetworkSpec("", "logits", 2, (side, side), lambda: whole), "cpu", "openvino")
    np.testing.assert_allclose(other.run(crops), wanted, atol=1e-4, rtol=1e-4)


def test_inputs_are_the_published_ones() -> None:
    assert input_of("resnet18_stage3") == Input(112)
    assert input_of("vgg16") == Input(224, IMAGENET_MEAN)
    assert input_of("inception_v3").px == 299
    assert input_of("inception_v3").mean == (0.5, 0.5, 0.5)
    sides = {"soto_ayala_32": 32, "soto_ayala_400": 400, "farias_lenet": 126}
    assert {name: input_of(name).px for name in sides} == sides
    assert {name for name in ARCHITECTURES if input_of(name).fixed} == set(sides)


def test_the_shipped_nets_keep_their_names() -> None:
    names = list(build("resnet18_stage3", 9).state_dict())
    assert names[0] == "conv1.weight"
    assert names[-2:] == ["head.1.weight", "head.1.bias"]
    assert "features.18.0.weight" in build("mobilenet_v2", 2).state_dict()


def test_small_nets_are_lenets_of_one_size() -> None:
    network = build("soto_ayala_32", 2, "own")
    assert linears(network) == [(16 * 5 * 5, 120), (120, 84), (84, 2)]
    assert linears(build("farias_lenet", 5, "own"))[0] == (16 * 28 * 28, 120)
    assert backbones.default_head("farias_lenet") == "own"
    with pytest.raises(WeightsError, match="32 x 32 px only, not 32 x 48"):
        network(torch.zeros(1, 3, 32, 48))


@pytest.mark.parametrize("side", [40, 64])
def test_others_take_any_size(side: int) -> None:
    assert build("mobilenet_v3_small", 2).eval()(torch.zeros(1, 3, side, side)).shape == (1, 2)


# ---------------------------------------------------------------- names


def test_unknown_names_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"'resnet19' is not one of resnet18_stage3, .*timm:NAME"):
        build("resnet19", 2)
    with pytest.raises(WeightsError, match="head 'tail' of a classifier is not one of linear, own"):
        build("resnet18", 2, "tail")  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="norm 'layer' of a classifier is not one of batch"):
        build("resnet18", 2, norm="layer")  # type: ignore[arg-type]


@pytest.mark.skipif(not TIMM, reason="timm is optional")
def test_any_net_of_timm_is_built() -> None:
    network = build(SMALL_TIMM, 4).eval()
    assert input_of(SMALL_TIMM).px > 100
    assert network(torch.zeros(1, 3, 40, 40)).shape == (1, 4)
    with pytest.raises(WeightsError, match="has no architecture 'no_such_net'"):
        build("timm:no_such_net", 2)


def test_without_timm_its_nets_are_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for name in ("xception", SMALL_TIMM):
        with pytest.raises(WeightsError, match="not installed; pip install timm"):
            build(name, 2)


# ---------------------------------------------------------------- heads


def test_heads_have_the_published_widths() -> None:
    def widths(head: backbones.Head) -> list[tuple[int, int]]:
        return linears(build("resnet18", 3, head).head)

    assert set(HEADS) == {"linear", "own", "dense256", "leuknet", "soto_ayala"}
    assert widths("linear") == widths("own") == [(512, 3)]
    assert widths("dense256") == [(512, 256), (256, 3)]
    assert widths("leuknet") == [(512, LEUKNET_WIDTHS[0]), LEUKNET_WIDTHS, (LEUKNET_WIDTHS[1], 3)]
    assert widths("soto_ayala") == [(512, 100), (100, 3)]
    wide = linears(build("mobilenet_v3_small", 3, "soto_ayala").head)
    assert wide == [(576, 512), (512, 100), (100, 3)]
    assert linears(build("mobilenet_v3_small", 3, "own").head) == [(576, 1024), (1024, 3)]


@pytest.mark.slow
def test_the_own_head_of_vgg() -> None:
    assert linears(build("vgg16", 3, "own")) == [(25088, 4096), (4096, 4096), (4096, 3)]
    assert len([m for m in build("vgg19", 3).modules() if isinstance(m, nn.Conv2d)]) == 16


# ---------------------------------------------------------------- normalization


def batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("architecture", [name for name in QUICK if batch_norms(build(name, 2))])
def test_group_normalization_leaves_no_batch_normalization(architecture: str) -> None:
    before, after = build(architecture, 2), build(architecture, 2, norm="group")
    groups = [m for m in after.modules() if isinstance(m, nn.GroupNorm)]
    assert not batch_norms(after)
    assert [m.num_channels for m in groups] == [m.num_features for m in batch_norms(before)]
    # the answer to a picture does not depend on its company, not even while training
    first, x = groups[0].train(), torch.randn(4, groups[0].num_channels, 5, 5)
    torch.testing.assert_close(first(x)[:1], first(x[:1]))


def test_group_normalization_takes_gain_and_offset_over() -> None:
    net = nn.Sequential(nn.Conv2d(3, 48, 1), nn.BatchNorm2d(48, eps=1e-2))
    nn.init.uniform_(net[1].weight)
    nn.init.uniform_(net[1].bias)
    was = copy.deepcopy(net[1])
    use_group_normalization(net)
    assert (net[1].num_groups, net[1].eps) == (16, 1e-2)
    assert torch.equal(net[1].weight, was.weight)
    assert torch.equal(net[1].bias, was.bias)


@pytest.mark.skipif(not TIMM, reason="timm is optional")
def test_group_normalization_keeps_the_activation_that_timm_fuses() -> None:
    network = build("timm:efficientnet_b0", 2, norm="group").eval()
    assert not batch_norms(network)
    first = network.get_submodule("body.bn1")
    x = torch.randn(1, 32, 4, 4)
    plain = nn.functional.group_norm(x, 32, first.weight, first.bias, first.eps)  # type: ignore[arg-type]
    torch.testing.assert_close(first(x), nn.functional.silu(plain))


def test_held_statistics_do_not_move_in_a_training_step() -> None:
    network = build("resnet18_stage3", 2)

    def step(hold: bool) -> bool:
        before = copy.deepcopy(network.state_dict())
        network.train()
        if hold:
            backbones.hold_normalization(network.modules())
        network(pictures("resnet18_stage3")).sum().backward()
        with torch.no_grad():
            for p in network.parameters():
                p.sub_(0.01 * p.grad)  # type: ignore[operator]
        after = network.state_dict()
        assert not torch.equal(before["bn1.weight"], after["bn1.weight"])
        return all(torch.equal(v, after[k]) for k, v in before.items() if "running" in k or "tracked" in k)

    assert step(hold=True)
    assert not step(hold=False)


# ---------------------------------------------------------------- start weights


def published(tmp_path: Path, tensors: dict[str, Tensor]) -> Path:
    path = tmp_path / "start.safetensors"
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)
    return path


def same(network: Network, source: nn.Module, prefix: str = "body.") -> bool:
    own = network.state_dict()
    return all(torch.equal(v, own[prefix + k]) for k, v in source.state_dict().items() if prefix + k in own)


def test_published_weights_fit_by_their_own_names(tmp_path: Path) -> None:
    from torchvision.models import mobilenet_v3_small

    source = mobilenet_v3_small(weights=None)
    path = published(tmp_path, source.state_dict())
    network = build("mobilenet_v3_small", 2)
    taken = backbones.start_from(network, path)
    assert taken == sum(k.startswith("body.") for k in network.state_dict())
    assert same(network, source)

    own = build("mobilenet_v3_small", 2, "own")
    assert backbones.start_from(own, path) == taken + 2  # weight and bias of all layers but the last
    assert torch.equal(own.head[0].weight, source.classifier[0].weight)  # type: ignore[index]

    grouped = build("mobilenet_v3_small", 2, norm="group")
    backbones.start_from(grouped, path)
    assert same(grouped, source)


def test_a_net_of_ours_starts_another_but_for_the_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, network = build("resnet18", 2), build("resnet18", 2)
    backbones.start_from(network, published(tmp_path, source.state_dict()))
    assert torch.equal(network.state_dict()["body.conv1.weight"], source.state_dict()["body.conv1.weight"])
    assert not torch.equal(network.state_dict()["head.1.weight"], source.state_dict()["head.1.weight"])


def test_start_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    path = published(tmp_path, build("soto_ayala_32", 2).state_dict())
    with pytest.raises(WeightsError, match="only 0 of"):
        backbones.start_from(build("resnet18", 2), path)
    with pytest.raises(WeightsError, match="cannot be read"):
        backbones.start_from(build("resnet18", 2), tmp_path / "none.safetensors")
