"""What a training run is told, read from YAML files and checked before anything is loaded."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from smearscan.classification import backbones
from smearscan.config import FileStem, checked, read_yaml
from smearscan.errors import WeightsError
from smearscan.training import regimes
from smearscan.training.augment import Augmentation
from smearscan.weights.pairs import shipped_folder

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DetectionDataset(_Strict):
    """One data set of fields with boxes.

    `splits` maps ``train``/``val``/``test`` to a text file of image names, or to ``"*"`` for the whole
    folder. With ``annotations: null``, which must be said, no picture has a cell of its `classes`.
    `red_cell_px` gives the scale where red cells are not boxed. `corrections` are CSV files
    (``image,action,x0,y0,x1,y1``, action ``drop`` or ``add``) applied to the published boxes. `ignore` is a
    CSV file (``image,x0,y0,x1,y1``) of areas that may hold cells without a box: nothing is learned of them,
    and a box that is found there is not false.
    """

    name: str
    format: Literal["voc", "yolo", "coco", "csv"]
    images: str
    annotations: str | None
    classes: dict[str, Literal["leukocyte", "red_cell", "platelet"]]
    splits: dict[Literal["train", "val", "test"], str | list[str]]
    red_cell_px: Positive | None = None
    corrections: list[str] = []
    ignore: str | None = None
    weight: Positive = 1.0
    license: str = "see the data set"

    @field_validator("classes", mode="before")
    @classmethod
    def _numbers_are_names(cls, classes: Any) -> Any:
        """Take the class numbers of YOLO files as they are written, without quotes."""
        return {str(key): kind for key, kind in classes.items()} if isinstance(classes, dict) else classes


class ClumpSource(_Strict):
    """Single cells to compose clumps from.

    `manifest` has the columns image, group, site, split, um_per_px; `share` of the fields get clumps.
    """

    manifest: str
    sites: list[str]
    cells_per_site: Count = 400
    share: Annotated[float, Field(ge=0, le=1)] = 0.4


class DetectorTraining(_Strict):
    """Everything ``smearscan train detector`` needs; lengths are pixels of the working scale."""

    name: FileStem
    sites: list[DetectionDataset]
    architecture: str = "yolov8n"
    thresholds: tuple[Share, Share, Share] = (0.4, 0.4, 0.4)
    seed: int = 0
    working_red_cell_px: Positive = 32.0
    canvas_px: Count = 320
    final_canvas_px: Count = 224
    epochs: Count = 40
    final_epochs: int = 12
    canvases_per_epoch: Count = 640
    batch: Count = 16
    learning_rate: Positive = 1e-3
    weight_decay: float = 5e-4
    warmup_steps: Count = 60
    clumps: ClumpSource | None = None
    limits: list[str] = []
    wide_scale_share: Share = 0.3
    final_wide_scale_share: Share = 0.15
    solid_red_cells_share: Share = 0.0


class Published(_Strict):
    """What a published work tells of its own system, in words; nothing is computed from it.

    `work` is authors and place, `result` and `schedule` what it printed, `start` where its weights came
    from, `beware` why its figure is not to be set beside one measured otherwise.
    """

    work: str
    result: str
    schedule: str
    start: str
    beware: str = ""


class ClassifierTraining(_Strict):
    """Everything ``smearscan train classifier`` needs.

    `synonyms` maps a data set's class names (folded, or ``site/name``) to one of `classes`, to a list of
    those that such a cell may be (a partial label), or to null to leave them out. `sites` limits the
    manifest; `exclude_sites` leaves sites out (for measuring on an unseen site).
    `epoch_cells` cells are drawn an epoch, sites by the root of their size times `site_weights`, classes
    alike but for `class_weights`, by which trees count cells, too. `limits`, what the net is known not to do,
    goes into its card.

    `architecture`, `head` and `norm` are those of :func:`smearscan.classification.backbones.build`, `regime`
    one of :data:`smearscan.training.regimes.REGIMES`. Left out or null, `crop_px` is the architecture's
    own size, and `head` the regime's or the architecture's. ``norm: frozen`` holds the statistics that come
    with start weights; from random weights there are none worth holding, and they are learned as with
    ``batch``. With ``trunk: held`` the first layers (:func:`smearscan.classification.backbones.trunk_of`)
    stay as they came with the start weights: nets that started from the same ones have them in common, and a
    scan computes them once. With ``last_layer: kept`` the last layer, too, begins as it came: the start must
    name the same classes. With ``background: remove`` the net sees cells without their surroundings.

    `normal_promyelocytes` names the sites whose promyelocytes are those of healthy people. A net of the task
    ``cells`` learns them as promyelocytes; no figure or threshold takes them for blasts.

    `reference_stain` is the chance that a training crop is shown with its slide's stain brought to the
    reference (:mod:`smearscan.rulers.stain`). A slide is a group of a site, or all of it where `one_slide`
    says that the site's groups are no slides but pictures.

    `trees` is how much boosted trees over the cell's measured form
    (:mod:`smearscan.classification.morphometry`) count beside the network; 0: none are fitted. They need one
    class a cell, so a net of the task ``cells`` has none. A net that is `only_unlike` is for slides alone
    that are stained unlike the training cells.

    `published` is what the work that a system is taken from says of it, for ``smearscan compare``.

    The body's learning rate is `learning_rate`, the head's `head_factor` times that. `momentum` is that of
    ``sgd``; `weight_decay` is decoupled in ``adamw`` and a penalty on the squared weights in the others;
    `schedule` and its `decay` are those of :func:`smearscan.training.loop.learning_rate`.
    """

    name: FileStem
    task: Literal["cells", "blast", "differential", "custom"] = "custom"
    classes: tuple[str, ...] = ()
    synonyms: dict[str, str | tuple[str, ...] | None] = {}
    sites: list[str] = []
    exclude_sites: list[str] = []
    site_weights: dict[str, Positive] = {}
    class_weights: dict[str, Positive] = {}
    architecture: str = "resnet18_stage3"
    regime: regimes.Name = "full"
    head: backbones.Head = "linear"
    norm: backbones.Norm = "frozen"
    trunk: Literal["learns", "held"] = "learns"
    last_layer: Literal["new", "kept"] = "new"
    seed: int = 0
    crop_um: Positive = 20.0
    crop_px: Count = 112
    background: Literal["keep", "remove"] = "keep"
    augmentation: Augmentation = Augmentation()
    epochs: Count = 12
    epoch_cells: Count = 8000
    batch: Count = 32
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    learning_rate: Positive = 4e-4
    head_factor: Positive = 3.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    schedule: Literal["cosine", "constant", "inverse"] = "cosine"
    decay: Annotated[float, Field(ge=0)] = 0.0
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    normal_promyelocytes: list[str] = []
    reference_stain: Share = 0.0
    trees: Annotated[float, Field(ge=0, le=10)] = 0.0
    only_unlike: bool = False
    one_slide: list[str] = []
    published: Published | None = None
    limits: list[str] = []
    target_specificity: Annotated[float, Field(gt=0, lt=1)] = 0.95
    unclassified_below: Annotated[float, Field(ge=0, lt=1)] = 0.5

    @property
    def how(self) -> regimes.Regime:
        """What the regime's name stands for."""
        return regimes.REGIMES[self.regime]

    @property
    def held(self) -> tuple[str, ...]:
        """Layers that stay as they came with the start weights."""
        return backbones.trunk_of(self.architecture) if self.trunk == "held" else ()

    @property
    def input(self) -> backbones.Input:
        """Size and normalization of the architecture."""
        return backbones.input_of(self.architecture)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        """Fill in what architecture and regime decide; what is wrong is left to the fields' checks."""
        if not isinstance(given, dict):
            return given
        architecture, regime = given.get("architecture", "resnet18_stage3"), given.get("regime", "full")
        try:
            own = {
                "crop_px": backbones.input_of(architecture).px,
                "head": regimes.REGIMES[regime].head or backbones.default_head(architecture),
            }
        except (WeightsError, KeyError, AttributeError, TypeError):
            own = {"crop_px": 112, "head": "linear"}
        return {**given, **{key: value for key, value in own.items() if given.get(key) is None}}

    @field_validator("architecture")
    @classmethod
    def _known(cls, architecture: str) -> str:
        try:
            backbones.input_of(architecture)
        except WeightsError as error:
            raise ValueError(str(error)) from error
        return architecture

    @field_validator("trunk")
    @classmethod
    def _has_trunk(cls, trunk: str, info: ValidationInfo) -> str:
        architecture = info.data.get("architecture")
        if trunk == "held" and architecture and not backbones.trunk_of(architecture):
            having = ", ".join(a for a in backbones.ARCHITECTURES if backbones.trunk_of(a))
            raise ValueError(f"{architecture} has no trunk that could be held, {having} has; leave it out")
        return trunk

    @field_validator("trees")
    @classmethod
    def _one_class_a_cell(cls, trees: float, info: ValidationInfo) -> float:
        if trees and info.data.get("task") == "cells":
            raise ValueError("needs one class a cell, which cells of the task 'cells' have not; leave it out")
        return trees

    @field_validator("class_weights")
    @classmethod
    def _of_one_class(cls, weights: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        if weights and info.data.get("task") == "cells":
            raise ValueError(
                "need one class a cell, which those of the task 'cells' have not; leave them out"
            )
        return weights

    @field_validator("crop_px")
    @classmethod
    def _fits(cls, crop_px: int, info: ValidationInfo) -> int:
        if "architecture" in info.data:
            own = backbones.input_of(info.data["architecture"])
            if own.fixed and crop_px != own.px:
                raise ValueError(f"{info.data['architecture']} takes crops of {own.px} px only; leave it out")
            if crop_px < own.smallest:
                raise ValueError(f"{info.data['architecture']} takes crops of {own.smallest} px or more")
        return crop_px


T = TypeVar("T", bound=BaseModel)


def resolve_list(path: str) -> Path:
    """Find a list that a configuration names: from where the user stands, else among the shipped ones."""
    here = Path(path)
    return here if here.exists() else shipped_folder("configs").parent / path


def load_config(path: Path, kind: type[T]) -> T:
    """Read a YAML file into a checked configuration.

    Raises
    ------
    ConfigError
        Naming the file, the key, the value and what was wrong with it.
    """
    return checked(kind, read_yaml(path), path)
