"""What pages and exports tell of a run besides its cells, kept in its run folder as ``facts.json``."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from smearscan.errors import RunError
from smearscan.io.atomic import write_text
from smearscan.report.run_facts import RunFacts
from smearscan.scan.scanner import SmearScanner
from smearscan.scan.slide_file import converter

if TYPE_CHECKING:
    from cattrs import Converter

_NAME = "facts.json"


def facts_of(scanner: SmearScanner) -> RunFacts:
    """Gather what pages and exports tell of the scanner that makes a run."""
    cards = [scanner.detector.card, *scanner.classifier.cards.values()]
    return RunFacts.of(scanner.config, cards, scanner.classifier.calibration)


def keep_facts(folder: Path, facts: RunFacts, *, resumed: bool) -> None:
    """Write a run's facts into its folder; a run that is gone on with keeps the time of its beginning.

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """
    if resumed and (folder / _NAME).exists():
        try:
            if read_facts(folder).digest() == facts.digest():
                return
        except RunError:
            pass  # damaged: written anew
    write_text(folder / _NAME, json.dumps(_converter().unstructure(facts), indent=1) + "\n")


def read_facts(folder: Path) -> RunFacts:
    """Restore the facts of a run, every number to the last bit.

    Raises
    ------
    RunError
        If the folder holds none, or they are damaged.
    """
    from cattrs import BaseValidationError

    file = folder / _NAME
    try:
        return _converter().structure(json.loads(file.read_text(encoding="utf-8")), RunFacts)
    except FileNotFoundError as error:
        raise RunError(
            f"{file}: is not there; scan again with --resume: slides that did not change are kept"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BaseValidationError) as error:
        raise RunError(
            f"{file}: is damaged or was written by another version of smearscan; scan again with --resume"
        ) from error


def _array(value: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": value.dtype.newbyteorder("<").str, "values": value.tolist()}


def _structured(value: Mapping[str, Any], _: Any) -> NDArray[Any]:
    dtype = np.dtype(value["dtype"])
    if dtype.kind not in "biuf":
        raise TypeError(f"an array of numbers was expected, not {dtype}")
    return np.array(value["values"], dtype)


def _is_pydantic(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


@cache
def _converter() -> "Converter":
    made = converter(_array, _structured)
    made.register_unstructure_hook_func(_is_pydantic, lambda model: model.model_dump(mode="json"))
    made.register_structure_hook_func(_is_pydantic, lambda value, kind: kind.model_validate(value))
    return made
