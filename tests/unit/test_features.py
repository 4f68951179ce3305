"""Laws of the feature-space analysis on made-up features whose truth is known."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smearscan.errors import ConfigError, DatasetError
from smearscan.experiments.feature_map import draw_maps
from smearscan.experiments.features import Layer, maps, probed, silhouette, study
from smearscan.experiments.sampling import per_kind

CLASSES = ("a", "b", "c")


def made_up(by_class: float, by_site: float, cells: int = 8) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """Features of three classes at three sites, six groups a class and site, shifted by class and by site."""
    rng = np.random.default_rng(1)
    rows = [(k, s, g) for k in range(3) for s in range(3) for g in range(6) for _ in range(cells)]
    target, site, _ = np.array(rows).T
    features = rng.normal(size=(len(rows), 8))
    features[:, :3] += by_class * np.eye(3)[target]
    features[:, 3:6] += by_site * np.eye(3)[site]
    table = pd.DataFrame(
        {
            "image": [f"{i}.png" for i in range(len(rows))],
            "target": target,
            "site": [f"site{s}" for s in site],
            "group": [f"g{k}{g}" for k, _, g in rows],
        }
    )
    return features.astype(np.float32), table


def test_features_shaped_by_class_separate_class_and_not_site() -> None:
    found = study(*made_up(by_class=6, by_site=0), CLASSES)
    assert found["class"]["separability"]["value"] > 0.95
    assert found["site"]["separability"]["value"] < 0.2
    assert found["class"]["silhouette_within_site"]["value"] > 0.1
    assert abs(found["site"]["silhouette_within_class"]["value"]) < 0.05
    assert found["class"]["unseen_site"]["separability"]["value"] > 0.95
    assert found["reading"].count("class better than site") == 2


def test_features_shaped_by_site_are_called_so() -> None:
    found = study(*made_up(by_class=0, by_site=6), CLASSES)
    assert found["site"]["separability"]["value"] > 0.95
    assert found["class"]["separability"]["value"] < 0.2
    assert found["reading"].count("SITE better than class") == 2
    json.dumps(found)


def test_a_class_that_looks_otherwise_at_each_site_is_separable_at_home_only() -> None:
    features, table = made_up(by_class=0, by_site=0)
    features[np.arange(len(table)), (table["target"] + table["site"].str[-1].astype(int)) % 3] += 6
    features[:, 3:6] += 6 * np.eye(3)[table["site"].str[-1].astype(int)]
    # an own feature for each class and site: the probe can learn all of them, and none of a new site's
    pairs = table["target"] * 3 + table["site"].str[-1].astype(int)
    features = np.hstack([features, 6 * np.eye(9)[pairs]])
    found = study(features, table, CLASSES)
    assert found["class"]["separability"]["value"] > 0.95
    assert found["class"]["unseen_site"]["separability"]["value"] < 0.2


def test_the_probe_is_asked_about_groups_that_it_has_not_seen() -> None:
    """A feature that tells the group alone separates classes only where groups leak into training."""
    _, table = made_up(0, 0)
    group = table["site"] + table["group"]
    code, names = pd.factorize(group)
    noise = 0.3 * np.random.default_rng(0).normal(size=(len(table), len(names)))
    features = 9 * np.eye(len(names))[code] + noise
    found = study(features, table, CLASSES)
    assert found["class"]["separability"]["value"] < 0.3
    rows = np.random.default_rng(0).permutation(len(table))
    named = np.array(CLASSES)[table["target"]]
    leaky = probed(features, named, group.to_numpy(str), [(rows[:200], rows[200:])])
    assert leaky["separability"]["value"] > 0.9


def test_labels_of_few_groups_and_a_single_site_leave_the_figure_out() -> None:
    features, table = made_up(6, 0)
    found = study(features, table.assign(site="one"), CLASSES)
    assert found["site"]["separability"] is None
    assert found["site"]["silhouette"] is None
    assert found["class"]["unseen_site"]["separability"] is None
    assert found["class"]["separability"]["value"] > 0.95
    assert "cannot be told" in found["reading"]
    rare = table.assign(group=np.where(table["target"] == 2, "only", table["group"]))
    assert study(features, rare.assign(site="one"), CLASSES)["class"]["labels"] == 2


def test_too_few_cells_are_refused() -> None:
    features, table = made_up(1, 1)
    with pytest.raises(DatasetError, match="at least 20"):
        study(features[:10], table[:10], CLASSES)
    with pytest.raises(DatasetError, match="features for"):
        study(features[:-1], table, CLASSES)


def test_the_silhouette_within_parts_does_not_see_differences_between_them() -> None:
    features, table = made_up(by_class=0, by_site=8)
    site, one = table["site"].to_numpy(str), np.full(len(table), "all")
    named, groups = np.array(CLASSES)[table["target"]], table["group"].to_numpy(str)
    moved = silhouette(features, named, site, groups)
    features[:, 3:6] = 0
    still = silhouette(features, named, site, groups)
    assert moved is not None
    assert still is not None
    assert moved["value"] == pytest.approx(still["value"], abs=0.05)
    assert silhouette(features, one, one, groups) is None


def test_maps_have_two_coordinates_a_cell_and_are_drawn_by_any_label(tmp_path: Path) -> None:
    features, table = made_up(6, 0, cells=2)
    found = maps(features)
    assert {"PCA", "t-SNE"} <= set(found)
    for points in found.values():
        assert points.shape == (len(table), 2)
        assert np.isfinite(points).all()
    draw_maps(tmp_path / "a.png", found, table["site"].to_numpy(str), "by site")
    draw_maps(tmp_path / "b.png", found, np.array(CLASSES)[table["target"]], "by class")
    pictures = [cv2.imread(str(tmp_path / name)) for name in ("a.png", "b.png")]
    assert pictures[0].shape[1] > pictures[0].shape[0]
    assert (cv2.resize(pictures[0], (90, 40)) != cv2.resize(pictures[1], (90, 40))).any()


# ---------------------------------------------------------------- layers


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(5, 2)

    def features(self, images: Tensor) -> Tensor:
        return self.conv(images).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


def test_a_layer_is_averaged_over_the_picture_and_an_unknown_one_refused() -> None:
    net, images = Tiny().eval(), torch.rand(4, 3, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(net.features(images), Layer(net, "conv")(images))
        torch.testing.assert_close(Layer(net, "head")(images), net(images))
    with pytest.raises(ConfigError, match=r"'layer9' is not in this net; its layers are conv, head"):
        Layer(net, "layer9")


# ---------------------------------------------------------------- drawing cells


def test_at_most_so_many_of_a_kind_are_drawn_and_the_rarer_kept_whole() -> None:
    table = pd.DataFrame(
        {
            "image": [f"{i}" for i in range(60)],
            "site": ["x"] * 40 + ["y"] * 20,
            "target": [0] * 37 + [1] * 3 + [0] * 20,
        }
    )
    drawn = per_kind(table, 10, seed=0)
    assert drawn.groupby(["site", "target"]).size().to_dict() == {("x", 0): 10, ("x", 1): 3, ("y", 0): 10}
    assert drawn["image"].astype(int).is_monotonic_increasing
    pd.testing.assert_frame_equal(drawn, per_kind(table, 10, seed=0))
    assert not drawn.equals(per_kind(table, 10, seed=1))
    pd.testing.assert_frame_equal(per_kind(table, None, 0), table)
    with pytest.raises(DatasetError, match="1 or more"):
        per_kind(table, 0, 0)
