"""The nets that a new laboratory is measured with: trained as the shipped ones, but without its cells."""

from dataclasses import dataclass
from pathlib import Path

from smearscan.differential.calibration_card import Calibration, load_calibration
from smearscan.scan.scanner import SmearScanner

TASKS = ("differential", "blast")


@dataclass(frozen=True, slots=True)
class UnseenNets:
    """Both classifiers, and the calibration card that was made of them where they know the sites.

    Attributes
    ----------
    folder : Path
        Holds the pairs ``differential`` and ``blast``, ``differential_unlike`` and ``blast_unlike`` where
        others name slides of unknown stain, and ``calibration.yaml``.
    """

    folder: Path

    @property
    def pairs(self) -> dict[str, Path]:
        """Weights file of each task."""
        every = (*TASKS, *(f"{task}_unlike" for task in TASKS))
        files = {task: self.folder / f"{task}.safetensors" for task in every}
        return {task: file for task, file in files.items() if task in TASKS or file.is_file()}

    @property
    def unlike_pairs(self) -> dict[str, Path]:
        """Weights file of each of :data:`TASKS`, as slides of unknown stain are named."""
        return {task: self.pairs.get(f"{task}_unlike", self.pairs[task]) for task in TASKS}

    @property
    def card(self) -> Path:
        """Calibration card."""
        return self.folder / "calibration.yaml"

    @property
    def calibration(self) -> Calibration:
        """The calibration card, read."""
        return load_calibration(self.card)

    @property
    def scanner(self) -> SmearScanner:
        """A scanner with these nets and all else as shipped."""
        return SmearScanner(calibration=self.card, **self.pairs)
