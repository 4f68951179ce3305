"""What a training crop may be turned into: geometry, pixels, stain and light, mixtures; by configuration."""

from typing import Annotated, Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from smearscan.classification.crops import BACKGROUND
from smearscan.rulers.stain import nucleus_at_reference
from smearscan.training import stain
from smearscan.training.stain import happens

_Rng = np.random.Generator
Share = Annotated[float, Field(ge=0, le=1)]

_BORDERS = {
    "background": cv2.BORDER_CONSTANT,
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}
_STAINS = {"density": stain.restained, "hed": stain.concentrated, "mix": stain.channels_mixed}


class Augmentation(BaseModel):
    """How training crops are changed; the defaults are what the shipped nets were trained with.

    In YAML a mapping of these keys, or the one word ``none``: crops as they are. Chances are 0 to 1; the
    range of every other key is in its field.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotation: Annotated[
        float, Field(ge=0, le=180, description="Largest turn either way, degrees; 180 turns fully. Uniform.")
    ] = 180.0
    shift: Annotated[
        float,
        Field(ge=0, le=0.5, description="Shift across and down, share of the crop's side: `shift_law`."),
    ] = 0.03
    shift_law: Annotated[
        Literal["normal", "uniform"],
        Field(description="`shift` is the standard deviation (normal) or the largest shift (uniform)."),
    ] = "normal"
    scale: Annotated[
        float, Field(ge=0, le=1, description="Change of size, octaves: standard deviation of a normal law.")
    ] = 0.15
    flip_horizontal: Annotated[Share, Field(description="Chance of swapping left and right.")] = 0.5
    flip_vertical: Annotated[Share, Field(description="Chance of swapping top and bottom.")] = 0.0
    fill: Annotated[
        Literal["background", "nearest", "reflect", "wrap", "constant"],
        Field(
            description="What turning and shifting bring in. background: the cell's true surroundings, gray "
            "beyond the window. The others know the crop alone: its border repeated (nearest), mirrored "
            "(reflect), the opposite side (wrap), or the gray `fill_value` (constant)."
        ),
    ] = "background"
    fill_value: Annotated[
        int, Field(ge=0, le=255, description="Gray level that `fill: constant` brings in.")
    ] = 0
    coarse: Annotated[
        Share, Field(description="Chance of a camera with 0.35 to 0.9 times the pixels along a side.")
    ] = 0.25
    stain: Annotated[
        Literal["density", "hed", "mix", "none"],
        Field(
            description="Other dyes: hue and saturation in optical density (density), the amounts of "
            "hematoxylin and eosin by color deconvolution (hed), color channels mixed (mix), or none."
        ),
    ] = "density"
    stain_share: Annotated[Share, Field(description="Chance of `stain`.")] = 0.5
    color: Annotated[
        Share,
        Field(description="Chance of weaker or stronger dyes and other white balance; hue at half of it."),
    ] = 0.8
    exchange: Annotated[
        Share,
        Field(
            description="Chance of the depth of stain of any training site: the density of each channel is "
            "multiplied by that site's mean over the own site's (mean of the cells' middles)."
        ),
    ] = 0.0
    blur: Annotated[Share, Field(description="Chance of a Gaussian blur of 0.4 to `blur_px` px.")] = 0.2
    blur_px: Annotated[
        float, Field(ge=0.4, le=5, description="The widest blur: standard deviation, pixels of the crop.")
    ] = 1.2
    noise: Annotated[Share, Field(description="Chance of camera noise of 1 to 8 gray levels.")] = 0.2
    nucleus: Annotated[
        Share,
        Field(
            description="Chance that, last of all, the crop's density is multiplied so that its own nucleus "
            "has the reference's, channel by channel."
        ),
    ] = 0.0
    green: Annotated[
        Share, Field(description="Chance that a crop of `nucleus` shows green light alone, in all channels.")
    ] = 0.0
    mixup: Annotated[
        float, Field(ge=0, le=10, description="Alpha of mixup's beta distribution; 0 mixes no crops.")
    ] = 0.0

    @classmethod
    def none(cls) -> "Augmentation":
        """Give the augmentation that changes nothing: the middle of the window, pixel for pixel."""
        return cls(
            rotation=0, shift=0, scale=0, flip_horizontal=0, flip_vertical=0, fill="nearest", coarse=0,
            stain="none", stain_share=0, color=0, exchange=0, blur=0, noise=0, nucleus=0, green=0,
            mixup=0,
        )  # fmt: skip

    @model_validator(mode="after")
    def _green_of_some(self) -> "Augmentation":
        if self.green and not self.nucleus:
            raise ValueError("green is a share of the crops of nucleus, and there are none; give nucleus")
        return self

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return cls.none().model_dump() if isinstance(given, str) and given == "none" else given


def augmented(
    window: NDArray[np.uint8], crop_px: int, rng: _Rng, augmentation: Augmentation | None = None,
    crop_um: float = 20.0,
) -> NDArray[np.uint8]:  # fmt: skip
    """Turn, mirror, shift, resize, recolor and blur a window with room around it to a training crop.

    Parameters
    ----------
    window : ndarray, (W, W, 3) uint8 RGB
        The cell in the middle, at the crop's scale; W >= `crop_px`. Left as it is.
    crop_px : int
        Side of the crop, pixels.
    rng : Generator
        All that is random; what is switched off by a chance of 0 draws nothing.
    augmentation : Augmentation, optional
        Default: the defaults.
    crop_um : float
        Side of the crop on the slide, micrometers.

    Returns
    -------
    ndarray, (crop_px, crop_px, 3) uint8 RGB
    """
    how = augmentation or Augmentation()
    crop = _moved(window, crop_px, rng, how)
    if happens(rng, how.flip_horizontal):
        crop = crop[:, ::-1]
    if happens(rng, how.flip_vertical):
        crop = crop[::-1]
    crop = np.ascontiguousarray(crop)
    if happens(rng, how.coarse):  # a camera of fewer pixels a cell
        small = max(1, int(crop_px * rng.uniform(0.35, 0.9)))
        shrunk = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
        crop = np.asarray(cv2.resize(shrunk, (crop_px, crop_px)), np.uint8)
    if how.stain != "none" and happens(rng, how.stain_share):
        crop = _STAINS[how.stain](crop, rng)
    crop = stain.recolored(crop, rng, how.color, how.blur, how.noise, how.blur_px)
    if happens(rng, how.nucleus):
        crop = nucleus_at_reference(crop, crop_um)
        if happens(rng, how.green):
            crop = np.repeat(crop[..., 1:2], 3, axis=2)
    return crop


def _moved(window: NDArray[np.uint8], crop_px: int, rng: _Rng, how: Augmentation) -> NDArray[np.uint8]:
    """Shift, turn and resize the window's middle to a crop."""
    if how.fill != "background":  # as if nothing was known around the crop
        edge = max(0, (window.shape[0] - crop_px) // 2)
        window = window[edge : edge + crop_px, edge : edge + crop_px]
    side, reach = window.shape[0], how.shift * crop_px
    # shift of the box: detectors do not center as truth does
    shift = rng.normal(0, reach, 2) if how.shift_law == "normal" else rng.uniform(-reach, reach, 2)
    least = 0.0 if how.rotation == 180 else -how.rotation
    angle = rng.uniform(least, least + 2 * how.rotation)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 2.0 ** rng.normal(0, how.scale))
    turn[:, 2] += crop_px / 2 - side / 2 + shift
    gray = (BACKGROUND if how.fill == "background" else how.fill_value,) * 3
    return np.asarray(
        cv2.warpAffine(
            window, turn, (crop_px, crop_px), flags=cv2.INTER_LINEAR, borderMode=_BORDERS[how.fill],
            borderValue=gray,
        ), np.uint8,
    )  # fmt: skip


def mixed(crops: Tensor, targets: Tensor, n_classes: int, alpha: float, rng: _Rng) -> tuple[Tensor, Tensor]:
    """Mix each crop of a batch with another one, and their targets alike (mixup; Zhang et al., ICLR 2018).

    Parameters
    ----------
    crops : Tensor, (B, S, S, 3) uint8
    targets : Tensor, (B,) int64
    n_classes : int
    alpha : float
        The greater share is drawn from Beta(alpha, alpha), once a batch; 0 hands back what was given.
    rng : Generator

    Returns
    -------
    crops : Tensor, (B, S, S, 3) uint8
    targets : Tensor
        Chances of the classes (B, n_classes) float32, as ``cross_entropy`` takes them; as given for alpha 0.
    """
    if alpha == 0:
        return crops, targets
    share = float(rng.beta(alpha, alpha))
    share = max(share, 1 - share)  # the same batches in another order; each crop stays mostly itself
    other = torch.from_numpy(rng.permutation(len(crops)))
    both = crops.float().mul(share).add_(crops[other].float(), alpha=1 - share)
    chances = torch.nn.functional.one_hot(targets, n_classes).float()
    return both.round_().to(torch.uint8), chances * share + chances[other] * (1 - share)
