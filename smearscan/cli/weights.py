"""``smearscan weights``."""

from pathlib import Path

import click


@click.group("weights")
def command() -> None:
    """Look after weights pairs, NAME.safetensors + NAME.yaml, and the shipped calibration card."""


@command.command("list")
def list_() -> None:
    """List the shipped weights."""
    from smearscan.differential.calibration_card import load_calibration, shipped_calibration
    from smearscan.weights.pairs import load_any_card, shipped_folder

    for path in sorted(shipped_folder("weights").glob("*.safetensors")):
        card = load_any_card(path)
        click.echo(
            f"{card.name:19s} {card.stage:10s} {card.architecture:16s} {card.short_hash}  "
            f"{', '.join(card.classes)}"
        )
    own = load_calibration(shipped_calibration())
    nets = ", ".join(f"{task}:{sha256[:12]}" for task, sha256 in own.networks.items())
    click.echo(f"{own.name:19s} calibration of {nets}")


@command.command("show")
@click.argument("pair", type=click.Path(path_type=Path))
def show(pair: Path) -> None:
    """Tell in words what PAIR (a shipped name, as 'blast', or a file) is: for what, how good, its limits."""
    from smearscan.weights.card_summary import card_summary
    from smearscan.weights.pairs import load_any_card, shipped

    known = pair if pair.suffix or pair.parent != Path() else shipped(str(pair))
    card = load_any_card(known)
    for line in card_summary(card, threshold_in_force(card.sha256)):
        click.echo(line)


def threshold_in_force(sha256: str) -> float | None:
    """Blast threshold that the shipped calibration card gives a network; None if it is not that card's."""
    from smearscan.differential.calibration_card import load_calibration, shipped_calibration

    own = load_calibration(shipped_calibration())
    return own.threshold if own.networks.get("blast") == sha256 else None


@command.command("verify")
@click.argument("pairs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), help="Public key, PEM: check signatures, too.")
def verify(pairs: tuple[Path, ...], key: Path | None) -> None:
    """Check each of PAIRS (default: the shipped ones) against the hash of its card, and who signed it.

    A calibration card stands alone; its signature is checked.
    """
    from smearscan.differential.calibration_card import load_calibration, shipped_calibration
    from smearscan.errors import WeightsError
    from smearscan.weights import signature
    from smearscan.weights.pairs import ClassifierCard, load_card, shipped, shipped_folder

    for pair in pairs or sorted(shipped_folder("weights").glob("*.safetensors")):
        click.echo(_intact(pair))
        if key is not None:
            signature.verify(pair, key)
            click.echo(f"{signature.signature_file(pair)}: signed by the owner of {key}")
    if not pairs:
        tasks = ("blast", "differential", "blast_unlike", "differential_unlike")
        nets = {task: load_card(shipped(task), ClassifierCard).sha256 for task in tasks}
        own = load_calibration(shipped_calibration())
        if not own.belongs_to(nets):
            raise WeightsError(f"{shipped_calibration()}: was made with other networks than the shipped ones")
        click.echo(f"{own.name}: belongs to the shipped nets")


@command.command("sign")
@click.argument("pairs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Private key, Ed25519, PEM.")
def sign(pairs: tuple[Path, ...], key: Path) -> None:
    """Sign each of PAIRS, once it is found intact, or calibration cards: writes NAME.yaml.sig beside it."""
    from smearscan.weights import signature

    for pair in pairs:
        click.echo(_intact(pair))
        click.echo(f"written: {signature.sign(pair, key)}")


def _intact(pair: Path) -> str:
    """Check a pair, or a calibration card, and say what was found."""
    from smearscan.classification.classifier import Pair
    from smearscan.differential.calibration_card import load_calibration
    from smearscan.weights.pairs import ClassifierCard, load_any_card, read_pair
    from smearscan.weights.tensors import arrays_of, pair_file

    if pair.suffix == ".yaml" and not pair_file(pair, ".safetensors").exists():
        return f"{load_calibration(pair).name}: a calibration card"
    card, data = read_pair(pair, type(load_any_card(pair)))
    arrays_of(data, pair)
    if isinstance(card, ClassifierCard):
        _ = Pair(pair, card).trees  # read and checked
    return f"{card.name}: intact, sha256 {card.sha256}"


@command.command("import")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write, .safetensors.")
def import_(checkpoint: Path, out: Path) -> None:
    """Take the numbers out of CHECKPOINT, Ultralytics' .pt file, to start a training of the detector from.

    A .pt file is a program that its reader runs. Here it is read as a list of numbers: a checkpoint that
    names anything but the parts of a network is refused, and nothing of what it names is run.
    """
    from smearscan.detection.checkpoint import import_checkpoint

    n = import_checkpoint(checkpoint, out)
    click.echo(f"written: {out}: {n} tensors of {checkpoint}, of which nothing was run")
    click.echo(f"start from it: smearscan train detector --start {out}", err=True)


@command.command("export")
@click.argument("pair", required=False, type=click.Path(path_type=Path))
@click.option("--task", type=click.Choice(["blast", "differential"]), help="A shipped classifier.")
@click.option("--detector", "shipped_detector", is_flag=True, help="The shipped detector.")
@click.option("--format", "form", type=click.Choice(["onnx", "openvino", "torchscript"]), required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File to write: .onnx, .xml or .pt."
)
def export_(pair: Path | None, task: str | None, shipped_detector: bool, form: str, out: Path) -> None:
    """Write PAIR (or a shipped one) as a model for other programs, with a copy of its card.

    It takes (B, H, W, 3) uint8 RGB and gives a classifier's logits, (B, K), or a detector's boxes,
    (B, 4 + K, A): center xywh in pixels and probabilities. OUT is read back and compared with torch.
    """
    from smearscan.classification import classifier
    from smearscan.detection import detector
    from smearscan.errors import ConfigError
    from smearscan.runtime.export import export
    from smearscan.weights.card_summary import card_summary
    from smearscan.weights.pairs import ClassifierCard, DetectorCard, load_any_card, save_card, shipped

    given = [pair, shipped(task) if task else None, shipped("detector") if shipped_detector else None]
    wanted = [path for path in given if path is not None]
    if len(wanted) != 1:
        raise ConfigError("weights export: give one of PAIR, --task and --detector")
    source = wanted[0]
    stage = detector if isinstance(load_any_card(source), DetectorCard) else classifier
    card, network = stage.network_spec(source)
    apart = export(network, form, out)
    save_card(beside := out.with_name(f"{out.name}.yaml"), card)
    words = out.with_name(f"{out.name}.txt")
    text = "\n".join(card_summary(card, threshold_in_force(card.sha256)))
    words.write_text(f"{text}\n", encoding="utf-8")
    click.echo(f"written: {out}, {beside} and, how it is used, {words}; differs from torch in {apart}")
    if isinstance(card, ClassifierCard) and card.trees:
        click.echo(
            f"not in {out}: the trees of {source.name}, by a cell's measured form; it answers as the network "
            "alone does, so other names than a scan's are to be expected",
            err=True,
        )
