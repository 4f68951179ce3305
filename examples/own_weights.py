"""Scan a field with weights of your own.

    python examples/own_weights.py FIELD PAIR [PAIR ...]

A PAIR is the NAME.safetensors that `smearscan train` wrote, with NAME.yaml beside it. Stages that no pair is
given for are the shipped ones.
"""

import sys
from pathlib import Path

from smearscan import SmearScanner
from smearscan.weights import load_any_card, stage_of


def scanner_of(pairs: list[Path]) -> SmearScanner:
    """Put each pair in the place that its card names."""
    stages = {stage_of(load_any_card(pair)): pair for pair in pairs}
    for stage, pair in stages.items():
        print(f"{stage}: {pair}")
    return SmearScanner(**stages)


if __name__ == "__main__":
    scanner = scanner_of([Path(pair) for pair in sys.argv[2:]])
    print(scanner.weights)
    for cell in scanner.analyze(sys.argv[1]):
        print(cell.type, f"{cell.type_probability:.2f}", cell.xyxy)
