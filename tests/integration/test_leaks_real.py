"""Known leaks of the published sets: found by pixels alone, and a split by original is accepted."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from references.leak_trial import known_leaks
from references.published_sets import overlapping_cells, published_cells
from smearscan.io.decode import read_image

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

OTHERS = 200


@pytest.fixture(scope="module")
def cells(data_root: Path) -> pd.DataFrame:
    """BCCD, the pictures of PBC that TXL repeats, and some others; without a box the middle is taken."""
    table = published_cells(data_root)
    shared = table["group"].isin(overlapping_cells(data_root)["group"])
    pbc = table[(table["site"] == "pbc") & ~shared].sample(OTHERS, random_state=0)
    kept = pd.concat([table[table["site"] == "bccd"], table[(table["site"] == "pbc") & shared], pbc])
    kept = kept.reset_index(drop=True)
    for i in kept.index[kept["x0"].isna()]:
        height, width = read_image(data_root / kept.loc[i, "image"]).shape[:2]
        half = 6.5 / kept.loc[i, "um_per_px"]
        box = width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half
        kept.loc[i, ["x0", "y0", "x1", "y1"]] = box
    return kept


@pytest.fixture(scope="module")
def found(cells: pd.DataFrame, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return known_leaks(cells, data_root, tmp_path_factory.mktemp("copies"))


def test_pictures_that_two_sets_share_are_found(found: dict[str, Any]) -> None:
    told = found["sets"]
    assert told["leaked"]
    assert told["known_pairs_found"]["of"] > 100
    assert told["known_pairs_found"]["value"] >= 0.97
    assert "pbc and txl_pbc" in told["words"]
    assert told["other_pairs"] <= 20  # both sets do hold some cells twice


def test_augmented_copies_of_bccd_are_found_and_nothing_is_taken_for_one(found: dict[str, Any]) -> None:
    told = found["copies"]
    assert told["leaked"]
    assert told["known_originals_found"]["value"] >= 0.93
    assert "turned or mirrored" in told["words"]
    assert told["other_pairs"] == 0


def test_a_split_by_original_is_accepted(found: dict[str, Any]) -> None:
    assert not found["clean"]["leaked"]
