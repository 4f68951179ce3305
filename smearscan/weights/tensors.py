"""What a weights file holds: tensors by name, read from bytes, given to a network; nothing is unpickled."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from smearscan.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

T = TypeVar("T")

TREES = "trees."
"""Begins the names of a pair's trees, which are no part of its network."""


def pair_file(path: Path, suffix: str) -> Path:
    """Path of one file of a pair; a dot within NAME (blast-1.2) is no suffix."""
    path = Path(path)
    stem = path.stem if path.suffix in (".safetensors", ".yaml") else path.name
    return path.with_name(stem + suffix)


def layers_hash(path: Path, parts: tuple[str, ...]) -> str:
    """SHA-256 of the named layers' tensors of a pair's weights file, of which no more is read.

    Raises
    ------
    WeightsError
        If it is no safetensors file.
    """
    found, file = hashlib.sha256(), pair_file(path, ".safetensors")
    try:
        with safe_open(file, "np") as tensors:
            for name in sorted(tensors.keys()):
                if name.partition(".")[0] in parts:
                    array = tensors.get_tensor(name)
                    found.update(f"{name} {array.dtype} {array.shape}".encode())
                    found.update(array.tobytes())
    except (OSError, SafetensorError) as error:
        raise _no_safetensors(path, error) from error
    return found.hexdigest()


def tensors_of(data: bytes, path: Path) -> "dict[str, Tensor]":
    """Make tensors, floating ones float32, of the content of a weights file; `path` is for messages.

    Raises
    ------
    WeightsError
        If it is no safetensors file, or one of its numbers is none (NaN) or infinite.
    """
    from safetensors.torch import load  # imports torch: a scan with compiled networks does without

    tensors = _read(load, data, path)
    _check_finite({name: bool(tensor.isfinite().all()) for name, tensor in tensors.items()}, path)
    return {k: v.float() if v.dtype.is_floating_point else v for k, v in tensors.items()}


def trees_of(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a pair's trees, of which it may have none, and no more of the file.

    Raises
    ------
    WeightsError
        If it is no safetensors file.
    """
    try:
        with safe_open(pair_file(path, ".safetensors"), "np") as tensors:
            names = list(tensors.keys())
            own = [name for name in names if name.startswith(TREES)]
            return {name.removeprefix(TREES): tensors.get_tensor(name) for name in own}
    except (OSError, SafetensorError) as error:
        raise _no_safetensors(path, error) from error


def arrays_of(data: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """Make arrays, floating ones float32, of the content of a weights file; `path` is for messages.

    Raises
    ------
    WeightsError
        As :func:`tensors_of`.
    """
    from safetensors.numpy import load

    tensors = _read(load, data, path)
    _check_finite({name: bool(np.isfinite(array).all()) for name, array in tensors.items()}, path)
    return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in tensors.items()}


def graph_file(*weights: Path) -> Path:
    """Where the graph of the network of one or several pairs would lie: in ``graphs`` beside the first."""
    name = "_".join(pair_file(path, "").name for path in weights)
    return weights[0].parent / "graphs" / f"{name}.npz"


def fill(network: "Module", tensors: "Mapping[str, Tensor]", path: Path) -> None:
    """Give a network the tensors of its pair; `path` is for messages.

    Raises
    ------
    WeightsError
        If they are not those of this network: one is missing, too many, or of another shape.
    """
    own = network.state_dict()
    wrong = sorted(own.keys() ^ tensors.keys()) or [n for n in own if own[n].shape != tensors[n].shape]
    if wrong:
        raise WeightsError(
            f"{pair_file(path, '.safetensors')}: is not of the architecture and classes of its card "
            f"({len(wrong)} tensors do not fit, as {wrong[0]}); take the card that was written with it"
        )
    network.load_state_dict(tensors)


def _check_finite(is_finite: Mapping[str, bool], path: Path) -> None:
    for name, fine in is_finite.items():
        if not fine:
            raise WeightsError(
                f"{pair_file(path, '.safetensors')}: {name} has values that are no finite numbers; "
                "the training has failed, train again"
            )


def _read(load: Callable[[bytes], dict[str, T]], data: bytes, path: Path) -> dict[str, T]:
    """Read the tensors of the network alone."""
    try:
        return {name: own for name, own in load(data).items() if not name.startswith(TREES)}
    except SafetensorError as error:
        raise _no_safetensors(path, error) from error


def _no_safetensors(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{pair_file(path, '.safetensors')}: is no safetensors file ({error})")
