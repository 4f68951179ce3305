"""A network without torch: OpenVINO's topology, and how each of its constants comes of the weights file.

Torch builds a network and OpenVINO converts it, once, when weights are released (``make graphs``). What is
kept is small: the topology as XML, and of each constant the tensor it is, or the tensor and the normalization
that was folded into it. The constants are computed here from the weights file, to the bit; what is neither
(shapes, the first layer with the scaling of pixels in it) is kept as it is. With them go torch's answers to
the pictures of the self-check, so that it is made without torch, too.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import WeightsError
from smearscan.io.archives import open_arrays

Tensors = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]

_UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, TypeError, RuntimeError, IndexError, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Graph:
    """A network as OpenVINO reads it.

    Attributes
    ----------
    xml, constants : bytes
        The two files of OpenVINO's format.
    answers : tuple of ndarray, float32
        Torch's, to each of :func:`smearscan.runtime.self_check.pictures`.
    """

    xml: bytes
    constants: bytes
    answers: tuple[Floats, ...]


def read(file: Path, identity: str, tensors: Sequence[Tensors]) -> Graph | None:
    """Read a graph; None where there is none, or it was made of other weights.

    Parameters
    ----------
    file : Path
    identity : str
        Of the network, see :class:`smearscan.runtime.network.NetworkSpec`.
    tensors : sequence of mapping
        Of each weights file of the network, by name, floating ones float32.

    Raises
    ------
    WeightsError
        If the file is damaged.
    """
    if not file.is_file():
        return None
    try:
        with open_arrays(file) as stored:
            about = json.loads(stored["about"].tobytes())
            if about["identity"] != identity:
                return None
            literals = stored["literals"].tobytes()
            constants = b"".join(constant(how, literals, tensors) for how in about["constants"])
            answers = tuple(stored[f"answers{i}"] for i in range(about["answers"]))
            return Graph(stored["xml"].tobytes(), constants, answers)
    except _UNREADABLE as error:
        raise WeightsError(f"{file}: is damaged ({error}); copy it again, or delete it") from error


def constant(how: Mapping[str, Any], literals: bytes, tensors: Sequence[Tensors]) -> bytes:
    """Bytes of a constant.

    Parameters
    ----------
    how : mapping
        ``literal`` [start, end] of `literals`; or ``of``, the index of a weights file, with a ``tensor`` as
        it is, a ``tensor`` times the gain of a ``norm``, or the offset of a ``norm`` alone; then ``eps`` and
        ``way`` of :func:`gain`.
    literals : bytes
    tensors : sequence of mapping
    """
    if "literal" in how:
        start, end = how["literal"]
        return literals[start:end]
    own = tensors[how["of"]]
    if "norm" not in how:
        return bytes(own[how["tensor"]].tobytes())
    factor = gain(own, how["norm"], how["eps"], how["way"])
    if "tensor" in how:
        weight = own[how["tensor"]]
        return bytes((weight * factor.reshape(-1, *[1] * (weight.ndim - 1))).tobytes())
    offset = own[f"{how['norm']}bias"] - own[f"{how['norm']}running_mean"] * factor
    return bytes(offset.tobytes())


def gain(tensors: Tensors, norm: str, eps: float, way: str) -> Floats:
    """Gain (C,) of a batch normalization, named by its prefix, in the order of roundings of who folded it.

    `way` is ``quotient``, gamma / sqrt(variance + eps), or ``product``, gamma * (1 / sqrt(variance + eps)).
    """
    deviation = np.sqrt(tensors[f"{norm}running_var"] + np.float32(eps))
    gamma = tensors[f"{norm}weight"]
    return np.asarray(gamma / deviation if way == "quotient" else gamma * (np.float32(1) / deviation))
