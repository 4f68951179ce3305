"""Look at a report of many slides with pandas.

    python examples/summarize.py report.csv

Percentages of a slide of which many cells have no name say little: such slides are counted apart.
"""

import sys

import pandas as pd

MOST_UNNAMED = 33.0
"""Percent of leukocytes without a name; above it the networks do not know such slides."""


def summarize(report: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tables of a report: slides by flag, mean percentages of the slides that are known, what to look at."""
    asked = report["n_counted"] + report["n_unclassified"]
    unnamed = 100 * report["n_unclassified"] / asked.where(asked > 0)
    known = report[unnamed <= MOST_UNNAMED]
    percent = [c for c in report if c.endswith("_percent") and "corrected" not in c and "detectable" not in c]
    columns = ["slide", "flag", "n_counted", "blast_percent", "blast_low", "blast_high"]
    return {
        "slides by flag": report.groupby("flag", as_index=False).size(),
        "percentages of known slides": known[percent].describe().T[["count", "mean", "min", "max"]].round(1),
        "to look at": report.loc[(report["flag"] != "not flagged") | (unnamed > MOST_UNNAMED), columns],
    }


if __name__ == "__main__":
    for title, table in summarize(pd.read_csv(sys.argv[1])).items():
        print(f"\n{title}\n{table.to_string()}")
