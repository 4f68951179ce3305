"""Ultralytics' checkpoints are read as numbers: what a pickle asks for is checked, nothing of it is run."""

import os
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from torch import nn

from smearscan.cli import main
from smearscan.detection.checkpoint import read_checkpoint
from smearscan.errors import WeightsError
from smearscan.weights.pairs import ClassifierCard, save_weights, start_tensors


class DetectionModel(nn.Module):
    """As Ultralytics': layers in a list, a buffer that is not stored, settings and a loss beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ModuleList([nn.Linear(4, 2)]))
        self.register_buffer("stride", torch.tensor([8.0, 16.0]), persistent=False)
        self.register_buffer("seen", torch.tensor(7))
        self.args = {"epochs": 3, "project": Path("runs")}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> DetectionModel:
    """One whose class is pickled under Ultralytics' name, which cannot be imported while it is read."""
    for name in ("ultralytics", "ultralytics.nn", "ultralytics.nn.tasks"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    vars(sys.modules["ultralytics.nn.tasks"])["DetectionModel"] = DetectionModel
    monkeypatch.setattr(DetectionModel, "__module__", "ultralytics.nn.tasks")
    torch.manual_seed(0)
    return DetectionModel()


def written(path: Path, **content: Any) -> Path:
    torch.save({"epoch": 3, "ema": None, "train_args": {"lr": 0.1}, **content}, path)
    return path


def test_its_tensors_are_the_network_s(
    network: DetectionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "net.pt", model=network.half())
    monkeypatch.setitem(sys.modules, "ultralytics", None)  # an import would fail
    monkeypatch.delitem(sys.modules, "ultralytics.nn.tasks")
    out = tmp_path / "deep" / "net.safetensors"
    done = CliRunner().invoke(main, ["weights", "import", str(file), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "of which nothing was run" in done.output
    expected = network.state_dict()
    found = start_tensors(out)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value.to(found[name].dtype)) for name, value in expected.items())
    with safe_open(out, "pt") as file_:
        assert file_.metadata()["imported_from"] == "net.pt"


def test_the_averaged_network_goes_first(network: DetectionModel, tmp_path: Path) -> None:
    other = DetectionModel()
    found = read_checkpoint(written(tmp_path / "net.pt", model=network, ema=other))
    assert torch.equal(found["model.0.weight"], other.model[0].weight)


class Evil:
    def __init__(self, call: Callable[..., Any], *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.args


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("call", "args", "named"),
    [
        (os.mkdir, ("harmed",), r"posix\.mkdir|nt\.mkdir"),
        (eval, ("__import__('os').mkdir('harmed')",), r"(__builtin__|builtins)\.eval"),
        (exec, ("open('harmed', 'w')",), r"(__builtin__|builtins)\.exec"),
        (torch.hub.load_state_dict_from_url, ("http://127.0.0.1/x",), r"torch\.hub\.load_state_dict"),
        (getattr, (os, "mkdir"), "getattr"),
    ],
)
def test_a_pickle_that_asks_for_more_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool, call: Any, args: Any, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = Evil(call, *(arg if isinstance(arg, str) else arg.__name__ for arg in args))
    if plain:
        (tmp_path / "net.pt").write_bytes(pickle.dumps({"model": evil}, protocol=2))
    else:
        written(tmp_path / "net.pt", model=evil)
    with pytest.raises(WeightsError) as error:
        read_checkpoint(tmp_path / "net.pt")
    assert str(tmp_path / "net.pt") in str(error.value)
    if not plain:  # torch takes a bare pickle for a file of its former format, and refuses it so
        assert error.match(rf"asks for .*({named}).*nothing of it was run")
    assert not (tmp_path / "harmed").exists()
    done = CliRunner().invoke(main, ["weights", "import", "net.pt", "--out", "net.safetensors"])
    assert done.exit_code == 2, done.output
    assert not (tmp_path / "net.safetensors").exists()


def test_harm_within_the_network_s_state_is_refused(
    network: DetectionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network.args["project"] = Evil(os.mkdir, "harmed")
    with pytest.raises(WeightsError, match=r"mkdir"):
        read_checkpoint(written(tmp_path / "net.pt", model=network))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [{"model": 3}, {"weights": {}}, {"model": [1, 2]}])
def test_what_holds_no_network_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"net\.pt: is no Ultralytics checkpoint of a network"):
        read_checkpoint(written(tmp_path / "net.pt", **content))


def test_a_file_cut_short_or_missing_is_refused(network: DetectionModel, tmp_path: Path) -> None:
    file = written(tmp_path / "net.pt", model=network)
    whole = file.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"net\.pt: is no Ultralytics checkpoint"):
            read_checkpoint(file)
    with pytest.raises(WeightsError, match=r"none\.pt: is no Ultralytics checkpoint"):
        read_checkpoint(tmp_path / "none.pt")


# ---------------------------------------------------------------- what a training starts from


def test_a_training_starts_from_no_pickle(tmp_path: Path) -> None:
    written(tmp_path / "net.pt", model=Evil(os.mkdir, str(tmp_path / "harmed")))
    with pytest.raises(WeightsError, match=r"net\.pt: start weights are a \.safetensors .* weights import"):
        start_tensors(tmp_path / "net.pt")
    assert not (tmp_path / "harmed").exists()


def test_start_weights_match_the_card_beside_them(tmp_path: Path) -> None:
    card = ClassifierCard(
        name="net", architecture="none", classes=("a", "b"), task="custom", crop_um=20, crop_px=32,
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
    )  # fmt: skip
    save_weights(tmp_path / "net", card, {"x": torch.ones(3)})
    assert torch.equal(start_tensors(tmp_path / "net.safetensors")["x"], torch.ones(3))
    save_weights(tmp_path / "other", card, {"x": torch.zeros(3)})
    (tmp_path / "net.safetensors").write_bytes((tmp_path / "other.safetensors").read_bytes())
    with pytest.raises(WeightsError, match=r"net\.safetensors: does not match the sha256 of its card"):
        start_tensors(tmp_path / "net.safetensors")
