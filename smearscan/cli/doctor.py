"""``smearscan doctor``."""

import platform
from importlib.metadata import PackageNotFoundError, version

import click


@click.command("doctor")
def command() -> None:
    """Tell versions, devices, the engine that would be used and whether the shipped weights are intact."""
    import torch

    from smearscan import __version__
    from smearscan.runtime.engine import choose_device
    from smearscan.scanner import SmearScanner

    click.echo(f"smearscan {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for name in ("torch", "torchvision", "ultralytics", "openvino", "opencv-python"):
        try:
            click.echo(f"{name} {version(name)}")
        except PackageNotFoundError:
            click.echo(f"{name} is not installed")
    click.echo(
        f"device: {choose_device('auto')}; CUDA devices: {torch.cuda.device_count()}; "
        f"threads: {torch.get_num_threads()}"
    )
    scanner = SmearScanner()
    click.echo(f"engine: {scanner.nets.detector.engine.name}")
    click.echo(f"weights: {', '.join(scanner.weights)}")
