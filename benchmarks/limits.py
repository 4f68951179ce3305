"""What no scan can beat: decoding alone, the networks alone, and both at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fields import Kind, slide
from benchmarks.ours import Ours
from smearscan.classification.classifier import Classifier
from smearscan.classification.shared_trunk import HeadView
from smearscan.io.folders import find_slides
from smearscan.io.streams import read_ahead
from smearscan.results import Field, Scale
from smearscan.runtime import Engine
from smearscan.runtime.batches import usable_cores
from smearscan.scan.scanner import SmearScanner

Pictures = NDArray[np.uint8]
_AT_ONCE = 64


class Recorder:
    """Stands in front of an engine and keeps what it is given."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.name = engine, engine.name
        self.seen: list[Pictures] = []

    def run(self, images: Pictures) -> NDArray[np.float32]:
        """Keep the pictures and run the engine."""
        self.seen.append(images.copy())
        return self.engine.run(images)


class Decode:
    """Reads the pictures of a folder just as a scan does, on a thread for each core, and drops them."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self._paths = [path for one in find_slides(folder) for path in one.paths]
        self._load = SmearScanner()._opener.loader("", Scale(kind.um_per_px, "given"))

    def __call__(self) -> dict[str, Any]:
        """Read."""
        read = read_ahead(self._paths, self._load, usable_cores(), 2 * usable_cores())
        return {"fields": sum(isinstance(field, Field) for field in read)}


class Network:
    """Runs the three networks on just what a scan of a folder gives them, already in memory.

    Parameters
    ----------
    folder : Path
        Whose number of fields counts; their content is that of the kind's different fields.
    kind : Kind
    **settings
        Of :class:`smearscan.scan.scanner.SmearScanner`.
    """

    def __init__(self, folder: Path, kind: Kind, **settings: object) -> None:
        self._fields = sum(len(one.paths) for one in find_slides(folder))
        few = Ours(slide(kind, kind.distinct), um_per_px=kind.um_per_px, **settings)
        recorders: dict[int, Recorder] = {}
        for owner, name in (
            (few.scanner.detector, "engine"), *map(_place, few.scanner.classifier.nets.values()),
        ):  # fmt: skip
            engine = getattr(owner, name)
            setattr(owner, name, recorders.setdefault(id(engine), Recorder(engine)))
        few()
        self._share = kind.distinct
        self._stacks = [(one.engine, stacks(one.seen)) for one in recorders.values()]

    def __call__(self) -> dict[str, Any]:
        """Run all networks on the input of all fields, full batches on all cores."""
        for engine, stacks in self._stacks:
            for pictures in stacks:
                n = round(len(pictures) * self._fields / self._share)
                for start in range(0, n, _AT_ONCE):
                    wanted = np.arange(start, min(start + _AT_ONCE, n)) % len(pictures)
                    engine.run(pictures[wanted])
        return {"fields": self._fields}


def _place(net: Classifier) -> tuple[object, str]:
    """Where a classifier keeps its network: its own, or the one it shares."""
    return (net.engine, "whole") if isinstance(net.engine, HeadView) else (net, "engine")


class Both:
    """Decoding and networks side by side: neither waits for the other, both have all cores."""

    def __init__(self, folder: Path, kind: Kind, **settings: object) -> None:
        self._decode, self._network = Decode(folder, kind), Network(folder, kind, **settings)

    def __call__(self) -> dict[str, Any]:
        """Do both until both are done."""
        with ThreadPoolExecutor(1) as pool:
            decoding = pool.submit(self._decode)
            told = self._network()
            decoding.result()
        return told


def stacks(seen: list[Pictures]) -> list[Pictures]:
    """Pictures of one shape together."""
    shapes = dict.fromkeys(images.shape[1:] for images in seen)
    return [np.concatenate([i for i in seen if i.shape[1:] == shape]) for shape in shapes]
