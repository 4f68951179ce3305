"""Devices and inference engines; numpy goes in, numpy comes out, no tensor leaves."""

from smearscan.runtime.engine import Asked, Blueprint, Engine, make_engine

__all__ = ["Asked", "Blueprint", "Engine", "make_engine"]
