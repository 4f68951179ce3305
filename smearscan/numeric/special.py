"""Scipy's special functions without what the package imports beside them.

``import scipy.special`` takes an eighth of the time of a scan of one field: it wraps every function for
arrays of other libraries, and takes over all of numpy for that. The functions themselves are compiled, in one
module of it, which takes a tenth of that time.
"""

import importlib.util
import sys
from functools import cache
from importlib import import_module
from threading import RLock
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PACKAGE, _COMPILED = "scipy.special", "scipy.special._ufuncs"
_loading = RLock()


class _Unloaded(ModuleType):
    """A package of which so far only parts were imported; whoever asks for more of it loads it whole."""

    def __getattr__(self, name: str) -> Any:
        with _loading:  # another thread waits here until it is loaded
            if isinstance(self, _Unloaded) and not vars(self).get("_is_being_loaded"):
                vars(self)["_is_being_loaded"] = True
                try:
                    loader = self.__spec__.loader if self.__spec__ else None
                    assert loader is not None
                    loader.exec_module(self)
                    self.__class__ = ModuleType  # type: ignore[assignment]
                finally:
                    del vars(self)["_is_being_loaded"]
            return ModuleType.__getattribute__(self, name)


@cache
def special() -> Any:
    """Give a module with scipy's special functions of numbers: ``special().betaincinv`` and others.

    They are those of ``scipy.special``, which anybody may import before and after.
    """
    with _loading:
        if _PACKAGE not in sys.modules and (spec := importlib.util.find_spec(_PACKAGE)) is not None:
            package = importlib.util.module_from_spec(spec)
            package.__class__ = _Unloaded
            sys.modules[_PACKAGE] = package
        try:
            return import_module(_COMPILED)
        except ImportError:  # of a version that keeps them elsewhere
            return import_module(_PACKAGE)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Turn logits (N, K) into probabilities, rows of sum 1, of the same precision: scipy's, to the bit."""
    shifted = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    return np.asarray(shifted / np.sum(shifted, axis=1, keepdims=True))
