"""The loop a user writes today: an Ultralytics detector, torch classifiers, one crop at a time.

    python -m benchmarks.peer FOLDER --um-per-px 0.0686

It has the same weights, thresholds, crops and naming rule as smearscan; torch keeps its default threads, and
Ultralytics its default picture size, 640 px. What it does not do: measure the scale (it is told), tiles,
batches across fields, intervals.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smearscan.classification.classifier import network_spec
from smearscan.classification.crops import cut_crops
from smearscan.classification.naming import Recalibration
from smearscan.detection import yolo
from smearscan.detection.boxes import as_boxes
from smearscan.differential.calibration_card import load_calibration, naming_rule, shipped_calibration
from smearscan.taxonomy import BLAST, LEUKOCYTE
from smearscan.weights.pairs import DetectorCard, load_weights, shipped


class Peer:
    """Finds and names the leukocytes of a folder of fields of known scale.

    Parameters
    ----------
    folder : Path
        Holds the pictures, or one folder with them.
    um_per_px : float
        Micrometers a pixel.
    imgsz : int, optional
        Longest side the detector sees, a multiple of 32; by default Ultralytics' own default.
    cells : list, optional
        Boxes to name, in place of those found, of each field in turn: our detector has learned cells of
        another size than they have at 640 px and takes platelets and red cells for leukocytes there, each of
        which would cost this loop time. So it is timed as with a detector that finds the same cells.
    threads : int, optional
        Asked of torch before anything is predicted; Ultralytics sets it to one less than there are cores.
    """

    def __init__(
        self, folder: Path, um_per_px: float, imgsz: int | None = None, cells: list[Any] | None = None,
        threads: int | None = None,
    ) -> None:  # fmt: skip
        from ultralytics import YOLO

        if threads is not None:
            torch.set_num_threads(threads)

        self._source = next((p for p in sorted(folder.iterdir()) if p.is_dir()), folder)
        self._um_per_px, self._given = um_per_px, cells
        self._card, tensors = load_weights(shipped("detector"), DetectorCard)
        network = yolo.build(self._card.architecture, len(self._card.classes))
        network.load_state_dict(tensors)
        network.names = dict(enumerate(self._card.classes))
        with TemporaryDirectory() as place:  # as a file, for that is how a user has it
            file = Path(place) / "detector.pt"
            torch.save({"model": network, "train_args": {}}, file)
            self._detector = YOLO(str(file))
        self._size = {} if imgsz is None else {"imgsz": imgsz}
        self._differential = _Net("differential")
        self._blast = _Net("blast")
        calibration = load_calibration(shipped_calibration())
        self._rule = naming_rule(self._differential.card, self._blast.card, calibration)
        for net, task in ((self._differential, "differential"), (self._blast, "blast")):
            if own := calibration.scaling.get(task):
                net.rescale = own.rescaling(net.card.classes)
        self._cells: list[dict[str, Any]] = []

    def __call__(self) -> dict[str, Any]:
        """Read all pictures; tell what was counted."""
        counts: Counter[str] = Counter()
        self._cells = []
        thresholds = self._card.thresholds
        for result in self._detector.predict(
            str(self._source), stream=True, conf=min(thresholds), iou=self._card.nms_iou, verbose=False,
            **self._size,
        ):  # fmt: skip
            label, score = result.boxes.cls.numpy(), result.boxes.conf.numpy()
            xyxy = result.boxes.xyxy.numpy()[(label == LEUKOCYTE) & (score >= thresholds[LEUKOCYTE])]
            if self._given is not None:
                xyxy = as_boxes(self._given[len(self._cells) % len(self._given)])
            image = np.ascontiguousarray(result.orig_img[:, :, ::-1])  # OpenCV's BGR
            kinds = self._differential.probs(image, xyxy, self._um_per_px)
            blasts = self._blast.probs(image, xyxy, self._um_per_px)
            types = self._rule.names(kinds, blasts[:, self._blast.card.classes.index(BLAST)])
            counts.update(types)
            self._cells.append({"xyxy": xyxy.round(2).tolist(), "types": list(types)})
        return {"fields": len(self._cells), "types": dict(counts)}

    def cells(self) -> list[dict[str, Any]]:
        """Tell boxes, field pixels, and names of the leukocytes of each field of the last run."""
        return self._cells


class _Net:
    """A torch classifier that is shown one crop at a time."""

    def __init__(self, task: str) -> None:
        self.card, made = network_spec(shipped(task))
        self.rescale = Recalibration()
        self._network = made.build().eval()

    def probs(
        self, image: NDArray[np.uint8], xyxy: NDArray[np.float32], um_per_px: float
    ) -> NDArray[np.float32]:
        rows = np.empty((len(xyxy), len(self.card.classes)), np.float32)
        crops = cut_crops(image, xyxy, um_per_px, self.card.crop_um, self.card.crop_px)
        with torch.inference_mode():
            for i, crop in enumerate(crops):
                logits = self._network(torch.from_numpy(crop)[None])
                rows[i] = torch.softmax(logits / self.card.temperature, dim=1)[0].numpy()
        return self.rescale(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--um-per-px", type=float, required=True)
    parser.add_argument("--imgsz", type=int)
    parser.add_argument("--boxes", type=Path, help="JSON: boxes of each field, in place of those found")
    asked = parser.parse_args()
    given = json.loads(asked.boxes.read_text()) if asked.boxes else None
    print(json.dumps(Peer(asked.folder, asked.um_per_px, asked.imgsz, given)()["types"]))


if __name__ == "__main__":
    main()
