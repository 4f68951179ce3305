"""The networks that help to name cells of slides of unknown stain, loaded when the first such slide comes."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from smearscan.classification.classifier import Classifier, Pair
from smearscan.classification.shared_trunk import load_classifiers
from smearscan.config import ScanConfig
from smearscan.weights.pairs import ClassifierCard, shipped

USUAL = ("differential", "blast", "cells")
"""Tasks that others, ``TASK_unlike``, may answer, too, on slides that are brought to the reference stain."""


class UnlikeNets:
    """Networks that answer beside the usual ones, by their task: the mean of both logits counts.

    Attributes
    ----------
    cards : dict of str to ClassifierCard
        Known from the beginning; empty where the usual networks alone name all slides.
    """

    def __init__(
        self, cards: Mapping[str, ClassifierCard], load: Callable[[], Mapping[str, Classifier]]
    ) -> None:
        self.cards, self._load = dict(cards), load

    @classmethod
    def read(cls, pairs: Mapping[str, Path], config: ScanConfig) -> "UnlikeNets":
        """Read and verify pairs, by the task that they answer; device, engine and precision are the scan's.

        Raises
        ------
        WeightsError
            If a pair is missing, altered or no classifier's.
        """

        def load() -> dict[str, Classifier]:
            files = list(pairs.values())
            nets = load_classifiers(files, config.device, config.engine, config.precision)
            return {task: net.answering(task) for task, net in zip(pairs, nets, strict=True)}

        return cls({task: Pair.read(path).card.answering(task) for task, path in pairs.items()}, load)

    @cached_property
    def nets(self) -> dict[str, Classifier]:
        """The networks, loaded when they are first asked for."""
        return dict(self._load())


NO_OTHERS = UnlikeNets({}, dict)


def unlike_pairs(config: ScanConfig) -> dict[str, Path]:
    """Find the pairs that help with slides of unknown stain, by the task they answer; empty: there are none.

    Those given; the shipped ones beside the shipped differential and blast net, for these belong together.
    """
    if not config.reference_stain:
        return {}
    usual = {"differential": config.differential, "blast": config.blast}
    are_shipped = all(
        path is None or path.resolve() == shipped(task).resolve() for task, path in usual.items()
    )
    found: dict[str, Path] = {}
    for task in USUAL:
        given: Path | None = getattr(config, f"{task}_unlike")
        own = shipped(f"{task}_unlike")
        runs = config.task == "both" or config.task == task
        if given or (runs and are_shipped and own.is_file()):
            found[task] = given or own
    return found
