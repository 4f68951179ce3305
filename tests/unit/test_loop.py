"""Schedule, averaged weights, checkpoint and curves."""

import copy
import csv
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from smearscan.errors import ConfigError
from smearscan.training.loop import Checkpoint, Curves, ExponentialMovingAverage, learning_rate

# ---------------------------------------------------------------- schedule


@given(total=st.integers(2, 500), data=st.data())
def test_the_rate_rises_to_one_then_falls_to_a_hundredth(total: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(1, total - 1))
    rates = [learning_rate(step, total, warmup) for step in range(total + 1)]
    assert all(0 < r <= 1 for r in rates)
    assert rates[warmup - 1] == 1
    assert rates[warmup] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(rates[:warmup]))
    assert all(a > b for a, b in pairwise(rates[warmup:]))
    assert rates[-1] == pytest.approx(0.01)


def test_the_rate_of_a_known_schedule() -> None:
    assert learning_rate(0, 100, 10) == pytest.approx(0.1)
    assert learning_rate(55, 100, 10) == pytest.approx(0.505)
    assert learning_rate(10_000, 100, 10) == pytest.approx(0.01)  # past the end it stays


def test_a_warm_up_longer_than_the_run_is_allowed() -> None:
    assert [learning_rate(i, 2, 4) for i in range(2)] == [0.25, 0.5]


# ---------------------------------------------------------------- averaged weights


def net(value: float) -> nn.Module:
    made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for p in made.parameters():
        nn.init.constant_(p, value)
    return made


def test_the_average_starts_as_a_copy_that_does_not_learn() -> None:
    model = net(1.0)
    averaged = ExponentialMovingAverage(model)
    with torch.no_grad():
        model[0].weight.fill_(9.0)
    assert averaged.model.state_dict()["0.weight"].unique().tolist() == [1.0]
    assert not any(p.requires_grad for p in averaged.model.parameters())
    assert all(p.requires_grad for p in model.parameters())
    assert not averaged.model.training


def test_the_average_follows_the_recursion() -> None:
    averaged = ExponentialMovingAverage(net(0.0), decay=0.9, ramp=3.0)
    expected = 0.0
    for k, value in enumerate([1.0, -2.0, 5.0, 5.0], 1):
        averaged.update(net(value))
        decay = 0.9 * (1 - math.exp(-k / 3.0))
        expected = decay * expected + (1 - decay) * value
        assert averaged.model.state_dict()["0.weight"].flatten().tolist() == pytest.approx(
            [expected] * 4, rel=1e-5
        )
    assert averaged.updates == 4


def test_the_average_of_a_constant_is_the_constant() -> None:
    averaged = ExponentialMovingAverage(net(3.0))
    for _ in range(50):
        averaged.update(net(3.0))
    assert averaged.model.state_dict()["1.bias"].tolist() == pytest.approx([3.0, 3.0], rel=1e-6)


def test_the_average_lies_between_and_comes_near() -> None:
    averaged, aim = ExponentialMovingAverage(net(0.0), decay=0.9, ramp=1.0), net(1.0)
    before = 0.0
    for _ in range(80):
        averaged.update(aim)
        now = float(averaged.model.state_dict()["0.bias"][0])
        assert before <= now <= 1
        before = now
    assert before == pytest.approx(1, abs=1e-3)


def test_whole_numbers_are_taken_over_as_they_are() -> None:
    model = net(1.0)
    averaged = ExponentialMovingAverage(model)
    model[1].num_batches_tracked.fill_(17)
    averaged.update(model)
    assert averaged.model.state_dict()["1.num_batches_tracked"].item() == 17


def test_updating_leaves_the_model_as_it_is() -> None:
    model = net(2.0)
    before = copy.deepcopy(model.state_dict())
    ExponentialMovingAverage(net(0.0)).update(model)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


# ---------------------------------------------------------------- checkpoint


def test_a_run_resumes_from_what_it_saved(tmp_path: Path) -> None:
    model = net(0.5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(3, 2)).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    place = tmp_path / "checkpoint.pt"
    Checkpoint(place, "a").save(
        epoch=3,
        model=model.state_dict(),
        optimizer=optimizer.state_dict(),
        curves=[{"epoch": 3, "loss": 0.25}],
    )
    state = Checkpoint(place, "a").load()
    assert state is not None
    assert set(state) == {"epoch", "model", "optimizer", "curves"}
    assert (state["epoch"], state["curves"]) == (3, [{"epoch": 3, "loss": 0.25}])
    other = net(9.0)
    other.load_state_dict(state["model"])
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )
    torch.optim.AdamW(other.parameters(), lr=1.0).load_state_dict(state["optimizer"])


def test_without_a_file_there_is_nothing_to_resume(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "a")
    assert checkpoint.load() is None
    checkpoint.remove()  # no error


def test_a_removed_checkpoint_is_gone(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "a")
    checkpoint.save(epoch=1)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
    checkpoint.remove()
    assert checkpoint.load() is None
    assert not list(tmp_path.iterdir())


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "checkpoint.pt", "a").save(epoch=1)
    with pytest.raises(ConfigError, match=r"checkpoint\.pt: was made with another configuration"):
        Checkpoint(tmp_path / "checkpoint.pt", "b").load()


def test_a_crash_while_writing_leaves_the_former_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "a")
    checkpoint.save(epoch=1)

    def half(state: object, path: Path) -> None:
        Path(path).write_bytes(b"PK\x03\x04 half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(epoch=2)
    assert checkpoint.load() == {"epoch": 1}


# ---------------------------------------------------------------- curves


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_has_a_row_an_epoch_at_every_moment(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "curves.csv")
    for epoch in (1, 2, 3):
        curves.add(epoch=epoch, loss=1 / epoch, seconds=2.5)
        told = rows(tmp_path / "curves.csv")
        assert [int(r["epoch"]) for r in told] == list(range(1, epoch + 1))
        assert float(told[-1]["loss"]) == 1 / epoch
    assert list(told[0]) == ["epoch", "loss", "seconds"]


def test_curves_of_an_interrupted_run_go_on(tmp_path: Path) -> None:
    first = Curves(tmp_path / "curves.csv")
    first.add(epoch=1, loss=0.5)
    second = Curves(tmp_path / "curves.csv")
    second.rows = list(first.rows)
    second.add(epoch=2, loss=0.25)
    assert [r["epoch"] for r in rows(tmp_path / "curves.csv")] == ["1", "2"]


def test_the_picture_shows_the_curves(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "curves.csv")
    for epoch in range(1, 6):
        curves.add(epoch=epoch, box_loss=1 / epoch, accuracy=1 - 1 / epoch, seconds=1)
    curves.draw()
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 600
        left = picture.convert("RGB").crop((0, 0, picture.width // 2, picture.height))
        right = picture.convert("RGB").crop((picture.width // 2, 0, picture.width, picture.height))
    for panel in (left, right):  # the first color of a panel's cycle is drawn in both
        assert (31, 119, 180) in {color for _, color in panel.getcolors(1 << 20) or []}


def test_one_panel_may_be_empty(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "curves.csv")
    curves.add(epoch=1, loss=0.5)
    curves.draw()
    assert (tmp_path / "curves.png").stat().st_size > 1000
