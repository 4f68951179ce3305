"""Every seed file is a system of one of the works: valid, buildable, with the values that the work gives."""

import re
from functools import lru_cache

import pandas as pd
import pytest
import torch
from torch import nn

from smearscan.classification.backbones import Network
from smearscan.training import fine_tuning
from smearscan.training.config import ClassifierTraining, load_config
from smearscan.training.train_classifier import prepared
from smearscan.weights.pairs import shipped_folder

FILES = sorted((shipped_folder("configs") / "seeds").glob("*.yaml"))
NAMES = [path.stem for path in FILES]
PUBLISHED_CLASSES = """
neutrophil; lymphocyte; monocyte; eosinophil; basophil; ig; metamyelocyte; myelocyte; promyelocyte
erythroblast; platelet; smudge; atypical_lymphocyte; band_neutrophil; segmented_neutrophil
bilobed_promyelocyte; monoblast; myeloblast; Band neutrophils; Segmented neutrophils; Giant thrombocyte
Plasma cells; Prolymphocyte; Promonocyte; Smudge cells; Thrombocyte aggregation; Blast, no lineage spec
"""
"""What the published single-cell sets call their cells."""


@lru_cache
def config(name: str) -> ClassifierTraining:
    return load_config(FILES[NAMES.index(name)], ClassifierTraining)


@lru_cache
def network(name: str) -> Network:
    """Build without memory: shapes are known, values are not."""
    with torch.device("meta"):
        return fine_tuning.network(config(name), len(config(name).classes) or 2, None)


def widths(name: str) -> list[int]:
    """Widths of the fully connected part."""
    return [m.out_features for m in network(name).head.modules() if isinstance(m, nn.Linear)]


def test_there_is_a_file_for_each_system_of_the_four_works() -> None:
    works = {
        work: [n for n in NAMES if n.startswith(work)] for work in ("leuknet", "soto", "farias", "beato")
    }
    assert sum(map(len, works.values())) == len(NAMES) >= 20
    assert {config(n).regime for n in works["leuknet"]} == {"SFT", "DFT", "mSFT", "mDFT"}
    assert {config(n).architecture for n in works["leuknet"]} == {
        "vgg16", "vgg19", "resnet50", "inception_v3", "densenet121", "xception",
    }  # fmt: skip
    assert {config(n).architecture for n in works["soto"]} == {"soto_ayala_32", "soto_ayala_400", "resnet18"}
    assert {config(n).architecture for n in works["farias"]} == {"farias_lenet", "vgg16", "resnet50"}
    assert len(works["beato"]) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_named_as_its_file_and_tells_its_source(name: str) -> None:
    seed = config(name)
    assert seed.name == name
    assert seed.published is not None
    assert all((seed.published.work, seed.published.result, seed.published.schedule, seed.published.start))
    assert FILES[NAMES.index(name)].read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_builds_and_what_its_regime_says_learns(name: str) -> None:
    seed, net = config(name), network(name)
    learning = {n for n, p in net.named_parameters() if p.requires_grad}
    head = {n for n, _ in net.named_parameters() if n.startswith("head.")}
    assert head
    assert learning == (
        head if seed.regime in ("features", "SFT", "mSFT") else dict(net.named_parameters()).keys()
    )
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[seed.optimizer]
    optimizer = fine_tuning.optimizer_of(seed, net)
    assert type(optimizer) is kind
    assert {group["weight_decay"] for group in optimizer.param_groups} == {seed.weight_decay}
    assert widths(name)[-1] == (len(seed.classes) or 2)


def test_the_heads_are_those_of_the_works() -> None:
    assert widths("leuknet_vgg16_dft") == widths("leuknet_vgg16_sft") == [4096, 4096, 2]
    assert max(widths("leuknet_vgg16_mdft")) < 4096
    assert widths("leuknet_vgg16_msft") == widths("leuknet_vgg16_mdft")
    assert widths("soto_ayala_resnet18") == [100, 2]
    assert network("soto_ayala_resnet18").width == 512
    assert widths("soto_ayala_small_32") == widths("soto_ayala_small_400") == [120, 84, 2]
    assert widths("beato_densenet169") == [256, 4]
    assert [m.p for m in network("beato_densenet169").head.modules() if isinstance(m, nn.Dropout)] == [0.5]


def values(name: str) -> tuple[object, ...]:
    seed = config(name)
    return seed.optimizer, seed.learning_rate, seed.weight_decay, seed.batch


@pytest.mark.parametrize("name", NAMES)
def test_the_values_that_the_works_give(name: str) -> None:
    seed = config(name)
    if name.startswith("leuknet"):
        assert values(name) == ("sgd", 1e-3, 1e-4, 32)
        assert seed.momentum == 0.9
    if name.startswith("soto_ayala_small"):
        assert (seed.optimizer, seed.learning_rate, seed.momentum) == ("sgd", 1e-3, 0.9)
        assert seed.crop_px == int(name.split("_")[-1])
    if name == "soto_ayala_resnet18":
        assert values(name)[:3] == ("adam", 5e-4, 3e-3)
    if name.startswith("beato"):
        assert values(name) == ("rmsprop", 1e-5, 0, 16)
        assert (seed.schedule, seed.decay, seed.epochs, seed.background) == ("inverse", 1e-3, 100, "remove")
        assert (seed.augmentation.rotation, seed.augmentation.shift) == (20, 0.1)
    # what only the shipped nets have is not slipped into those of others
    assert (seed.label_smoothing, seed.head_factor, seed.warmup_steps) == (0, 1, 0)
    assert seed.norm == "batch"


@pytest.mark.parametrize("name", NAMES)
def test_every_class_of_the_published_sets_has_a_meaning_or_is_left_out(name: str) -> None:
    names = [name.strip() for name in re.split(";|\n", PUBLISHED_CLASSES.strip())]
    cells = pd.DataFrame({"class": names, "site": "any", "image": "a.png", "group": "a"})
    taught, classes = prepared(cells, config(name))
    named = {c: classes[t] for c, t in zip(taught["class"], taught["target"], strict=True)}
    if name.startswith("beato"):
        assert classes == ("neutrophil", "lymphocyte", "monocyte", "eosinophil")
        assert "myeloblast" not in named
        assert named["Band neutrophils"] == "neutrophil"
    else:
        assert classes == ("healthy", "blast")
        assert (named["myeloblast"], named["Promonocyte"], named["Plasma cells"]) == (
            "blast",
            "blast",
            "healthy",
        )
