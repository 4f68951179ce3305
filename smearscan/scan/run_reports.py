"""From a run folder to the files that people read, slide by slide."""

from pathlib import Path

from smearscan.report.tables import write_cells_csv, write_report_csv, write_summary_csv
from smearscan.scan.run_folder import read_reports, read_run, run_record


def write_run_reports(
    folder: Path,
    *,
    report: Path | None = None,
    cells: Path | None = None,
    summary: Path | None = None,
    page: Path | None = None,
    for_excel: bool = False,
) -> dict[Path, str]:
    """Write the tables and the page of a run, finished or not, each whole or not at all.

    The same run folder gives the same bytes, whether the run went through or was interrupted and resumed.

    Parameters
    ----------
    folder : Path
        Run folder.
    report, cells, summary, page : Path, optional
        ``report.csv``, ``cells.csv``, the short table, the page to print; each written where it is given.
        ``-`` is the standard output.
    for_excel : bool
        Whether the tables begin with the mark by which Excel knows UTF-8.

    Returns
    -------
    dict of Path to str
        What was written, and what it holds in words.

    Raises
    ------
    RunError
        If the folder holds no run, or a damaged one.
    OutputError
        If a place cannot be written to.
    """
    record = run_record(folder)
    done: dict[Path, str] = {}
    if report is not None:
        write_report_csv(lambda: read_reports(folder), report, for_excel)
        done[report] = "report, a row a slide"
    if cells is not None:
        fields = (items for _, items in read_run(folder))
        write_cells_csv(fields, cells, None, str(record.settings["calibration_name"]), for_excel)
        done[cells] = "a row a leukocyte"
    if summary is not None:
        write_summary_csv(read_reports(folder), summary, for_excel)
        done[summary] = "short table, a row a slide"
    if page is not None:
        from smearscan.report.scan_page import write_scan_page  # its templates cost a scan's start

        write_scan_page(read_reports(folder), page)
        done[page] = "page to read and print"
    return done
