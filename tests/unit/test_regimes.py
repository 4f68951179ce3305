"""Regimes by name: which weights learn, from what, with which optimizer; what a configuration may say."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from smearscan.classification import backbones
from smearscan.errors import ConfigError, WeightsError
from smearscan.training import batches, fine_tuning, regimes
from smearscan.training import train_classifier as training
from smearscan.training.batches import middle_of
from smearscan.training.config import ClassifierTraining, load_config
from smearscan.training.loop import learning_rate
from smearscan.weights.pairs import ClassifierCard, save_weights

SIDE = 16
BODY_LEARNS = {"full": True, "scratch": True, "features": False} | {
    "SFT": False, "DFT": True, "mSFT": False, "mDFT": True,
}  # fmt: skip


class Small(backbones.Network):
    """Stands for a backbone: two convolutions with batch normalization, dropout in the body."""

    width = 8

    def __init__(self, norm: str = "batch") -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(8, 8, 3)
        )

    def features(self, images: Tensor) -> Tensor:
        return torch.relu(self.body(images)).mean(dim=(2, 3))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: str, n_classes: int, head: backbones.Head, norm: str) -> Small:
        network = Small(norm)
        network.head = backbones.heads.make_head(head, 8, n_classes, backbones.heads.Dense((6, 6), 0.5))
        network.head_name = head
        return network

    monkeypatch.setattr(backbones, "build", build)
    # in this process: starting another one takes longer than the training
    near = {"num_workers": 0, "prefetch_factor": None}
    monkeypatch.setattr(batches, "DataLoader", lambda *given, **kept: DataLoader(*given, **{**kept, **near}))


def config(regime: str, **more: object) -> ClassifierTraining:
    return ClassifierTraining(
        **{
            "name": "net", "regime": regime, "crop_px": SIDE, "batch": 4, "epoch_cells": 32, "epochs": 2,
            "warmup_steps": 2, "learning_rate": 1e-2, **more,
        }
    )  # fmt: skip


def cells(n: int = 12) -> tuple[pd.DataFrame, np.ndarray]:
    """Two classes, dark and light, with room around."""
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(n)], "site": "a", "target": np.arange(n) % 2})
    rng = np.random.default_rng(0)
    side = round(training.ROOM * SIDE)
    windows = rng.integers(0, 100, (n, side, side, 3)) + 150 * table["target"].to_numpy()[:, None, None, None]
    return table, windows.astype(np.uint8)


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    source = Small()
    source.body[1].running_mean += 0.3  # type: ignore[operator]
    path = tmp_path / "start.safetensors"
    save_file(source.state_dict(), path)
    return path


def fit(settings: ClassifierTraining, start: Path | None, out: Path) -> backbones.Network:
    table, windows = cells()
    model = training.fit(settings, table, 2, windows, start, out, lambda _: None)
    assert isinstance(model, backbones.Network)
    return model


# ---------------------------------------------------------------- what learns


@pytest.mark.parametrize(("regime", "body_learns"), BODY_LEARNS.items())
def test_exactly_what_the_regime_says_is_trained(
    regime: str, body_learns: bool, start: Path, tmp_path: Path
) -> None:
    settings = config(regime)
    before = fine_tuning.network(settings, 2, start).state_dict()
    after = fit(settings, start, tmp_path / "run").state_dict()
    assert before.keys() == after.keys()
    for name, value in after.items():
        if name.startswith("head."):
            assert not torch.equal(before[name], value), name
        elif "running" in name or "tracked" in name:  # held where they came with the start weights
            assert torch.equal(before[name], value) == (regime != "scratch"), name
        elif name != "body.0.bias" or not body_learns:
            assert torch.equal(before[name], value) != body_learns, name


@pytest.mark.parametrize("regime", BODY_LEARNS)
def test_all_but_scratch_begin_at_the_given_weights(regime: str, start: Path) -> None:
    begun = fine_tuning.network(config(regime), 2, start).body[0].weight  # type: ignore[index,union-attr]
    random = fine_tuning.network(config(regime), 2, None).body[0].weight  # type: ignore[index,union-attr]
    assert torch.equal(begun, random) == (regime == "scratch")


def test_a_kept_last_layer_begins_as_it_came_and_fits_the_classes_of_its_start(tmp_path: Path) -> None:
    kept = config("full", last_layer="kept")
    given = Small().state_dict()
    given |= {"head.1.weight": torch.ones(2, 8), "head.1.bias": torch.zeros(2)}
    card = ClassifierCard(
        name="s", task="custom", architecture="small", classes=("a", "b"), crop_um=18, crop_px=SIDE,
        mean=(0, 0, 0), std=(1, 1, 1),
    )  # fmt: skip
    save_weights(tmp_path / "s.safetensors", card, given)
    begun = fine_tuning.network(kept, 2, tmp_path / "s.safetensors").state_dict()
    assert torch.equal(begun["head.1.weight"], torch.ones(2, 8))
    fine_tuning.check_last_layer(kept, ("a", "b"), tmp_path / "s.safetensors")
    with pytest.raises(ConfigError, match=r"needs the classes of s.safetensors \(a, b\), not b, a"):
        fine_tuning.check_last_layer(kept, ("b", "a"), tmp_path / "s.safetensors")
    with pytest.raises(WeightsError, match="'last_layer: new' needs none"):
        fine_tuning.network(kept, 3, tmp_path / "s.safetensors")
    with pytest.raises(ConfigError, match="give --start"):
        fine_tuning.network(kept, 2, None)


def test_batch_statistics_move_where_told(start: Path, tmp_path: Path) -> None:
    before = fine_tuning.network(config("full"), 2, start).state_dict()["body.1.running_mean"]
    moved = fit(config("full", norm="batch"), start, tmp_path).state_dict()["body.1.running_mean"]
    assert not torch.equal(before, moved)


@pytest.mark.parametrize("regime", ["features", "mSFT"])
def test_a_body_that_does_not_learn_is_not_in_training_mode(regime: str) -> None:
    settings = config(regime)
    model = fine_tuning.network(settings, 2, None)
    fine_tuning.set_training(settings, model, None)
    assert model.head.training
    assert not model.body.training  # type: ignore[union-attr]


# ---------------------------------------------------------------- cached features


def test_cached_features_give_what_the_whole_net_gives(start: Path) -> None:
    settings = config("features")
    model = fine_tuning.network(settings, 2, start).eval()
    crops = middle_of(cells()[1], SIDE)
    features = training.features_of(model, crops, settings)
    assert features.shape == (12, 8)
    assert features.dtype == np.float32
    with torch.no_grad():
        by_head = model.head(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(
        by_head, training.logits_of(training.Trained(model, None), crops, settings), atol=1e-6
    )


def test_the_net_is_run_once_a_cell_and_the_head_learns_to_tell_them(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    plain = Small.features
    monkeypatch.setattr(Small, "features", lambda self, x: (seen.append(len(x)), plain(self, x))[1])
    settings = config("features", epochs=2, epoch_cells=600, label_smoothing=0.0)
    model = fit(settings, start, tmp_path)
    assert seen == [64]  # twelve cells, in one batch of fixed size
    table, windows = cells()
    logits = training.logits_of(training.Trained(model, None), middle_of(windows, SIDE), settings)
    assert (logits.argmax(axis=1) == table["target"]).all()


@pytest.mark.parametrize("regime", ["features", "SFT"])
def test_a_stopped_head_training_goes_on(
    regime: str, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(regimes.REGIMES, regime, regimes.Regime("linear", False, True, regime == "features"))
    monkeypatch.setattr(nn.Dropout, "forward", lambda _, x: x)  # stopping must then change nothing
    table, windows = cells()

    def stop(row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    settings = config(regime)
    with pytest.raises(KeyboardInterrupt):
        training.fit(settings, table, 2, windows, start, tmp_path / "run", stop)
    resumed, whole = fit(settings, start, tmp_path / "run"), fit(settings, start, tmp_path / "whole")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


# ---------------------------------------------------------------- optimizer and schedule


def test_the_works_optimizers_can_be_written_down(tmp_path: Path) -> None:
    def made(text: str) -> tuple[torch.optim.Optimizer, ClassifierTraining]:
        path = tmp_path / "config.yaml"
        path.write_text("{name: net, head_factor: 1, warmup_steps: 0, " + text + "}")
        settings = load_config(path, ClassifierTraining)
        return fine_tuning.optimizer_of(settings, fine_tuning.network(settings, 2, None)), settings

    sgd, settings = made("optimizer: sgd, learning_rate: 1.0e-3, momentum: 0.9, schedule: constant")
    assert isinstance(sgd, torch.optim.SGD)
    assert sgd.defaults["momentum"] == 0.9
    assert {learning_rate(s, 10, settings.warmup_steps, settings.schedule) for s in range(9)} == {1.0}

    adam, _ = made("optimizer: adam, learning_rate: 5.0e-4, weight_decay: 3.0e-3")
    assert type(adam) is torch.optim.Adam
    assert adam.defaults["weight_decay"] == 3e-3

    rms, settings = made(
        "optimizer: rmsprop, learning_rate: 1.0e-5, weight_decay: 0, schedule: inverse, decay: 1.0e-3, "
        "batch: 16, epochs: 100"
    )
    assert isinstance(rms, torch.optim.RMSprop)
    assert (settings.batch, settings.epochs) == (16, 100)
    rates = [learning_rate(s, 10, 0, settings.schedule, settings.decay) for s in range(2000)]
    assert (rates[0], rates[1000]) == (1.0, 0.5)
    assert all(a > b for a, b in pairwise(rates))


def test_the_head_has_its_own_rate(tmp_path: Path) -> None:
    settings = config("full", head_factor=7.0)
    model = fine_tuning.network(settings, 2, None)
    head, body = fine_tuning.optimizer_of(settings, model).param_groups
    assert (head["factor"], body["factor"]) == (7.0, 1.0)
    assert {id(p) for p in head["params"]} == {id(p) for p in model.head.parameters()}
    assert len(head["params"]) + len(body["params"]) == len(list(model.parameters()))
    shallow = config("SFT")
    (only,) = fine_tuning.optimizer_of(shallow, fine_tuning.network(shallow, 2, None)).param_groups
    assert len(only["params"]) == 6


# ---------------------------------------------------------------- configuration


def test_the_defaults_are_those_of_the_shipped_nets() -> None:
    plain = ClassifierTraining(name="net")
    assert (plain.regime, plain.head, plain.norm, plain.optimizer) == ("full", "linear", "frozen", "adamw")
    assert (plain.crop_px, plain.background, plain.schedule, plain.head_factor) == (112, "keep", "cosine", 3)
    assert plain.model_dump(exclude_defaults=True) == {"name": "net"}


def test_architecture_and_regime_decide_what_is_left_out() -> None:
    def chosen(**given: object) -> tuple[int, str]:
        made = ClassifierTraining(name="net", **given)
        return made.crop_px, made.head

    assert chosen(architecture="vgg16", regime="mDFT") == (224, "leuknet")
    assert chosen(architecture="vgg16", regime="SFT", crop_px=None, head=None) == (224, "own")
    assert chosen(architecture="densenet169", regime="features") == (224, "dense256")
    assert chosen(architecture="farias_lenet", regime="scratch") == (126, "own")
    assert chosen(architecture="resnet18", crop_px=64, head="soto_ayala") == (64, "soto_ayala")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("architecture: vgg99", "architecture = .*'vgg99' is not one of"),
        ("architecture: soto_ayala_32, crop_px: 64", "crop_px = .*takes crops of 32 px only; leave it out"),
        ("architecture: inception_v3, crop_px: 64", "crop_px = .*takes crops of 75 px or more"),
        ("regime: deep", "regime = .*'full'"),
        ("regime: [full]", "regime = "),
        ("architecture: 3", "architecture = 3: "),
        ("head: tail", "head = .*'linear'"),
        ("optimizer: lion", "optimizer = .*'adamw'"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("{name: net, " + text + "}")
    with pytest.raises(ConfigError, match=r"config\.yaml: " + told):
        load_config(path, ClassifierTraining)
