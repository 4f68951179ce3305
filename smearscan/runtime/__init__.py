"""Devices and inference engines; numpy goes in, numpy comes out, no tensor leaves."""

from smearscan.runtime.batches import usable_cores
from smearscan.runtime.engine import make_engine
from smearscan.runtime.network import Engine, NetworkSpec, Precision

__all__ = ["Engine", "NetworkSpec", "Precision", "make_engine", "usable_cores"]
