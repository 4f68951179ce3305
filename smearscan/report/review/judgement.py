"""What the page needs to judge counts as Python does: classes, rule, naming errors and the drawn matrices."""

import base64
from dataclasses import asdict
from typing import Any

import numpy as np

from smearscan.flag import FlagRule
from smearscan.statistics import correction
from smearscan.statistics.errors import NamingErrors
from smearscan.statistics.excess import _reference
from smearscan.taxonomy import BLAST

DRAWS, SEED = 1000, 0


def judgement(task: str, counted: tuple[str, ...], rule: FlagRule, errors: NamingErrors | None) -> dict[str, Any]:
    return {
        "task": task,
        "counted": list(counted),
        "rule": asdict(rule),
        "errors": None if errors is None else naming_errors(errors),
    }


def naming_errors(errors: NamingErrors) -> dict[str, Any]:
    inverse, weight, drawn = correction._possible(errors, DRAWS, SEED)
    mean_inverse, mean_weight = correction._inverse(correction._as_named(errors.mean[None], errors), errors.mean_recall[None])
    ways = np.asarray(inverse * weight[:, None, :], "<f4")
    return {
        "classes": list(errors.classes),
        "labeled": errors.labeled.tolist(),
        "mean": errors.mean.tolist(),
        "called_blast": errors.called_blast.tolist(),
        "concentration": errors.concentration.tolist(),
        "variation_high": errors.variation_high,
        "reference": _reference(errors, errors.classes.index(BLAST)).tolist(),
        "unidentified": correction.unidentified(errors),
        "mean_inverse": mean_inverse[0].tolist(),
        "mean_weight": mean_weight[0].tolist(),
        "draws": DRAWS,
        "ways": base64.b64encode(ways.tobytes()).decode(),
        "generator": _state(drawn),
    }


def _state(drawn: dict[str, Any]) -> dict[str, Any]:
    def words(value: int) -> list[int]:
        return [(value >> shift) & 0xFFFFFFFF for shift in (96, 64, 32, 0)]

    inner = drawn["state"]
    return {
        "state": words(inner["state"]),
        "inc": words(inner["inc"]),
        "has": drawn["has_uint32"],
        "kept": drawn["uinteger"],
    }
