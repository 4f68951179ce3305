"""``smearscan merge``."""

import sys
from pathlib import Path

import click

from smearscan.cli.options import PATH


@click.command("merge")
@click.argument("parts", type=PATH, nargs=-1, required=True)
@click.option("--out", required=True, help="Report to write, CSV, one row a slide; a folder; - for stdout.")
@click.option("--cells", type=PATH, help="Table of every leukocyte to write, CSV.")
@click.option("--summary", type=PATH, help="Short table to write, CSV: the twelve columns people look at.")
@click.option("--html", "page", type=PATH, help="Page to read and print, one screen a slide.")
@click.option("--run", type=PATH, help="Run folder to make of all. Default: beside --out, NAME.run.")
@click.option("--excel", is_flag=True, help="Begin the CSV files with the mark by which Excel knows UTF-8.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def command(
    parts: tuple[Path, ...], out: str, cells: Path | None, summary: Path | None, page: Path | None,
    run: Path | None, excel: bool, quiet: bool,
) -> None:  # fmt: skip
    """Put PARTS together: the run folders of every part of 'smearscan run --shard'.

    The tables are the same to the byte as those of one run of all slides. Exports and the page to review are
    made of the new run folder, by 'smearscan export' and 'smearscan review'. Exit code 1: some fields could
    not be read, in any part; each is named.
    """
    from smearscan.cli.console import voice
    from smearscan.cli.run_scan import judged
    from smearscan.cli.run_targets import find_targets
    from smearscan.errors import ConfigError
    from smearscan.report.tables import STDOUT
    from smearscan.scan.merge import merge_runs
    from smearscan.scan.run_reports import write_run_reports

    targets = find_targets(out, parts[0], run=run, cells=cells, summary=summary, page=page)
    if targets.run is None:
        raise ConfigError("--out: with the report on a pipe, give the run folder to make with --run")
    if targets.run.resolve() in {part.resolve() for part in parts}:
        raise ConfigError(f"{targets.run}: is one of the parts; give another folder with --run")
    say = voice(quiet)
    merge_runs(parts, targets.run)
    done = write_run_reports(
        targets.run, report=targets.report, cells=targets.cells, summary=targets.summary,
        page=targets.page, for_excel=excel,
    )  # fmt: skip
    for path, what in done.items():
        if path != STDOUT:
            say(targets.written(path, what))
    sys.exit(judged(targets.run, None, say).exit_code)
