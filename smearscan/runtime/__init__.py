"""Devices and inference engines; numpy goes in, numpy comes out, no tensor leaves."""

from smearscan.runtime.engine import Blueprint, Engine, Precision, make_engine

__all__ = ["Blueprint", "Engine", "Precision", "make_engine"]
