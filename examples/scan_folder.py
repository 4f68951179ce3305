"""Scan every slide of a folder.

    python examples/scan_folder.py SLIDES CHARTS

Every sub-folder of SLIDES that holds pictures is a slide. A chart of each slide goes to the folder CHARTS.
"""

import sys
from pathlib import Path

from matplotlib import pyplot as plt

from smearscan import FieldFailure, SmearScanner


def scan(scanner: SmearScanner, slides: Path, charts: Path) -> None:
    """Print a line a slide, name what could not be read, and draw the differential."""
    charts.mkdir(parents=True, exist_ok=True)
    for report, fields in scanner.scan_slides(slides):
        low, high = report.blast_interval
        print(f"{report.slide_id}: {report.differential.total} leukocytes counted, {report.flag.state}")
        if report.is_like_labeled:  # else too many cells have no name for a percentage to mean something
            print(f"  blasts {report.blast_percent:.1f} % ({low:.1f} to {high:.1f})")
        print(f"  {report.flag.reason}")
        for field in fields:
            if isinstance(field, FieldFailure):
                print(f"  not read: {field.reason}")
        axes = report.plot()
        axes.figure.savefig(charts / f"{report.slide_id.replace('/', '_')}.png")
        plt.close(axes.figure)


if __name__ == "__main__":
    scan(SmearScanner(), Path(sys.argv[1]), Path(sys.argv[2]))
