"""``smearscan export``."""

import sys
from pathlib import Path

import click

from smearscan.cli.options import PATH


@click.command("export")
@click.argument("run", type=PATH)
@click.option(
    "--export", "kinds", required=True, help="coco, yolo, geojson, parquet, fhir, contact, map, by commas."
)
@click.option("--out", type=PATH, help="Folder to write to. Default: 'exports' beside the run folder.")
@click.option("--pictures", type=PATH, help="The folder or picture that was scanned; for contact sheets.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors; the exit code tells the rest.")
def command(run: Path, kinds: str, out: Path | None, pictures: Path | None, quiet: bool) -> None:
    """Write files for other tools of RUN, the folder that 'smearscan run' left (NAME.run).

    The same files as of 'smearscan run --export'. Exit code 1: some pictures of contact sheets are gone or
    not those that were scanned; each is named.
    """
    from smearscan.cli.after_scan import check_run, export_kinds, make_exports, need_pictures
    from smearscan.cli.console import voice
    from smearscan.errors import ConfigError

    wanted = export_kinds(kinds)
    if not wanted:
        raise ConfigError("--export: names no kind of file; give one or more, by commas")
    out = out or run.parent / "exports"
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; --out is a folder")
    if (drawn := need_pictures(wanted)) and pictures is None:
        raise ConfigError(f"--export {drawn[0]} reads the photographs again: give their folder as --pictures")
    say = voice(quiet)
    check_run(run, pictures, say)
    sys.exit(int(make_exports(out, wanted, run, pictures, say) > 0))
