"""Weights files: NAME.safetensors and its card NAME.yaml, checked together; nothing is unpickled."""

import hashlib
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from smearscan.config import FileStem, Word, checked
from smearscan.errors import WeightsError
from smearscan.io.atomic import write_bytes, write_text
from smearscan.io.kept import read_kept_yaml
from smearscan.numeric import softmax
from smearscan.taxonomy import BLAST, DETECTOR_CLASSES, NOTICE, SUMS
from smearscan.weights.known import KnownCells, QualityLimits, Share
from smearscan.weights.tensors import TREES, pair_file, tensors_of

if TYPE_CHECKING:
    from torch import Tensor

Positive = Annotated[float, Field(gt=0)]


class Card(BaseModel):
    """What every weights file says of itself.

    `training` records data sets, splits, seeds and schedule; `metrics` what was measured, each figure with
    its interval, its number of cells and groups, and the command that printed it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: FileStem
    stage: Literal["detector", "classifier"]
    architecture: Word
    classes: Annotated[tuple[Word, ...], Field(min_length=1, max_length=1000)]
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    license: str = "AGPL-3.0-or-later; trained on data sets of mixed licenses, research use only"
    notice: str = NOTICE
    smearscan_version: str = ""
    training: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    limits: list[str] = []

    @field_validator("classes")
    @classmethod
    def _each_once(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) != len(classes):
            raise ValueError("a class stands twice")
        return classes

    @property
    def short_hash(self) -> str:
        """First 12 digits of the file's SHA-256."""
        return self.sha256[:12]


class DetectorCard(Card):
    """A detector: at which scale it works, where it cuts, and which photographs it may be given."""

    stage: Literal["detector"] = "detector"
    working_red_cell_px: Positive
    tile_px: Annotated[int, Field(gt=0, le=8192, multiple_of=32)] = 640
    thresholds: tuple[Share, Share, Share]
    lowest_threshold: Share = 0.01
    nms_iou: Share = 0.5
    quality: QualityLimits = QualityLimits()

    @field_validator("classes")
    @classmethod
    def _in_order(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if classes != DETECTOR_CLASSES:
            raise ValueError(f"must be {', '.join(DETECTOR_CLASSES)}, in this order")
        return classes


class ClassifierCard(Card):
    """A classifier: how its crops are cut, and how its logits become probabilities and names.

    `head` and `norm` complete the architecture (see :func:`smearscan.classification.backbones.build`); with
    `background` ``remove`` the net sees crops without what surrounds the cell. `trunk` names the layers that
    were held in training: nets that started from the same weights have them in common. `known_cells` tells
    how the cells are stained that it learned from; where it is not told, no slide is compared with them.
    `trees` is how much the trees of the pair, which go by a cell's measured form
    (:mod:`smearscan.classification.morphometry`), count beside the network; 0: it has none. A net that is
    `only_unlike` answers on slides alone that are stained unlike the training cells.

    A net of the task ``cells`` names the finest types there are; what it says of blasts, and of the
    differential's classes, are sums over them (:meth:`answering`). On a card made so, `sums` holds the
    indices of the fine types that each class is the sum of; no file has it.
    """

    stage: Literal["classifier"] = "classifier"
    task: Literal["cells", "blast", "differential", "custom"]
    crop_um: Positive
    crop_px: Annotated[int, Field(gt=0, le=2048)]
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]
    head: Literal["linear", "own", "dense256", "leuknet", "soto_ayala"] = "linear"
    norm: Literal["batch", "frozen", "group"] = "frozen"
    trunk: tuple[str, ...] = ()
    background: Literal["keep", "remove"] = "keep"
    trees: Annotated[float, Field(ge=0, le=10)] = 0.0
    temperature: Positive = 1.0
    threshold: Share = 0.5
    unclassified_below: Share = 0.0
    confusion: list[list[int]] = []
    known_cells: KnownCells | None = None
    only_unlike: bool = False
    sums: dict[str, tuple[int, ...]] = {}

    @model_validator(mode="after")
    def _square(self) -> "ClassifierCard":
        sides = {len(self.confusion), *map(len, self.confusion)}
        if self.confusion and sides != {len(self.classes)}:
            raise ValueError("confusion must be a square of the classes")
        return self

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.floating]:
        """Turn logits (N, K) into calibrated probabilities (N, K), rows of sum 1, of the same precision."""
        probs = np.asarray(softmax(logits / self.temperature))
        if not self.sums:
            return probs
        summed = np.stack([probs[:, list(own)].sum(axis=1) for own in self.sums.values()], axis=1)
        return np.asarray(summed / np.maximum(summed.sum(axis=1, keepdims=True), np.finfo(probs.dtype).tiny))

    def answering(self, task: str) -> "ClassifierCard":
        """Return the card of a net of fine types as that of the task's net: sums over the same logits.

        A blast is any of :data:`smearscan.taxonomy.BLAST_TYPES`. The differential is that of the other cells,
        so its classes' probabilities are given that the cell is no blast; a promyelocyte that is not called
        one counts among the immature granulocytes. The card of any other net is returned as it is.
        """
        if self.task != "cells" or task == "cells":
            return self
        index = {name: k for k, name in enumerate(self.classes)}
        sums = {
            name: tuple(index[fine] for fine in types if fine in index) for name, types in SUMS[task].items()
        }
        sums = {name: own for name, own in sums.items() if own}
        told = {"task": task, "classes": tuple(sums), "sums": sums, "confusion": []}
        return self.model_copy(update=told)


C = TypeVar("C", bound=Card)


def shipped(name: str) -> Path:
    """Path of shipped weights, from a checkout and from an installed wheel alike."""
    return shipped_folder("weights") / f"{name}.safetensors"


def shipped_folder(kind: Literal["weights", "configs"]) -> Path:
    """Folder of the shipped weights or configurations."""
    package = Path(str(files("smearscan")))
    inside = package / "_shipped" / kind
    return inside if inside.is_dir() else package.parent / kind


def load_weights(path: Path, kind: type[C]) -> "tuple[C, dict[str, Tensor]]":
    """Read a pair and verify it.

    Parameters
    ----------
    path : Path
        ``NAME.safetensors`` (or ``NAME.yaml``, or ``NAME``); the other file lies beside it.
    kind : type
        The card expected: :class:`DetectorCard` or :class:`ClassifierCard`.

    Returns
    -------
    card : Card
    tensors : dict of str to Tensor
        float32, on the CPU.

    Raises
    ------
    WeightsError
        If a file is missing or unreadable, the card is of another stage, or the hash differs.
    """
    card, data = read_pair(path, kind)
    return card, tensors_of(data, path)


def read_pair(path: Path, kind: type[C]) -> tuple[C, bytes]:
    """Read a pair and verify it, without making tensors of the file's content; as :func:`load_weights`."""
    card = load_card(path, kind)
    return card, content_of(path, card)


def verified_card(path: Path, kind: type[C]) -> C:
    """Verify a pair as :func:`read_pair`, without its content: a network compiled before needs none."""
    card = load_card(path, kind)
    with _opened(path) as file:
        _check_hash(path, card, _sha256(file))
    return card


def content_of(path: Path, card: Card) -> bytes:
    """Read the weights file of a card and verify it; raises as :func:`load_weights`."""
    with _opened(path) as file:
        data = file.read()
    _check_hash(path, card, hashlib.sha256(data).hexdigest())
    return data


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    source = pair_file(path, ".safetensors")
    try:
        with source.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise WeightsError(
            f"{source}: the weights file is missing; a pair is NAME.safetensors and NAME.yaml"
        ) from error
    except OSError as error:
        raise WeightsError(f"{source}: the weights file cannot be read ({error.strerror})") from error


def _sha256(file: BufferedReader) -> str:
    """Hash a file in one go, without Python's lock: in parts, each would wait for whoever imports."""
    if not os.fstat(file.fileno()).st_size:
        return hashlib.sha256().hexdigest()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return hashlib.sha256(content).hexdigest()


def _check_hash(path: Path, card: Card, sha256: str) -> None:
    if sha256 != card.sha256:
        raise WeightsError(
            f"{pair_file(path, '.safetensors')}: does not match the sha256 of its card; "
            "it was altered or cut, copy it again"
        )


def load_card(path: Path, kind: type[C]) -> C:
    """Read and check a card alone.

    Raises
    ------
    WeightsError
        If it is missing, not YAML, or of another stage.
    """
    source = pair_file(path, ".yaml")
    missing = "the card is missing; a pair is NAME.safetensors and NAME.yaml"
    content = read_kept_yaml(source, WeightsError, missing)
    return checked(kind, content, source, WeightsError, f"is no {kind.__name__} ({{told}})")


def stage_of(
    card: "DetectorCard | ClassifierCard",
) -> Literal["detector", "blast", "differential", "blast_unlike", "differential_unlike", "cells_unlike"]:
    """Tell which setting of a scan a pair is for: a net of one's own that knows blasts is a blast net."""
    if isinstance(card, DetectorCard):
        return "detector"
    if card.only_unlike and card.task == "cells":
        return "cells_unlike"
    knows_blasts = card.task == "blast" or (card.task == "custom" and BLAST in card.classes)
    if card.only_unlike:
        return "blast_unlike" if knows_blasts else "differential_unlike"
    return "blast" if knows_blasts else "differential"


def load_any_card(path: Path) -> DetectorCard | ClassifierCard:
    """Read a card of either stage; raises as :func:`load_card` does."""
    try:
        return load_card(path, DetectorCard)
    except WeightsError:
        return load_card(path, ClassifierCard)


def start_tensors(path: Path) -> "dict[str, Tensor]":
    """Read the weights that a training starts from: a pair, which is verified, or a bare safetensors file.

    Returns
    -------
    dict of str to Tensor
        Floating ones float32, on the CPU.

    Raises
    ------
    WeightsError
        If the file is missing, of another kind, or does not match the card beside it.
    """
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path}: start weights are a .safetensors file; of an Ultralytics checkpoint (.pt) make one "
            "with 'smearscan weights import', which runs nothing that is in it"
        )
    if pair_file(path, ".yaml").exists():
        return load_weights(path, type(load_any_card(path)))[1]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: the start weights cannot be read ({error.strerror})") from error
    return tensors_of(data, path)


def save_weights(
    path: Path, card: C, tensors: "dict[str, Tensor]", trees: Mapping[str, NDArray[Any]] | None = None
) -> C:
    """Write a pair; floating tensors of the network are stored as float16, arrays of trees as they are.

    Half precision keeps 11 bits of a weight, well below what training noise leaves of it, and halves the
    file; figures on a card are measured on the stored file.

    Returns
    -------
    Card
        With its hash.
    """
    import torch
    from safetensors.torch import save

    half = {k: (v.half() if v.dtype.is_floating_point else v).contiguous() for k, v in tensors.items()}
    own = {TREES + name: torch.from_numpy(array) for name, array in (trees or {}).items()}
    data = save(half | own)
    write_bytes(pair_file(path, ".safetensors"), data)
    signed = card.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    save_card(path, signed)
    return signed


def save_card(path: Path, card: Card) -> None:
    """Write a card beside its weights."""
    text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    write_text(pair_file(path, ".yaml"), text)
