"""Partial labels: which types a name allows, the loss over them, and what the sums of a net's types are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from smearscan.experiments.cross_validation import Results, Run
from smearscan.experiments.summed import answering
from smearscan.taxonomy import BLAST_SUMS, BLAST_TYPES, DIFFERENTIAL_CLASSES, DIFFERENTIAL_SUMS, FINE_CLASSES
from smearscan.taxonomy.cell_names import BLAST_SYNONYMS, DIFFERENTIAL_SYNONYMS, FINE_SYNONYMS
from smearscan.training.cells import with_targets
from smearscan.training.config import ClassifierTraining, load_config
from smearscan.training.partial import allowed_classes, partial_loss, summed_targets
from smearscan.training.train_classifier import prepared
from smearscan.weights.pairs import ClassifierCard, shipped_folder


def cells(*names: str, site: str = "own") -> pd.DataFrame:
    return pd.DataFrame({"image": [f"{i}.png" for i in range(len(names))], "class": names, "site": site})


def targets(*names: str, site: str = "own") -> pd.DataFrame:
    return with_targets(cells(*names, site=site), FINE_CLASSES, FINE_SYNONYMS)


def test_a_coarse_name_allows_each_of_its_types_and_a_fine_one_itself() -> None:
    table = targets("Segmented neutrophils", "neutrophil", "IG", "neutrophil", "blast, no lineage spec")
    allows = allowed_classes(table, len(FINE_CLASSES))[table["target"].to_numpy()]
    found = [{name for name, yes in zip(FINE_CLASSES, row, strict=True) if yes} for row in allows]
    both = {"segmented_neutrophil", "band_neutrophil"}
    granulocytes = {"promyelocyte", "myelocyte", "metamyelocyte"}
    assert found == [{"segmented_neutrophil"}, both, granulocytes, both, {"myeloblast", "monoblast"}]
    assert table["target"][1] == table["target"][3] >= len(FINE_CLASSES)
    # a part of the table keeps the numbers
    part = table.iloc[[2, 4]]
    np.testing.assert_array_equal(
        allowed_classes(part, len(FINE_CLASSES))[part["target"].to_numpy()], allows[[2, 4]]
    )


def test_a_table_without_coarse_names_has_targets_alone() -> None:
    table = targets("basophil", "monocyte")
    assert "allowed" not in table
    np.testing.assert_array_equal(allowed_classes(table, len(FINE_CLASSES)), np.eye(len(FINE_CLASSES)))


def test_the_loss_is_that_of_the_allowed_sum() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    one = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 3, 4, 0]), 5).bool()
    for smoothing in (0.0, 0.1):
        expected = cross_entropy(logits, one.float().argmax(1), label_smoothing=smoothing)
        torch.testing.assert_close(partial_loss(logits, one, smoothing), expected)
    several = torch.zeros(6, 5, dtype=torch.bool)
    several[:, 1:3] = True
    summed = -torch.log(logits.softmax(1)[:, 1:3].sum(1)).mean()
    torch.testing.assert_close(partial_loss(logits, several, 0.0), summed)
    torch.testing.assert_close(
        partial_loss(logits, torch.ones(6, 5, dtype=torch.bool), 0.0), torch.tensor(0.0)
    )


def test_every_type_is_in_one_sum_of_each_task() -> None:
    for sums in (BLAST_SUMS, DIFFERENTIAL_SUMS):
        listed = [name for types in sums.values() for name in types]
        assert len(listed) == len(set(listed))
    assert {n for types in BLAST_SUMS.values() for n in types} == set(FINE_CLASSES)
    pure_blasts = set(BLAST_TYPES) - {"promyelocyte"}
    assert {n for types in DIFFERENTIAL_SUMS.values() for n in types} == set(FINE_CLASSES) - pure_blasts
    assert tuple(DIFFERENTIAL_SUMS) == DIFFERENTIAL_CLASSES


@pytest.mark.parametrize("name", sorted(set(DIFFERENTIAL_SYNONYMS) | set(BLAST_SYNONYMS) - {"healthy"}))
def test_the_three_vocabularies_do_not_contradict_each_other(name: str) -> None:
    allowed = set(FINE_SYNONYMS[name])
    if name in DIFFERENTIAL_SYNONYMS:
        assert allowed <= set(DIFFERENTIAL_SUMS[DIFFERENTIAL_SYNONYMS[name]])
    if BLAST_SYNONYMS.get(name) == "blast":
        assert allowed <= set(BLAST_TYPES)


def test_what_a_cell_is_among_the_sums() -> None:
    names = ("neutrophil", "promyelocyte", "IG", "myeloblast", "atypical lymphocyte")
    table = targets(*names, site="leukemic")
    blast, kinds = (
        summed_targets(table, FINE_CLASSES, task, ["donors"]) for task in ("blast", "differential")
    )
    assert blast.tolist() == [0, 1, -1, 1, 0]  # an immature granulocyte may be a promyelocyte
    assert kinds.tolist() == [0, -1, 5, -1, 1]
    healthy = targets(*names, site="donors")
    assert summed_targets(healthy, FINE_CLASSES, "blast", ["donors"]).tolist() == [0, -1, -1, 1, 0]
    assert summed_targets(healthy, FINE_CLASSES, "differential", ["donors"]).tolist() == [0, 5, 5, -1, 1]
    unlearned = healthy.assign(target=-1)
    assert set(summed_targets(unlearned, FINE_CLASSES, "blast")) == {-1}
    assert set(summed_targets(unlearned, FINE_CLASSES, "differential")) == {-1}


def card() -> ClassifierCard:
    return ClassifierCard(
        name="cells", task="cells", architecture="resnet18_stage3", classes=FINE_CLASSES, crop_um=20,
        crop_px=80, mean=(0, 0, 0), std=(1, 1, 1), temperature=2.0,
    )  # fmt: skip


def test_one_answer_is_summed_for_each_task() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (20, len(FINE_CLASSES))).astype(np.float32)
    fine = card().probabilities(logits)
    blast, kinds = card().answering("blast"), card().answering("differential")
    assert (blast.task, blast.classes) == ("blast", ("healthy", "blast"))
    assert (kinds.task, kinds.classes) == ("differential", DIFFERENTIAL_CLASSES)
    own = fine[:, [FINE_CLASSES.index(name) for name in BLAST_TYPES]].sum(axis=1)
    np.testing.assert_allclose(blast.probabilities(logits)[:, 1], own, rtol=1e-5)
    summed = kinds.probabilities(logits)
    np.testing.assert_allclose(summed.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        summed[:, 0] / summed[:, 2],
        fine[:, :2].sum(axis=1) / fine[:, FINE_CLASSES.index("monocyte")],
        rtol=1e-4,
    )
    assert card().answering("cells") == card()
    custom = card().model_copy(update={"task": "custom"})
    assert custom.answering("blast") is custom


def test_scores_of_a_protocol_are_told_as_those_of_both_tasks() -> None:
    table = targets("neutrophil", "myeloblast", "promyelocyte").assign(group="g", cell=range(3), taught=True)
    probs = np.full((3, len(FINE_CLASSES)), 0.01)
    probs[[0, 1, 2], [1, FINE_CLASSES.index("myeloblast"), FINE_CLASSES.index("promyelocyte")]] = 0.83
    scores = table.assign(**{f"p_{name}": probs[:, k] for k, name in enumerate(FINE_CLASSES)})
    config = ClassifierTraining(name="cells", task="cells")
    results = Results(config, FINE_CLASSES, "random", (Run("a", 0, {}, scores, pd.DataFrame()),))
    blast = answering(results, "blast")
    assert blast.classes == ("healthy", "blast")
    assert blast.runs[0].scores["target"].tolist() == [0, 1, 1]
    assert (blast.runs[0].scores["p_blast"] > 0.5).tolist() == [False, True, True]
    kinds = answering(results, "differential").runs[0].scores
    assert kinds["target"].tolist() == [0, -1, -1]
    assert kinds["p_neutrophil"][0] > 0.8


def test_the_shipped_configuration_knows_every_published_name() -> None:
    config = load_config(Path(shipped_folder("configs")) / "cells.yaml", ClassifierTraining)
    table, classes = prepared(cells("mast_cell", "malignant field", "benign field", "basophilic"), config)
    assert classes == FINE_CLASSES
    assert len(table) == 3
