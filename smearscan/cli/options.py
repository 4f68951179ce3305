"""What several commands share: types of options, whose weights are given, how figures are shown."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from smearscan.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., object])

PATH = click.Path(path_type=Path)
JSON = click.option("--out", type=PATH, help="JSON file to write the figures to, too.")


def machine(command: Command) -> Command:
    """Add ``--device``, ``--engine`` and ``--precision``: what the networks run on."""
    command = click.option(
        "--precision",
        type=click.Choice(["f32", "bf16"]),
        help="bf16: quicker classifiers where the processor has it, doubtful cells in f32. Default: bf16.",
    )(command)
    engines = "auto, openvino, onnxruntime, tensorrt or torch. Default: auto."
    command = click.option("--engine", help=engines)(command)
    return click.option("--device", help="auto, cpu, cuda, cuda:1 or mps. Default: auto.")(command)


def train_on(command: Command) -> Command:
    """Add ``--device`` of a training."""
    return click.option(
        "--device", default="cpu", show_default=True,
        help="What to train on: cpu, cuda, cuda:1, mps or auto. A seed gives one net on each kind of "
        "device.",
    )(command)  # fmt: skip


def only_place(given: tuple[Path, ...], command: str) -> Path:
    """Return the one folder or file that a command reads; a shell's ``*`` gives several.

    Raises
    ------
    ConfigError
        Naming the folder that they lie in, if there are several.
    """
    if len(given) == 1:
        return given[0]
    parents = {place.parent for place in given}
    where = str(parents.pop()) if len(parents) == 1 else "FOLDER"
    raise ConfigError(
        f"{given[0]}, {given[1]}{' ...' if len(given) > 2 else ''}: {len(given)} folders or files were "
        f"given, and one is read, with all in it; give the folder above them: smearscan {command} {where}; "
        "or, for some of its folders alone, a folder with links to these"
    )


def show(figures: Any, out: Path | None) -> None:
    """Print figures as JSON, and write them to a file where one is given."""
    from smearscan.report.figures import json_of_figures

    click.echo(json_of_figures(figures), nl=False)
    if out:
        write_figures(out, figures)


def write_figures(out: Path, figures: Any) -> None:
    """Write figures as JSON to a file."""
    from smearscan.report.figures import json_of_figures

    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json_of_figures(figures), encoding="utf-8")


def writable(file: Path, option: str) -> None:
    """Refuse a table's place before the work that it would end.

    Raises
    ------
    ConfigError
        If it is a folder, or cannot be written to.
    """
    if file.is_dir():
        name = option.strip("-").replace("out", "report")
        raise ConfigError(
            f"{file}: is a folder; {option} is the CSV file to write, for example {file}/{name}.csv"
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise ConfigError(
            f"{file}: {option} cannot be written there ({error.strerror}); give another place"
        ) from error


def replace_section(file: Path, marker: str, text: str) -> None:
    """Put text after a marker of a Markdown file, in place of what stood up to the next heading or marker.

    Raises
    ------
    ConfigError
        If the file cannot be read or has no such marker.
    """
    try:
        before, found, rest = file.read_text(encoding="utf-8").partition(marker)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error
    if not found:
        raise ConfigError(f"{file}: has no line {marker!r}; put it where the table belongs")
    ends = [at for word in ("\n## ", "\n<!-- ") if (at := rest.find(word)) >= 0]
    after = rest[min(ends) :] if ends else ""
    file.write_text(f"{before}{marker}\n\n{text}{after}", encoding="utf-8")


def stages(pairs: tuple[Path, ...]) -> dict[str, Path]:
    """Tell by its card which stage each given weights pair is for."""
    from smearscan.weights.pairs import load_any_card, stage_of

    found: dict[str, Path] = {}
    for pair in pairs:
        stage = stage_of(load_any_card(pair))
        if stage in found:
            raise ConfigError(f"--weights: {found[stage]} and {pair} are both for the {stage}; give one")
        found[stage] = pair
    return found


def namers(pairs: tuple[Path, ...]) -> dict[str, Path]:
    """Tell which pairs name cells where these are given: ``differential`` and ``blast``, else as shipped.

    ``TASK_unlike`` is there where others name slides of unknown stain.
    """
    from smearscan.config import scan_config
    from smearscan.scan.unlike_nets import unlike_pairs
    from smearscan.weights.pairs import shipped

    given = stages(pairs)
    tasks = ("blast", "differential")
    others = unlike_pairs(scan_config(**given))
    unlike = {f"{task}_unlike": others[task] for task in tasks if task in others}
    return {task: given.get(task, shipped(task)) for task in tasks} | unlike
