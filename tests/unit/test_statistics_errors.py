"""Naming errors: counted right, as unsure as cells and slides leave them, and teachable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import CLASSES, SHARES, errors, perfect
from numpy.typing import NDArray

from smearscan.calibration.misclassification_fit import misclassification_model
from smearscan.differential.statistics.misclassification import MisclassificationModel

TWO = ("neutrophil", "blast")
cell = st.tuples(
    st.sampled_from(TWO), st.sampled_from([*TWO, "unclassified"]), st.sampled_from(["a", "b", "c", "d"])
)
labels = st.lists(cell, max_size=60)


def count(cells: list[tuple[str, str, str]]) -> MisclassificationModel:
    columns = np.array(cells, dtype=str).reshape(-1, 3).T
    return misclassification_model(TWO, columns[0], columns[1], columns[2])


def drawn(rows: NDArray[np.float64], size: int, seed: int = 0) -> MisclassificationModel:
    """Neutrophils of slides that each have their own share, (G,), of those that get a name."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(rows)), size)
    called = np.where(rng.random(len(groups)) < rows[groups], TWO[0], "unclassified")
    return misclassification_model(TWO, np.full(len(groups), TWO[0]), called, groups.astype(str))


# ---------------------------------------------------------------- counting


@given(cells=labels)
def test_every_labeled_cell_is_counted_once_in_its_place(cells: list[tuple[str, str, str]]) -> None:
    made = count(cells)
    for i, truth in enumerate(TWO):
        for j, name in enumerate(made.names):
            assert made.counts[i, j] == sum(c[:2] == (truth, name) for c in cells)
        assert made.groups[i] == len({c[2] for c in cells if c[0] == truth})
    assert made.labeled.sum() == len(cells)
    assert made.names == (*TWO, "unclassified")
    assert ((made.icc >= 0) & (made.icc <= 1)).all()
    assert ((made.group_concentration >= 0) & (made.group_concentration <= 1 + 1e-12)).all()


@given(cells=labels, cut=st.integers(0, 60))
def test_counts_of_parts_add_up(cells: list[tuple[str, str, str]], cut: int) -> None:
    parts = count(cells[:cut]).counts + count(cells[cut:]).counts
    assert parts.tolist() == count(cells).counts.tolist()


@given(cells=labels, data=st.data())
def test_the_order_of_cells_and_the_names_of_slides_do_not_matter(
    cells: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    other = [(t, c, f"slide {g}") for t, c, g in data.draw(st.permutations(cells))]
    one, two = count(cells), count(other)
    for name in MisclassificationModel.__slots__:
        if name != "classes":
            np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-12)


def test_pairs_is_one_over_the_groups_where_they_are_even() -> None:
    even = count([(TWO[0], TWO[0], g) for g in "abcd" * 5])
    assert even.group_concentration[0] == pytest.approx(1 / 4)
    uneven = count([(TWO[0], TWO[0], g) for g in "aaaaaaaaab"])
    assert uneven.group_concentration[0] == pytest.approx((81 + 1) / 100)


@pytest.mark.parametrize(
    "wrong", ["counts", "icc", "groups", "group_concentration", "detector_recall", "site"]
)
def test_shapes_that_do_not_fit_are_refused(wrong: str) -> None:
    made = errors()
    values = {name: getattr(made, name) for name in MisclassificationModel.__slots__}
    with pytest.raises(ValueError, match="4 classes do not fit"):
        MisclassificationModel(**{**values, wrong: values[wrong][:-1]})


# ---------------------------------------------------------------- spread between slides


def test_independent_cells_have_no_spread() -> None:
    made = drawn(np.full(60, 0.8), 40)
    assert made.icc[0] < 0.01


def test_slides_that_each_answer_alike_have_a_high_spread() -> None:
    made = drawn(np.array([1.0, 0.0] * 30), 40)
    assert made.icc[0] == pytest.approx(0.9)  # the most that is believed


@pytest.mark.parametrize("correlation", [0.05, 0.2, 0.5])
def test_a_known_spread_is_recovered(correlation: float) -> None:
    size = 1 / correlation - 1
    rows = np.random.default_rng(1).beta(0.7 * size, 0.3 * size, 400)
    assert drawn(rows, 30).icc[0] == pytest.approx(correlation, rel=0.15)


@pytest.mark.parametrize("groups", ["abcdefgh", "aaaaaaaa"])
def test_groups_of_one_cell_and_one_group_tell_nothing(groups: str) -> None:
    names = (TWO[0], "unclassified") * 4
    made = count([(TWO[0], name, g) for name, g in zip(names, groups, strict=True)])
    assert made.icc.tolist() == [0, 0]


def test_false_blasts_are_no_spread_of_the_row() -> None:
    """How slides differ in them is the variation's; the rest of the row is judged without them."""
    cells = [(TWO[0], TWO[k % 2], f"s{k % 2}") for k in range(100)]
    made = count(cells)
    assert made.icc[0] == 0
    assert made.overdispersion > 0.5


def test_a_class_of_few_cells_borrows_the_spread_of_the_others() -> None:
    known = drawn(np.array([0.9, 0.5] * 30), 40).icc
    assert known[1] == pytest.approx(known[0], abs=0.01)  # no blast was labeled
    assert known[0] > 0.1


def test_cells_that_are_all_named_alike_have_no_spread() -> None:
    assert count([(TWO[0], TWO[0], g) for g in "aabbcc"]).icc[0] == 0


def false_blasts(
    factor: NDArray[np.float64], size: int, rate: float = 0.05, seed: int = 0
) -> MisclassificationModel:
    """Neutrophils and monocytes of slides, of which each has its own factor of the false-blast rates."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(factor)), size)
    truth = np.where(rng.random(len(group)) < 0.7, "neutrophil", "monocyte")
    own = rate * factor[group] * np.where(truth == "monocyte", 2.0, 1.0)
    called = np.where(rng.random(len(group)) < own, "blast", truth)
    return misclassification_model(CLASSES, truth, called, group.astype(str))


def test_slides_alike_in_false_blasts_hardly_vary() -> None:
    assert false_blasts(np.ones(300), 100).overdispersion < 0.03


@pytest.mark.parametrize("variation", [0.1, 0.4])
def test_a_known_variation_of_false_blasts_is_recovered(variation: float) -> None:
    factor = np.random.default_rng(2).gamma(1 / variation, variation, 500)
    assert false_blasts(factor, 100).overdispersion == pytest.approx(variation, rel=0.3)


def test_where_no_class_is_a_blast_nothing_varies() -> None:
    without = misclassification_model(
        ("a", "b"), np.array(["a", "b"]), np.array(["a", "a"]), np.array(["x", "y"])
    )
    assert without.overdispersion == 0
    assert false_blasts(np.ones(20), 100, 0.0).overdispersion >= 0
    assert np.isfinite(false_blasts(np.ones(1), 1).overdispersion)


# ---------------------------------------------------------------- rows


@given(spread=st.tuples(st.floats(0, 0.8), st.floats(0, 0.8)), labeled=st.integers(5, 5000))
def test_concentration_falls_as_the_spread_rises(spread: tuple[float, float], labeled: int) -> None:
    low, high = sorted(spread)
    steady, changing = errors(labeled=labeled, spread=low), errors(labeled=labeled, spread=high)
    assert (changing.concentration <= steady.concentration + 1e-9).all()
    assert (changing.concentration > 0).all()


def test_concentration_rises_with_cells_and_with_groups() -> None:
    at = [errors(labeled=n, spread=0.05).concentration[0] for n in (20, 200, 2000)]
    assert at == sorted(at)
    at = [errors(spread=0.05, groups=g).concentration[0] for g in (2, 10, 100)]
    assert at == sorted(at)
    assert at[-1] < 1 / 0.05 - 1  # many slides do not make the next one like them


def test_rows_sum_to_1_around_the_mean() -> None:
    made = errors(spread=0.03, variation=0.2)
    rows = made.rows(20_000, np.random.default_rng(0))
    assert rows.shape == (20_000, 4, 5)
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.sum(axis=2), 1, rtol=1e-12)
    np.testing.assert_allclose(rows.mean(axis=0), made.mean, atol=0.002)


def test_rows_of_blasts_have_the_stated_variance() -> None:
    made = errors(spread=0.03, variation=0.2)
    row = made.rows(20_000, np.random.default_rng(0))[:, 3]
    wanted = made.mean[3] * (1 - made.mean[3]) / (made.concentration[3] + 1)
    np.testing.assert_allclose(row.var(axis=0), wanted, rtol=0.1, atol=1e-5)


@pytest.mark.parametrize("variation", [0.05, 0.5])
def test_false_blasts_of_a_slide_rise_and_fall_together(variation: float) -> None:
    made = errors(labeled=1_000_000, variation=variation)
    rows = made.rows(20_000, np.random.default_rng(0))[:, :2]
    rate = rows[:, :, 3] / rows[:, :, :4].sum(axis=2)
    odds = rate / (1 - rate)
    np.testing.assert_allclose(odds.var(axis=0) / odds.mean(axis=0) ** 2, variation, rtol=0.1)
    assert np.corrcoef(odds.T)[0, 1] > 0.98


def test_without_variation_false_blasts_are_as_unsure_as_the_labeled_cells_leave_them() -> None:
    made = errors(labeled=500)
    false = made.rows(20_000, np.random.default_rng(0))[:, 1, 3]
    rate = made.mean[1, 3]
    assert false.std() == pytest.approx(np.sqrt(rate * (1 - rate) / 501), rel=0.1)


@given(labeled=st.integers(0, 50), spread=st.floats(0, 1))
def test_rows_are_rows_whatever_was_labeled(labeled: int, spread: float) -> None:
    made = errors(labeled=labeled, spread=spread)
    np.testing.assert_allclose(made.mean.sum(axis=1), 1)
    assert (made.mean > 0).all()
    rows = made.rows(50, np.random.default_rng(0))
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(rows.sum(axis=2), 1)


def test_recall_is_drawn_from_what_was_found() -> None:
    found = np.array([[80, 100], [0, 0], [10, 10], [0, 5]])
    made = errors(found=found)
    recall = made.recall(5000, np.random.default_rng(0))
    assert recall.shape == (5000, 4)
    assert recall[:, 0].mean() == pytest.approx(0.8, abs=0.01)
    assert recall[:, 0].std() == pytest.approx(0.04, abs=0.005)
    assert recall[:, 1].mean() == pytest.approx(90 / 115, abs=0.01)  # not measured: as all others together
    assert 0.9 < recall[:, 2].mean() < 1
    assert recall[:, 3].mean() < 0.2
    np.testing.assert_allclose(recall.mean(axis=0), made.mean_recall, atol=0.01)


def test_recall_that_was_never_measured_is_1() -> None:
    assert (errors().recall(10, np.random.default_rng(0)) == 1).all()
    assert errors().mean_recall.tolist() == [1, 1, 1, 1]


# ---------------------------------------------------------------- learning from a site

NONE = np.zeros((4, 5), np.int64), np.zeros((4, 2), np.int64)


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.1])
def test_no_cells_of_a_site_change_nothing(spread: float) -> None:
    """Also not the rare errors: a rate of false blasts lost here would be lost to the flag."""
    known = errors(spread=spread, variation=0.3)
    learned = known.updated(*NONE)
    np.testing.assert_array_equal(learned.mean, known.mean)
    np.testing.assert_array_equal(learned.concentration, known.concentration)
    np.testing.assert_array_equal(learned.labeled, known.labeled)
    assert learned.overdispersion == known.overdispersion


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3])
def test_very_many_cells_of_a_site_stand_for_themselves(spread: float) -> None:
    shares = SHARES[:, [1, 0, 2, 3, 4]]
    learned = errors(spread=spread).updated(np.rint(1e7 * shares).astype(np.int64), NONE[1])
    np.testing.assert_allclose(learned.mean, shares, atol=2e-4)


@given(row=st.integers(0, 3), name=st.integers(0, 4), cells=st.integers(1, 500), spread=st.floats(0, 0.5))
def test_cells_of_a_site_draw_their_row_toward_them(row: int, name: int, cells: int, spread: float) -> None:
    counts, known = NONE[0].copy(), errors(spread=spread)
    counts[row, name] = cells
    learned = known.updated(counts, NONE[1])
    np.testing.assert_allclose(learned.mean.sum(axis=1), 1)
    assert learned.mean[row, name] > known.mean[row, name]
    others = np.arange(4) != row
    np.testing.assert_array_equal(learned.mean[others], known.mean[others])
    assert learned.labeled[row] == known.labeled[row] + cells
    assert learned.concentration[row] >= known.concentration[row]


def test_a_site_outweighs_rows_that_differ_much_from_slide_to_slide() -> None:
    counts = NONE[0].copy()
    counts[0] = [50, 50, 0, 0, 0]
    moved = [errors(spread=s).updated(counts, NONE[1]).mean[0, 1] for s in (0.0, 0.01, 0.1, 0.5)]
    assert moved == sorted(moved)
    assert moved[0] < 0.07
    assert moved[-1] > 0.45


def test_the_mean_of_a_site_is_known_by_hand() -> None:
    known = errors(spread=0.1)
    weight = known.concentration[0]
    counts = NONE[0].copy()
    counts[0, 3] = 10
    learned = known.updated(counts, NONE[1]).mean[0]
    assert learned[3] == pytest.approx((weight * known.mean[0, 3] + 10) / (weight + 10))


@given(data=st.data())
def test_cells_may_come_in_parts(data: st.DataObject) -> None:
    cell = st.integers(0, 30)
    parts = [np.array(data.draw(st.lists(cell, min_size=20, max_size=20))).reshape(4, 5) for _ in range(2)]
    known = errors(spread=0.05)
    once = known.updated(parts[0] + parts[1], NONE[1])
    twice = known.updated(parts[0], NONE[1]).updated(parts[1], NONE[1])
    np.testing.assert_allclose(once.mean, twice.mean)
    np.testing.assert_array_equal(once.site, parts[0] + parts[1])


def test_a_site_tells_which_cells_its_detector_finds() -> None:
    known = errors(found=np.array([[9, 10], [0, 0], [0, 0], [0, 0]]))
    more = np.array([[90, 100], [5, 8], [0, 0], [0, 0]])
    assert known.updated(NONE[0], more).detector_recall.tolist() == [[99, 110], [5, 8], [0, 0], [0, 0]]
    assert known.detector_recall[0].tolist() == [9, 10]


def test_cells_that_agree_with_what_is_known_change_little() -> None:
    known = errors(spread=0.05)
    learned = known.updated(np.rint(200 * SHARES).astype(np.int64), NONE[1])
    np.testing.assert_allclose(learned.mean, known.mean, atol=0.003)


def test_a_perfect_net_hardly_ever_errs() -> None:
    assert (np.diag(perfect().mean) > 1 - 1e-6).all()
    assert perfect().classes == CLASSES
