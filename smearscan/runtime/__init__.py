"""Devices and inference engines; numpy goes in, numpy comes out, no tensor leaves."""

from smearscan.runtime.engine import Engine, make_engine

__all__ = ["Engine", "make_engine"]
