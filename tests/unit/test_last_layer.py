"""The last layer fitted anew: held where it was, moved by cells, judged by cells it has not seen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fakes import UM_PER_PX, draw
from made_up import KINDS, calibration, net_card
from scipy.special import log_softmax

from smearscan.calibration import last_layer
from smearscan.calibration.fit import class_targets
from smearscan.calibration.labeled_cells import LabeledCells
from smearscan.calibration.last_layer import HOLDS, refit_last_layer, with_new_layers
from smearscan.classification import backbones
from smearscan.classification.crops import cut_crops
from smearscan.errors import DatasetError
from smearscan.io.decode import read_image, write_image
from smearscan.runtime.torch_engine import FromPixels, TorchEngine
from smearscan.weights import KnownCells, load_card, save_card
from smearscan.weights.pairs import ClassifierCard, load_weights, save_weights

N = 12
FOLDS = [(np.setdiff1d(np.arange(N), part), part) for part in np.array_split(np.arange(N), 3)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = backbones.build("resnet18_stage3", len(KINDS))
    card = net_card("differential", KINDS, architecture="resnet18_stage3", temperature=1.5, crop_px=64)
    path = tmp_path_factory.mktemp("pair") / "own.safetensors"
    save_weights(path, card, network.state_dict())
    return path


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("slides")
    for i in range(N):
        image, _ = draw(120, 120, [(i % 3, 60, 60, 50)])  # a kind of its own color
        (root / "s").mkdir(exist_ok=True)
        write_image(root / "s" / f"{i}.png", image)
    return root


@pytest.fixture
def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "field": [f"s/{i}.png" for i in range(N)],
            "truth": [KINDS[i % 3] for i in range(N)],
            "blast_probability": 0.1,
            "um_per_px": UM_PER_PX,
            **dict(zip(("x0", "y0", "x1", "y1"), (35.0, 35.0, 85.0, 85.0), strict=True)),
        }
    )


def refitted(rows: pd.DataFrame, slides: Path, pair: Path, out: Path):  # type: ignore[no-untyped-def]
    """Fit the differential's layer to the rows' truths."""
    target = class_targets("differential", rows["truth"].to_numpy(str), KINDS)
    found = rows["blast_probability"].notna().to_numpy()
    return refit_last_layer(rows, found, target, slides, pair, out, FOLDS)


def answers(pair: Path, rows: pd.DataFrame, slides: Path) -> np.ndarray:  # type: ignore[type-arg]
    """Probabilities of a pair, by the whole network."""
    card, tensors = load_weights(pair, ClassifierCard)
    network = backbones.build(card.architecture, len(card.classes))
    network.load_state_dict(tensors)
    engine = TorchEngine(FromPixels(network.eval(), card.mean, card.std), torch.device("cpu"), 8)
    boxes = rows[["x0", "y0", "x1", "y1"]].to_numpy(np.float32)
    crops = [
        cut_crops(read_image(slides / name), boxes[i : i + 1], UM_PER_PX, card.crop_um, card.crop_px)[0]
        for i, name in enumerate(rows["field"])
    ]
    return np.exp(log_softmax(engine.run(np.stack(crops)) / card.temperature, axis=1))


def test_a_layer_held_fast_answers_as_before(
    pair: Path, rows: pd.DataFrame, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_layer, "HOLDS", (1e12,))
    card, probs = refitted(rows, slides, pair, tmp_path)
    before = answers(pair, rows, slides)
    np.testing.assert_allclose(probs, before, atol=1e-4)
    after = answers(tmp_path / f"{card.name}.safetensors", rows, slides)
    np.testing.assert_allclose(after, before, atol=2e-3)  # half precision on disk


def test_cells_of_a_site_are_learned_and_the_new_pair_knows_it(
    pair: Path, rows: pd.DataFrame, slides: Path, tmp_path: Path
) -> None:
    identity = tuple(tuple(row) for row in np.eye(6).tolist())
    known = KnownCells(mean=(1,) * 6, covariance=identity, most_distance=4, most_unlike=0.1)
    save_card(pair, load_card(pair, ClassifierCard).model_copy(update={"known_cells": known}))
    card, probs = refitted(rows, slides, pair, tmp_path / "new")
    truth = rows["truth"].map(KINDS.index).to_numpy()
    own = np.arange(N), truth
    assert probs[own].mean() > answers(pair, rows, slides)[own].mean() + 0.1
    loaded, tensors = load_weights(tmp_path / "new" / "differential_refitted.safetensors", ClassifierCard)
    assert loaded == card
    assert (card.name, card.temperature, card.classes) == ("differential_refitted", 1.0, KINDS)
    assert card.known_cells is None  # it knows this stain: a scan shows it cells as photographed
    old, before = load_weights(pair, ClassifierCard)
    assert card.training["last_layer"]["cells"] == N
    assert card.training["last_layer"]["hold"] in HOLDS
    assert card.training["last_layer"]["of"] == old.short_hash
    assert card.sha256 != old.sha256
    changed = {name for name, tensor in tensors.items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.1.weight", "head.1.bias"}
    after = answers(tmp_path / "new" / "differential_refitted.safetensors", rows, slides)
    assert (after.argmax(axis=1) == truth).all()


def test_missed_cells_and_foreign_classes_are_not_learned(
    pair: Path, rows: pd.DataFrame, slides: Path, tmp_path: Path
) -> None:
    rows.loc[0, "blast_probability"] = np.nan
    rows.loc[0, ["field", "x0"]] = [np.nan, np.nan]
    rows.loc[1, "truth"] = "blast"
    card, probs = refitted(rows, slides, pair, tmp_path)
    assert card.training["last_layer"]["cells"] == N - 2
    assert np.isnan(probs[0]).all()
    np.testing.assert_allclose(probs[1:].sum(axis=1), 1)


@pytest.mark.parametrize("column", ["field", "x0", "um_per_px"])
def test_a_table_without_boxes_is_refused(
    pair: Path, rows: pd.DataFrame, slides: Path, tmp_path: Path, column: str
) -> None:
    with pytest.raises(DatasetError, match=f"no column '{column}'"):
        refitted(rows.drop(columns=column), slides, pair, tmp_path)


# ---------------------------------------------------------------- the fit itself


def drawn(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, n)
    features = np.column_stack([rng.normal(0, 1, (n, 3)) + 2 * np.eye(3)[target], np.ones(n)])
    return features, target, rng.normal(0, 0.1, (3, 4))


def seen(features: np.ndarray) -> last_layer.SeenCells:  # type: ignore[type-arg]
    return last_layer.SeenCells(features, np.zeros((len(features), 3)))


def test_the_stronger_the_hold_the_less_moves() -> None:
    features, target, start = drawn()
    fits = [last_layer.fit_layer(seen(features), target, start, hold) for hold in (0.1, 10.0, 1000.0, 1e9)]
    away = [float(np.abs(fit - start).sum()) for fit in fits]
    assert away == sorted(away, reverse=True)
    assert away[-1] < 1e-4
    costs = [-log_softmax(features @ fit.T, axis=1)[np.arange(200), target].mean() for fit in fits]
    assert costs == sorted(costs)


def test_the_fit_is_where_the_slope_is_0() -> None:
    features, target, start = drawn()
    fitted = last_layer.fit_layer(seen(features), target, start, 3.0)
    probs = np.exp(log_softmax(features @ fitted.T, axis=1))
    probs[np.arange(200), target] -= 1
    np.testing.assert_allclose(probs.T @ features + 3.0 * (fitted - start), 0, atol=0.05)


def test_no_cells_move_nothing() -> None:
    features, target, start = drawn()
    np.testing.assert_allclose(last_layer.fit_layer(seen(features[:0]), target[:0], start, 1.0), start)


# ---------------------------------------------------------------- both nets


def test_a_net_of_which_one_class_alone_is_labeled_stays(
    pair: Path, rows: pd.DataFrame, slides: Path, tmp_path: Path
) -> None:
    """No blast is labeled: the differential is fitted anew, and of the blast net no pair is written."""
    differential, _ = load_weights(pair, ClassifierCard)
    torch.manual_seed(1)
    blast = tmp_path / "blast.safetensors"
    network = backbones.build("resnet18_stage3", 2)
    card = net_card("blast", ("healthy", "blast"), architecture="resnet18_stage3", crop_px=64)
    cards = {"differential": differential, "blast": save_weights(blast, card, network.state_dict())}
    truth, where = rows["truth"].to_numpy(str), np.array([f"s{i}" for i in range(N)])
    probs = np.full((N, len(KINDS)), 1 / len(KINDS))
    cells = LabeledCells(truth, where, where, probs, np.full(N, 0.1), np.ones(N, bool))
    base = calibration()
    told, fitted, changed, new = with_new_layers(
        rows, slides, {"differential": pair, "blast": blast}, tmp_path / "new", base, cells, cards
    )
    assert told["pairs"] == {"differential": "differential_refitted"}
    assert [p.name for p in (tmp_path / "new").glob("*.safetensors")] == ["differential_refitted.safetensors"]
    assert new["blast"] == cards["blast"]
    assert fitted.networks == {task: new[task].sha256 for task in new}
    np.testing.assert_array_equal(changed.blast_probs, cells.blast_probs)
    blasts = cells.where(np.arange(N))
    blasts.truth[::2] = "blast"
    told, _, changed, new = with_new_layers(
        rows, slides, {"differential": pair, "blast": blast}, tmp_path / "both", base, blasts, cards
    )
    assert list(told["pairs"].values()) == ["differential_refitted", "blast_refitted"]
    assert not np.array_equal(changed.blast_probs, cells.blast_probs)


def test_what_the_trees_say_counts_and_stays() -> None:
    """A layer that must learn nothing more beside them stays; without them it moves."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 90)
    features, start = np.column_stack([rng.normal(0, 1e-3, (90, 3)), np.ones(90)]), np.zeros((3, 4))
    told = last_layer.SeenCells(features, 50.0 * np.eye(3)[target])
    np.testing.assert_allclose(last_layer.fit_layer(told, target, start, 1.0), start, atol=1e-6)
    uneven = np.where(np.arange(90) < 60, 0, target)
    alone = last_layer.fit_layer(seen(features), uneven, start, 1.0)
    assert np.abs(alone).max() > 0.1
    assert (told[np.arange(5)].logits(start).argmax(axis=1) == target[:5]).all()
