"""The numbers of an Ultralytics checkpoint (``.pt``), taken out without running anything that is in it.

A checkpoint is a pickle of the whole network as an object, and a pickle names functions that its reader is to
call. Here every name that it asks for must be a class of the kinds a network consists of, and for each of
them stands an empty class of ours: neither Ultralytics nor anything else is imported or run.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from smearscan.errors import WeightsError
from smearscan.io.atomic import write_bytes
from smearscan.io.content import file_sha256

_ALLOWED = re.compile(
    r"torch\.nn\.modules\.\w+\.\w+"
    r"|ultralytics\.(nn\.modules(\.\w+)?|nn\.tasks|utils(\.\w+)?)\.\w+"
    r"|pathlib\.(Pure)?(Posix|Windows)?Path"
)
_TOLD = 3


class _StandIn:
    """Stands for a class that a checkpoint names: takes its state and does nothing."""

    def __new__(cls, *_: object) -> "_StandIn":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass


def import_checkpoint(checkpoint: Path, out: Path) -> int:
    """Write the tensors of an Ultralytics checkpoint as a ``.safetensors`` file to start a training from.

    Returns
    -------
    int
        How many tensors there are.

    Raises
    ------
    WeightsError
        As :func:`read_checkpoint`, or if `out` has another ending.
    OutputError
        If `out` cannot be written.
    """
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: start weights end in .safetensors; give such a name")
    tensors = read_checkpoint(checkpoint)
    whence = {"imported_from": checkpoint.name, "sha256": file_sha256(checkpoint)}
    write_bytes(out, save({name: t.contiguous().clone() for name, t in tensors.items()}, whence))
    return len(tensors)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, those of the averaged network where there is one.

    Raises
    ------
    WeightsError
        If the file is no checkpoint, or its pickle asks for anything but the classes of a network.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        if refused := [name for name in names if not _ALLOWED.fullmatch(name)]:
            told = ", ".join(refused[:_TOLD]) + (", ..." if len(refused) > _TOLD else "")
            raise WeightsError(
                f"{path}: asks for {told}, which no network is made of and which may do harm; nothing of it "
                "was run. Take the checkpoint from its publisher again"
            )
        stand_ins: list[Any] = [_stand_in(name) for name in names]
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(path, map_location="cpu", weights_only=True)
        network = content.get("ema") or content["model"]
        return dict(_tensors(network, ""))
    except (
        OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError,
        UnpicklingError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: is no Ultralytics checkpoint of a network ({reason})") from error


def _stand_in(name: str) -> type[_StandIn]:
    module, _, own = name.rpartition(".")
    return type(own, (_StandIn,), {"__module__": module, "__qualname__": own})


def _tensors(part: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a module and those within it, named as torch's ``state_dict`` names them."""
    passing = part.__dict__.get("_non_persistent_buffers_set", ())
    for name, value in [*part._parameters.items(), *part._buffers.items()]:
        if isinstance(value, Tensor) and name not in passing:
            yield prefix + name, value.detach()
    for name, child in part._modules.items():
        yield from _tensors(child, f"{prefix}{name}.")
