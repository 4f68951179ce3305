"""Exported models give torch's answers at any size, and bring their card along."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from small_nets import boxes, logits, network, pictures

from smearscan.classification.backbones import build
from smearscan.cli import main
from smearscan.errors import ConfigError, EngineError
from smearscan.runtime import NetworkSpec
from smearscan.runtime import export as module
from smearscan.runtime import self_check as check
from smearscan.runtime.batches import Batched
from smearscan.runtime.export import SUFFIXES, export
from smearscan.runtime.network import Engine
from smearscan.runtime.openvino_engine import core
from smearscan.weights.pairs import ClassifierCard, load_card, save_weights


def run(form: str, file: Path, images: np.ndarray) -> np.ndarray:
    """Run an exported model with nothing of ours."""
    if form == "onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(
            None, {"images": images}
        )[0]
    if form == "openvino":
        return core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)[0]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's, of TorchScript as a whole
        return torch.jit.load(str(file))(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_model_gives_torch_s_answers_at_every_size_and_number(tmp_path: Path, form: str) -> None:
    file = tmp_path / "new" / f"net{SUFFIXES[form]}"
    apart = export(logits(), form, file)
    assert apart.probability < 1e-4
    assert apart.box_px == 0
    for n, height, width in ((1, 64, 64), (3, 40, 120), (7, 128, 32)):
        images = pictures(n, height, width)
        with torch.inference_mode():
            wanted = network()(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(run(form, file, images), wanted, atol=1e-4)


@pytest.mark.parametrize("form", SUFFIXES)
def test_boxes_are_exported_too(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"net{SUFFIXES[form]}"
    assert export(boxes(), form, file).box_px < 1e-3
    assert run(form, file, pictures(2, 64, 96)).shape == (2, 7, 96)


def test_another_suffix_and_a_place_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"files named \*\.onnx"):
        export(logits(), "onnx", tmp_path / "net.pt")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        export(logits(), "onnx", tmp_path / "file" / "net.onnx")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda name: name == "torch")
    with pytest.raises(EngineError, match="pip install onnx onnxruntime"):
        export(logits(), "onnx", tmp_path / "net.onnx")
    export(logits(), "torchscript", tmp_path / "net.pt")


def test_a_model_that_answers_otherwise_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(Batched):
        def _infer(self, batch: np.ndarray) -> np.ndarray:
            return np.eye(5, dtype=np.float32)[np.zeros(len(batch), int)] * 9

    def written(_: object, network_spec: NetworkSpec, out: Path) -> Engine:
        out.write_bytes(b"model")
        return Wrong("wrong", network_spec.batch)

    monkeypatch.setitem(module._WAYS, "onnx", written)
    with pytest.raises(EngineError, match="too far from torch's"):
        export(logits(), "onnx", tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


# ---------------------------------------------------------------- the command


def ask(*args: object) -> Result:
    return CliRunner().invoke(main, ["weights", "export", *map(str, args)])


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    card = ClassifierCard(
        name="tiny", architecture="soto_ayala_32", classes=("a", "b", "c"), task="custom", crop_um=20,
        crop_px=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), head="own", temperature=1.7,
    )  # fmt: skip
    save_weights(tmp_path / "tiny", card, build("soto_ayala_32", 3, "own", "frozen").state_dict())
    return tmp_path / "tiny"


def test_the_command_writes_model_and_card(tmp_path: Path, pair: Path) -> None:
    file = tmp_path / "out" / "tiny.onnx"
    told = ask(pair, "--format", "onnx", "--out", file)
    assert told.exit_code == 0, told.output
    assert "differs from torch in probabilities by" in told.output
    assert load_card(file.with_name("tiny.onnx.yaml"), ClassifierCard) == load_card(pair, ClassifierCard)
    assert run("onnx", file, pictures(2, 32, 32)).shape == (2, 3)


def test_that_trees_stay_behind_is_said(tmp_path: Path, pair: Path) -> None:
    card = load_card(pair, ClassifierCard).model_copy(update={"trees": 0.5})
    save_weights(pair, card, build("soto_ayala_32", 3, "own", "frozen").state_dict())
    told = ask(pair, "--format", "onnx", "--out", tmp_path / "tiny.onnx")
    assert told.exit_code == 0, told.output
    assert "not in" in told.output
    assert "the trees of tiny" in " ".join(told.output.split())
    assert "0.5 of their logits are added" in (tmp_path / "tiny.onnx.txt").read_text()


@pytest.mark.parametrize(
    "args", [(), ("--detector", "--task", "blast"), ("x", "--detector"), ("x", "--task", "blast")]
)
def test_one_net_is_exported_at_a_time(tmp_path: Path, args: tuple[str, ...]) -> None:
    refused = ask(*args, "--format", "onnx", "--out", tmp_path / "net.onnx")
    assert refused.exit_code == 2
    assert "give one of PAIR, --task and --detector" in refused.output


def test_what_cannot_be_is_refused_without_a_traceback(tmp_path: Path, pair: Path) -> None:
    for args, said in (
        ((pair, "--format", "onnx", "--out", tmp_path / "net.xml"), "files named *.onnx"),
        ((tmp_path / "none", "--format", "onnx", "--out", tmp_path / "net.onnx"), "the card is missing"),
    ):
        refused = ask(*args)
        assert refused.exit_code == 2
        assert said in " ".join(refused.output.split())


def test_the_tolerance_is_one_place() -> None:
    assert (check.BOX_PX, check.PROBABILITY) == (0.5, 0.01)
