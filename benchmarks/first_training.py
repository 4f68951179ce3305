"""Times 200 pictures in five folders to a network in use: python -m benchmarks.first_training.

Lays 40 pictures of each of five classes of the set pbc into folders, trains a classifier of them from the
shipped one as docs/retrain_classifier.md says, and names 50 other pictures with it. The shipped network has
learned cells of that set: times are told here, no accuracy.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from benchmarks.machine import described, in_words
from smearscan.weights import shipped

CLASSES = ("neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil")
LEARNED, NAMED = 40, 10
"""Pictures of each class that are learned from, and that are named afterwards."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    data = parser.parse_args().data
    print(in_words(described()))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(data / "pbc", folder)
        pair = folder / "out" / "mine.safetensors"
        start = shipped("differential")
        took(
            "train",
            "classifier",
            folder / "learned",
            "--name",
            "mine",
            "--start",
            start,
            "--out",
            pair.parent,
        )
        took(
            "classify",
            folder / "named",
            "--out",
            folder / "cells.csv",
            "--task",
            "differential",
            "--weights",
            pair,
        )


def lay_out(pbc: Path, folder: Path) -> None:
    """Copy pictures, evenly spread over each class, into a folder a class."""
    index = pd.read_csv(pbc / "index.csv")
    for kind in CLASSES:
        images = index.loc[index["class"] == kind, "image"].tolist()
        chosen = images[:: len(images) // (LEARNED + NAMED)][: LEARNED + NAMED]
        for part, some in (("learned", chosen[:LEARNED]), ("named", chosen[LEARNED:])):
            (folder / part / kind).mkdir(parents=True)
            for image in some:
                shutil.copy(pbc / image, folder / part / kind)


def took(*words: object) -> None:
    """Run a command as a user would; print its wall time, and its processors' time, which is its own."""
    asked = [str(word) for word in words]
    begin, busy = time.perf_counter(), _busy()
    subprocess.run([Path(sys.executable).with_name("smearscan"), *asked], check=True)
    wall = time.perf_counter() - begin
    print(f"smearscan {asked[0]}: {wall:.0f} s wall, {_busy() - busy:.0f} s of processors")


def _busy() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
