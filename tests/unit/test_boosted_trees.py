"""Trees beside a network: they answer as scikit-learn's, travel with the pair, and count as the card says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.ensemble import HistGradientBoostingClassifier

from smearscan.classification import backbones, classifier
from smearscan.classification.boosted_trees import BoostedTrees
from smearscan.classification.classifier import Classifier, Pair
from smearscan.classification.morphometry import NAMES, measure
from smearscan.classification.shared_trunk import load_classifiers, predict_probs
from smearscan.errors import WeightsError
from smearscan.training import boosting
from smearscan.training.config import ClassifierTraining
from smearscan.training.train_classifier import Trained, logits_of, trees_for
from smearscan.weights.pairs import ClassifierCard

Floats = NDArray[np.float32]


def measured(n: int = 300, seed: int = 0) -> Floats:
    """Make measures of which one in ten is missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, len(NAMES))).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def cells(values: Floats, n_classes: int) -> pd.DataFrame:
    """Give classes that the first two columns tell, and two sites."""
    told = np.nan_to_num(values[:, 0]) + 0.5 * np.nan_to_num(values[:, 1])
    target = np.searchsorted(np.quantile(told, np.arange(1, n_classes) / n_classes), told)
    return pd.DataFrame({"target": target, "site": np.where(np.arange(len(values)) % 3 == 0, "a", "b")})


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "_ROUNDS", 6)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_they_answer_as_those_of_scikit_learn(n_classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[HistGradientBoostingClassifier] = []
    plain = boosting._as_arrays
    monkeypatch.setattr(
        boosting, "_as_arrays", lambda fitted, *args: (made.append(fitted), plain(fitted, *args))[1]
    )
    values = measured()
    trees = boosting.fit_trees(values, cells(values, n_classes), n_classes, 0)
    unseen = measured(seed=1)
    np.testing.assert_allclose(
        softmax(trees.scores(unseen), axis=1), made[0].predict_proba(unseen), atol=1e-5
    )


def test_a_class_without_a_cell_is_never_called() -> None:
    values = measured()
    table = cells(values, 3).assign(target=lambda own: own["target"] + (own["target"] > 0))
    probs = softmax(boosting.fit_trees(values, table, 5, 0).scores(measured(seed=1)), axis=1)
    assert probs[:, [1, 4]].max() < 1e-6
    assert set(probs.argmax(axis=1)) == {0, 2, 3}


def test_a_cell_s_answer_does_not_hang_on_its_company() -> None:
    values = measured(150)
    trees = boosting.fit_trees(values, cells(values, 3), 3, 0)
    alone = np.concatenate([trees.scores(values[k : k + 1]) for k in range(len(values))])
    np.testing.assert_array_equal(trees.scores(values), alone)
    assert trees.scores(values[:0]).shape == (0, 3)


def test_sites_and_classes_are_weighed() -> None:
    site, target = pd.Series([*"a" * 90, *"b" * 10]), pd.Series([0] * 100)
    weight = boosting.balance(site, target)
    assert weight.mean() == pytest.approx(1)
    assert weight[:90].sum() / weight[90:].sum() == pytest.approx(3)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("left", 9999), ("right", -1), ("left", 0), ("column", -1), ("value", np.nan), ("limit", np.nan),
        ("value", None), ("root", None),
    ],
)  # fmt: skip
def test_forged_trees_are_refused(name: str, first: float | None) -> None:
    """That a node leads back to itself or an earlier one, too: cells would walk for ever."""
    values = measured()
    arrays = boosting.fit_trees(values, cells(values, 3), 3, 0).arrays()
    rest = arrays[name][1:]
    arrays[name] = rest if first is None else np.concatenate([[first], rest]).astype(rest.dtype)
    with pytest.raises(ValueError, match=r"one length|leads to none|a value is no number"):
        BoostedTrees.of_arrays(arrays)


# ---------------------------------------------------------------- beside a network

CONFIG = ClassifierTraining(
    name="net",
    task="blast",
    classes=("healthy", "blast"),
    crop_px=80,
    trees=0.5,
    architecture="resnet18_stage3",
)


def crops(n: int, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    rough = rng.integers(40, 236, (n, 10, 10, 3), np.uint8)
    return rough.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Trained]:
    """A blast net with random weights, and trees that were fitted to random crops."""
    torch.manual_seed(0)
    table = pd.DataFrame({"target": np.arange(60) % 2, "site": "a"})
    trees = trees_for(CONFIG, table, 2, crops(60, 5))
    made = Trained(backbones.build("resnet18_stage3", 2, "linear", "frozen").eval(), trees)
    card = ClassifierCard(
        name="net", task="blast", architecture="resnet18_stage3", classes=("healthy", "blast"), crop_um=20,
        crop_px=80, mean=CONFIG.input.mean, std=CONFIG.input.std, trees=0.5, temperature=1.3,
    )  # fmt: skip
    made.save(tmp_path / "net.safetensors", card)
    return tmp_path / "net.safetensors", made


def test_a_scan_says_what_training_said(pair: tuple[Path, Trained]) -> None:
    path, made = pair
    net, seen = Classifier.load(path, engine="torch"), crops(5)
    half = Trained(Pair.read(path).network(), made.trees)  # the network is stored in half precision
    wanted = softmax(logits_of(half, seen, CONFIG) / 1.3, axis=1)
    np.testing.assert_allclose(net.probs(seen), wanted, atol=1e-5)
    alone = Classifier(net.engine, net.card)
    assert np.abs(alone.probs(seen) - wanted).max() > 0.003


def test_cells_are_measured_once_for_all_nets(
    pair: tuple[Path, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = load_classifiers([pair[0]], engine="torch") * 2
    apart = nets[0].probs(crops(4))
    asked: list[int] = []
    for module in ("classifier", "shared_trunk"):
        monkeypatch.setattr(
            f"smearscan.classification.{module}.measure",
            lambda own, how: (asked.append(len(own)), measure(own, how))[1],
        )
    for own in predict_probs(nets, {nets[0].geometry: crops(4)}):
        np.testing.assert_allclose(own, apart, atol=1e-6)
    assert asked == [4]


def test_with_trees_a_network_runs_in_single_precision(
    pair: tuple[Path, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    plain = classifier.make_engine
    for module in ("classifier", "shared_trunk"):
        monkeypatch.setattr(
            f"smearscan.classification.{module}.make_engine",
            lambda *given: (asked.append(given[-1]), plain(*given))[1],
        )
    Classifier.load(pair[0], engine="torch", precision="bf16")
    load_classifiers([pair[0]], engine="torch", precision="bf16")
    assert asked == ["f32", "f32"]


def test_a_pair_without_the_trees_of_its_card_is_refused(pair: tuple[Path, Trained]) -> None:
    path, made = pair
    card = Pair.read(path).card
    made._replace(trees=None).save(path, card)
    with pytest.raises(WeightsError, match="has not the trees"):
        Classifier.load(path, engine="torch")
    values = measured()
    other = boosting.fit_trees(values, cells(values, 3), 3, 0)
    made._replace(trees=other).save(path, card)
    with pytest.raises(WeightsError, match="not of the classes"):
        Classifier.load(path, engine="torch")


def test_trees_of_other_measures_are_refused(
    pair: tuple[Path, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their columns would be read as what they are not, without a word."""
    monkeypatch.setattr("smearscan.classification.classifier.MEASURES", 7)
    with pytest.raises(WeightsError, match="go by measures of another version of smearscan; train it anew"):
        Classifier.load(pair[0])


def test_partial_labels_have_no_trees() -> None:
    with pytest.raises(ValueError, match="one class a cell"):
        ClassifierTraining(name="net", task="cells", trees=0.5)
    assert trees_for(CONFIG.model_copy(update={"trees": 0.0}), pd.DataFrame(), 2, crops(1)) is None
