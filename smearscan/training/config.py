"""What a training run is told, read from YAML files and checked before anything is loaded."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smearscan.errors import ConfigError

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BoxedSite(_Strict):
    """One data set of fields with boxes.

    `splits` maps ``train``/``val``/``test`` to a text file of image names, or to ``"*"`` for the whole folder.
    `red_cell_px` gives the scale where red cells are not boxed. `corrections` are CSV files
    (``image,action,x0,y0,x1,y1``, action ``drop`` or ``add``) applied to the published boxes.
    `pseudo_boxes` are boxes a former net gave to classes the set does not annotate (CSV with label and score).
    """

    name: str
    format: Literal["voc", "yolo", "coco", "csv"]
    images: str
    annotations: str
    classes: dict[str, Literal["leukocyte", "red_cell", "platelet"]]
    splits: dict[Literal["train", "val", "test"], str | list[str]]
    red_cell_px: Positive | None = None
    corrections: list[str] = []
    weight: Positive = 1.0
    license: str = "see the data set"


class ClumpSource(_Strict):
    """Single cells to compose clumps from: a manifest (image, group, site, split, um_per_px), its sites, how often."""

    manifest: str
    sites: list[str]
    cells_per_site: Count = 400
    share: Annotated[float, Field(ge=0, le=1)] = 0.4


class DetectorTraining(_Strict):
    """Everything ``smearscan train detector`` needs; lengths are pixels of the working scale."""

    name: str
    sites: list[BoxedSite]
    start: str = ""
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
    wide_scale_share: Annotated[float, Field(ge=0, le=1)] = 0.3


T = TypeVar("T", bound=BaseModel)


def load_config(path: Path, kind: type[T]) -> T:
    """Read a YAML file into a checked configuration.

    Raises
    ------
    ConfigError
        Naming the file, the key and what was wrong with it.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML ({error})") from error
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{path}: {told}") from error
