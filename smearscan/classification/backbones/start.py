"""Taking over the weights of a pretrained network."""

from pathlib import Path

from torch import nn

from smearscan.errors import WeightsError
from smearscan.weights.pairs import start_tensors


def start_from(model: nn.Module, source: Path, with_last_layer: bool = False) -> int:
    """Copy every tensor of equal name and shape from a safetensors file.

    Names are those of this package or of the network's publisher (torchvision, timm). The head stays new; but
    of the head ``own`` all published layers are taken over whose shape fits, that is all but the last.

    Parameters
    ----------
    model : Module
    source : Path
    with_last_layer : bool
        Take the head over whole, from a file of this package.

    Returns
    -------
    int
        How many tensors were taken over.

    Raises
    ------
    WeightsError
        As :func:`smearscan.weights.pairs.start_tensors`, if it fits less than half of the backbone, or a head
        that is to be taken over does not fit.
    """
    given = start_tensors(source)
    own = model.state_dict()
    published_head = getattr(model, "head_name", None) == "own"
    taken = {}
    for name, value in own.items():
        names = [name] if with_last_layer else _names(name, published_head)
        found = next((given[n] for n in names if n in given), None)
        if found is not None and found.shape == value.shape:
            taken[name] = found
    body = [name for name in own if not name.startswith("head.")]
    fitting = sum(name in taken for name in body)
    if fitting < len(body) / 2:
        raise WeightsError(f"{source}: only {fitting} of {len(body)} tensors fit this backbone")
    if with_last_layer and (lost := [name for name in own if name.startswith("head.") and name not in taken]):
        raise WeightsError(f"{source}: has no {lost[0]} of the right size; 'last_layer: new' needs none")
    model.load_state_dict(taken, strict=False)
    return len(taken)


def _names(name: str, published_head: bool) -> list[str]:
    """Names under which a file may hold the tensor that is called `name` here."""
    if name.startswith("head."):
        return ["classifier." + name.removeprefix("head.")] if published_head else []
    return [name, name.removeprefix("body.")]
