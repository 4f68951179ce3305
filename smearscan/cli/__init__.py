"""Command line. Each command lives in its own file, loaded only when called, so that --help is quick."""

import atexit
import gc
import os
from importlib import import_module

import click

from smearscan import __version__
from smearscan.errors import SmearscanError

# command -> (module, help line); the help stands here so that listing commands imports nothing
_COMMANDS = {
    "run": ("run", "Scan slides and write report.csv."),
    "classify": ("classify", "Name cells that are already cut."),
    "demo": ("demo", "Draw synthetic smears, scan them, write every report."),
    "train": ("train", "Retrain the detector or a classifier."),
    "evaluate": ("evaluate", "Measure the detector, a classifier or the whole pipeline."),
    "crossval": ("crossval", "Score a classifier by hold-out, k-fold or leave-one-dataset-out."),
    "compare": ("compare", "Train systems side by side and print one table of them."),
    "features": ("features", "Tell whether a net's features separate classes, or rather sites."),
    "calibrate": ("calibrate", "Fit probabilities and error rates to labeled cells of a site."),
    "validate": ("validate", "Compare reports with counts by hand."),
    "dataset": ("dataset", "Prepare training manifests from data sets."),
    "review": ("review", "Write the page to review, correct and sign an earlier run."),
    "export": ("export", "Write files for other tools of an earlier run."),
    "corrections": ("corrections", "Turn what people corrected on the review page into training sets."),
    "merge": ("merge", "Put the parts of a run of several machines together."),
    "weights": ("weights", "List and verify weights."),
    "doctor": ("doctor", "Tell what this installation would run on."),
}


# What modules make while they load lives to the end. To search it for garbage after every 700 new objects,
# and once more when the process ends, is a tenth of the time of a short scan.
gc.disable()  # until the command is loaded
gc.set_threshold(50_000)
atexit.register(gc.freeze)
# Pydantic looks through every installed package for plugins of its own, of which none is used here.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

_SCANS = {"run", "classify"}


class _Refused(click.ClickException):
    exit_code = 2


class Refusing(click.Group):
    """Shows what this package refuses as one sentence, with exit code 2."""

    def invoke(self, ctx: click.Context) -> object:
        """Invoke as :class:`click.Group` does."""
        try:
            return super().invoke(ctx)
        except SmearscanError as error:
            raise _Refused(str(error)) from error


class _Lazy(Refusing):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        if name in _SCANS:
            # Of linear algebra a scan has a few small matrices; the threads that numpy would start for it
            # wait busily for work, a twentieth of the time of a short scan.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        command: click.Command = import_module(f"smearscan.cli.{_COMMANDS[name][0]}").command
        gc.freeze()
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="smearscan")
def main() -> None:
    """Read photographs of stained blood smears: find leukocytes, name them, count them.

    A research aid that suggests, never a diagnosis.
    """
