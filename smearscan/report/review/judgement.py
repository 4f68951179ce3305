"""What the page needs to judge counts as Python does: classes, rule, naming errors and the drawn matrices.

``web/src/statistics`` repeats the arithmetic of :mod:`smearscan.differential` with these numbers, down to the
random ones; a test compares both on thousands of counts.
"""

import base64
from dataclasses import asdict
from typing import Any

import numpy as np

from smearscan.differential.flag import FlagRule
from smearscan.differential.statistics.blast_excess import reference_shares
from smearscan.differential.statistics.correction import Corrector, unidentified
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.taxonomy import BLAST


def judgement(
    task: str, counted: tuple[str, ...], rule: FlagRule, errors: MisclassificationModel | None,
    unlike: MisclassificationModel | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return block ``by`` of the page.

    Parameters
    ----------
    task : str
        ``both``, ``blast`` or ``differential``.
    counted : tuple of str
        Classes of the denominator.
    rule : FlagRule
    errors : MisclassificationModel or None
        None where it is not known how the nets err: then a percentage decides.
    unlike : MisclassificationModel, optional
        Of slides that were brought to the reference stain, where these have errors of their own.
    """
    told = {"errors": errors and _errors(errors), "unlike": unlike and _errors(unlike)}
    return {"task": task, "counted": list(counted), "rule": asdict(rule), **told}


def _errors(errors: MisclassificationModel) -> dict[str, Any]:
    corrector = Corrector(errors)
    return {
        "classes": list(errors.classes),
        "labeled": errors.labeled.tolist(),
        "of_site": bool(errors.site.any()),
        "mean": errors.mean.tolist(),
        "called_blast": errors.called_blast.tolist(),
        "concentration": errors.concentration.tolist(),
        "variation_high": errors.overdispersion_high,
        "reference": reference_shares(errors, np.array(errors.classes) == BLAST).tolist(),
        "unidentified": unidentified(errors),
        "mean_inverse": corrector.mean_inverse.tolist(),
        "mean_weight": corrector.mean_weight.tolist(),
        "draws": len(corrector.weighted_inverses),
        "ways": base64.b64encode(np.asarray(corrector.weighted_inverses, "<f4").tobytes()).decode(),
        "generator": _generator(corrector.generator_state),
    }


def _generator(state: dict[str, Any]) -> dict[str, Any]:
    """State of numpy's PCG64 in words of 32 bits, from high to low."""

    def words(value: int) -> list[int]:
        return [(value >> shift) & 0xFFFFFFFF for shift in (96, 64, 32, 0)]

    inner = state["state"]
    return {
        "state": words(inner["state"]),
        "inc": words(inner["inc"]),
        "has": state["has_uint32"],
        "kept": state["uinteger"],
    }
