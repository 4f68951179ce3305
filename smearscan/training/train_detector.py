"""Training of stage one: fine-tunes a YOLO network on fields at the working scale."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from smearscan import __version__
from smearscan.detection import yolo
from smearscan.errors import DatasetError
from smearscan.io.decode import read_image
from smearscan.taxonomy import DETECTOR_CLASSES
from smearscan.training import canvas
from smearscan.training.annotated_fields import UNKNOWN, BoxedImage, read_site
from smearscan.training.config import DetectorTraining
from smearscan.training.cutouts import load_cut_outs
from smearscan.training.first_try import detector_schedule, fingerprint, finished, from_start
from smearscan.training.loop import Checkpoint, Run, learning_rate, loaders, precision
from smearscan.training.redcells import fill_red_cells
from smearscan.weights.pairs import DetectorCard, save_weights

Report = Callable[[dict[str, float]], None]
LONGEST_GRADIENT = 10.0
"""Longer ones are shortened, as Ultralytics does: a canvas of many boxes would throw the weights far off."""


class Canvases(IterableDataset[canvas.Canvas]):
    """Endless, seeded canvases; a site is drawn by its weight times the root of its number of fields.

    The root lets a small site be seen more often than its size, and a large one still most.
    """

    def __init__(
        self, fields: list[canvas.ScaledField], share: np.ndarray[Any, np.dtype[np.float64]],
        clumps: canvas.Clumps, config: DetectorTraining, mosaic: bool, seed: int,
    ) -> None:  # fmt: skip
        self._fields, self._share, self._clumps = fields, share, clumps
        self._config, self._mosaic, self._seed = config, mosaic, seed

    def __iter__(self) -> Iterator[canvas.Canvas]:
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        while True:
            yield self._draw(rng)

    def _draw(self, rng: np.random.Generator) -> canvas.Canvas:
        config = self._config
        wide = config.wide_scale_share if self._mosaic else config.final_wide_scale_share
        picked = rng.choice(len(self._fields), 4 if self._mosaic else 1, p=self._share)
        chosen = [self._fields[i] for i in picked]
        factors = [
            config.working_red_cell_px / f.red_cell_px * canvas.scale_jitter(rng, wide) for f in chosen
        ]
        if self._mosaic:
            drawn = canvas.mosaic(chosen, config.canvas_px, factors, rng, self._clumps)
        else:
            drawn = canvas.single(chosen[0], config.final_canvas_px, factors[0], rng, self._clumps)
        if rng.random() < config.solid_red_cells_share:
            drawn = replace(drawn, image=fill_red_cells(drawn.image, drawn.xyxy, drawn.labels, rng))
        return drawn


def collate(batch: list[canvas.Canvas]) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Join canvases: images (B, 3, S, S) uint8, targets as the loss wants them, labeled (B, 3, S/8, S/8)."""
    images = torch.from_numpy(np.stack([c.image for c in batch])).permute(0, 3, 1, 2).contiguous()
    xyxy = np.concatenate([c.xyxy for c in batch]) / images.shape[-1]
    xywh = np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], axis=1)
    targets = {
        "batch_idx": torch.from_numpy(
            np.repeat(np.arange(len(batch)), [len(c.labels) for c in batch])
        ).float(),
        "cls": torch.from_numpy(np.concatenate([c.labels for c in batch])).float(),
        "bboxes": torch.from_numpy(xywh),
    }
    labeled = torch.from_numpy(np.stack([c.labeled for c in batch])).permute(0, 3, 1, 2).contiguous()
    return images, targets, labeled


def train(
    config: DetectorTraining, data_root: Path, start: Path | None, out: Path, report: Report,
    tell: Callable[[str], None] = lambda told: None, device: torch.device | None = None,
) -> DetectorCard:  # fmt: skip
    """Train and write the pair ``out/NAME.safetensors`` + ``.yaml``; resumes from ``out/checkpoint.pt``.

    Parameters
    ----------
    config : DetectorTraining
    data_root : Path
        What the paths of its data sets are relative to.
    start : Path or None
        Detector, or what ``smearscan weights import`` wrote, to start from; None starts from random weights.
        Of a detector the architecture, working scale and thresholds are taken over, where the configuration
        has none.
    out : Path
        Folder for checkpoint, curves and the pair.
    report : callable
        Called with each epoch's figures.
    tell : callable
        Told in words what was taken over, and where the same training is finished already.
    device : torch.device, optional
        Where it is trained. Default: the CPU.

    Returns
    -------
    DetectorCard

    Raises
    ------
    DatasetError
        If the data sets are incomplete or hold no training field.
    """
    device = device or torch.device("cpu")
    out.mkdir(parents=True, exist_ok=True)
    items = [item for site in config.sites for item in read_site(site, data_root, "train")]
    if not items:
        raise DatasetError("no training field: every data set's 'train' split is empty or absent")
    config, taken = from_start(detector_schedule(config, len(items)), start)
    if taken:
        tell(taken)
    pair = out / f"{config.name}.safetensors"
    rows = [(i.path.name, i.xyxy.tolist(), i.labels.tolist(), i.red_cell_px) for i in items]
    mark = fingerprint(config.model_dump_json(), rows, *(i.path for i in items), start or "")
    if done := finished(pair, DetectorCard, mark):
        tell(f"already finished: {pair}; give another --out, or delete it to train again")
        return done
    torch.manual_seed(config.seed)
    model = yolo.build(config.architecture, len(DETECTOR_CLASSES))
    if start is not None:
        yolo.start_from(model, start)
    fields = [canvas.scaled_field(i, read_image(i.path), config.working_red_cell_px) for i in items]
    clumps = _clumps(config, data_root)
    share = _shares(items, config)

    def batches(epoch: int) -> Iterator[tuple[Tensor, dict[str, Tensor], Tensor]]:
        mosaic = epoch < config.epochs - config.final_epochs
        data = Canvases(fields, share, clumps, config, mosaic, config.seed * 1000 + epoch)
        # a canvas of one field is about half as large: two of them make an equal batch
        size = config.batch if mosaic else 2 * config.batch
        return iter(
            DataLoader(data, size, collate_fn=collate, num_workers=loaders(device), prefetch_factor=4)
        )

    averaged = _fit(config, model.to(device), batches, out, report, mark, device)
    card = DetectorCard(
        name=config.name,
        architecture=config.architecture,
        classes=DETECTOR_CLASSES,
        smearscan_version=__version__,
        working_red_cell_px=config.working_red_cell_px,
        thresholds=config.thresholds,
        limits=config.limits,
        training={
            "fingerprint": mark,
            "command": "smearscan train detector",
            "config": config.model_dump(mode="json", exclude_defaults=True),
            "start": start.name if start else "random",
            "fields": {s.name: sum(i.site == s.name for i in items) for s in config.sites},
            "boxes": {
                s.name: np.bincount(
                    np.concatenate(
                        [i.labels[i.labels != UNKNOWN] for i in items if i.site == s.name]
                        or [np.empty(0, np.int64)]
                    ),
                    minlength=3,
                ).tolist()
                for s in config.sites
            },
            "cut_out_cells": len(clumps.cells),
        },
    )
    signed = save_weights(pair, card, averaged.state_dict())
    Checkpoint(out / "checkpoint.pt", "").remove()
    return signed


def _fit(
    config: DetectorTraining, model: nn.Module,
    batches: Callable[[int], Iterator[tuple[Tensor, dict[str, Tensor], Tensor]]], out: Path, report: Report,
    mark: str, device: torch.device,
) -> nn.Module:  # fmt: skip
    """Train on batches of each epoch's number and give the averaged network."""
    for p in model.parameters():
        p.requires_grad_(True)
    # channels-last is what the processor's convolutions want; the answers are the same
    model.to(memory_format=torch.channels_last).train()
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": config.weight_decay, "factor": 1.0},
            {"params": others, "weight_decay": 0.0, "factor": 1.0},
        ],
        lr=config.learning_rate,
    )
    run = Run(model, optimizer, out, mark)
    loss_of = yolo.DetectionLoss(model)
    steps = max(1, config.canvases_per_epoch // config.batch)
    for epoch in range(run.resume(), config.epochs):
        began, sums, stream = time.monotonic(), torch.zeros(3, device=device), batches(epoch)
        for step in range(steps):
            images, targets, labeled = next(stream)
            images, labeled = images.to(device), labeled.to(device)
            targets = {name: told.to(device) for name, told in targets.items()}
            with precision(device):
                outputs = model((images.float() / 255).contiguous(memory_format=torch.channels_last))
            outputs = {k: v.float() if torch.is_tensor(v) else v for k, v in outputs.items()}
            loss = loss_of(outputs, targets, labeled)
            at = learning_rate(epoch * steps + step, config.epochs * steps, config.warmup_steps)
            run.step(loss.sum(), config.learning_rate * at, LONGEST_GRADIENT)
            sums += loss.detach() / len(images)
        box, kind, edge = (sums / steps).tolist()
        row = {"box_loss": box, "class_loss": kind, "edge_loss": edge, "seconds": time.monotonic() - began}
        report(run.finish_epoch(epoch + 1, **row))
    run.curves.draw()
    return run.averaged.model


def _shares(items: list[BoxedImage], config: DetectorTraining) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Chance of each field to be drawn."""
    weight = {s.name: s.weight for s in config.sites}
    sites = [item.site for item in items]
    count = {name: sites.count(name) for name in set(sites)}
    share = np.array([weight[name] / np.sqrt(count[name]) for name in sites], np.float64)
    share /= share.sum()
    return share


def _clumps(config: DetectorTraining, data_root: Path) -> canvas.Clumps:
    px = config.working_red_cell_px
    if config.clumps is None:
        return canvas.Clumps((), px, 0.0)
    source = config.clumps
    cells = pd.read_csv(source.manifest)
    cells = cells[(cells["split"] == "train") & cells["site"].isin(source.sites)]
    found = load_cut_outs(cells, data_root, px, source.cells_per_site, config.seed)
    if not found:
        raise DatasetError(
            f"{source.manifest}: no cell of {', '.join(source.sites)} could be cut out for clumps"
        )
    return canvas.Clumps(found, px, source.share)
