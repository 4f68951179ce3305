"""``smearscan review``."""

import sys
from pathlib import Path

import click

from smearscan.cli.options import PATH


@click.command("review")
@click.argument("run", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder for the page.")
@click.option("--pictures", type=PATH, required=True, help="The folder or picture that was scanned.")
@click.option("--fields/--no-fields", default=True, help="Embed the photographs, or their cells alone.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors; the exit code tells the rest.")
def command(run: Path, out: Path, pictures: Path, fields: bool, quiet: bool) -> None:
    """Write the page to review, correct and sign RUN, the folder that 'smearscan run' left (NAME.run).

    The same page as of 'smearscan run --review'. Exit code 1: some pictures are gone or not those that were
    scanned; each is named, and its cells are in the page without it.
    """
    from smearscan.cli.after_scan import check_run, make_review
    from smearscan.cli.console import voice
    from smearscan.errors import ConfigError

    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; --out is a folder")
    say = voice(quiet)
    check_run(run, pictures, say)
    sys.exit(int(make_review(out, run, pictures, say, with_fields=fields) > 0))
