"""Training of stage one: fine-tunes a YOLO network on fields at the working scale."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from smearscan import yolo
from smearscan.errors import DatasetError
from smearscan.images import read_image
from smearscan.taxonomy import DETECTOR_CLASSES
from smearscan.training import canvas
from smearscan.training.boxed import BoxedImage, read_site
from smearscan.training.config import DetectorTraining
from smearscan.training.cutouts import load_cut_outs
from smearscan.training.loop import Averaged, Checkpoint, Curves, learning_rate

ARCHITECTURE = "yolov8n"


class Canvases(IterableDataset[canvas.Canvas]):
    """Endless, seeded canvases; sites are drawn by weight times their number of fields, to the power 1/2."""

    def __init__(
        self, items: list[BoxedImage], clumps: canvas.Clumps, config: DetectorTraining, stage: str, seed: int
    ) -> None:
        self._config, self._stage, self._seed, self._clumps = config, stage, seed, clumps
        self._fields = [
            canvas.scaled_field(item, read_image(item.path), config.working_red_cell_px) for item in items
        ]
        sites = [item.site for item in items]
        weight = {s.name: s.weight for s in config.sites}
        count = {name: sites.count(name) for name in set(sites)}
        # the square root: a small site is seen more often, a large one is still seen most
        share = np.array([weight[name] / np.sqrt(count[name]) for name in sites])
        self._share = share / share.sum()

    def __iter__(self) -> Iterator[canvas.Canvas]:
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        while True:
            yield self._draw(rng)

    def _draw(self, rng: np.random.Generator) -> canvas.Canvas:
        final = self._stage == "final"
        chosen = [self._fields[i] for i in rng.choice(len(self._fields), 1 if final else 4, p=self._share)]
        factors = [
            self._config.working_red_cell_px / f.red_cell_px
            * canvas.scale_jitter(rng, self._config.wide_scale_share)
            for f in chosen
        ]
        if final:
            return canvas.single(chosen[0], self._config.final_canvas_px, factors[0], rng, self._clumps)
        return canvas.mosaic(chosen, self._config.canvas_px, factors, rng, self._clumps)


def collate(batch: list[canvas.Canvas]) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Join canvases: images (B, 3, S, S) uint8, targets as the loss wants them, labeled (B, 3, S/8, S/8)."""
    images = torch.from_numpy(np.stack([c.image for c in batch])).permute(0, 3, 1, 2).contiguous()
    size = images.shape[-1]
    xyxy = np.concatenate([c.xyxy for c in batch]) / size
    targets = {
        "batch_idx": torch.from_numpy(np.repeat(np.arange(len(batch)), [len(c.labels) for c in batch])).float(),
        "cls": torch.from_numpy(np.concatenate([c.labels for c in batch])).float(),
        "bboxes": torch.from_numpy(
            np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], axis=1)
        ),
    }
    labeled = torch.from_numpy(np.stack([c.labeled for c in batch])).permute(0, 3, 1, 2).contiguous()
    return images, targets, labeled


def train(config: DetectorTraining, data_root: Path, start: Path | None, out: Path, report) -> nn.Module:
    out.mkdir(parents=True, exist_ok=True)
    items = [item for site in config.sites for item in read_site(site, data_root, "train")]
    if not items:
        raise DatasetError("no training field: every data set's 'train' split is empty or absent")
    clumps = _clumps(config, data_root)
    torch.manual_seed(config.seed)
    model = yolo.build(ARCHITECTURE, len(DETECTOR_CLASSES))
    if start is not None:
        yolo.start_from(model, start)
    for p in model.parameters():
        p.requires_grad_(True)
    model.to(memory_format=torch.channels_last).train()
    averaged = Averaged(model)
    loss_of = yolo.DetectionLoss(model)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=config.learning_rate,
    )
    steps = config.canvases_per_epoch // config.batch
    total = steps * config.epochs
    step = 0
    curves = Curves(out / "curves.csv")
    checkpoint = Checkpoint(out / "checkpoint.pt", config.model_dump_json())
    for epoch in range(config.epochs):
        stage = "final" if epoch >= config.epochs - config.final_epochs else "mosaic"
        if epoch == 0 or epoch == config.epochs - config.final_epochs:
            data = Canvases(items, clumps, config, stage, config.seed + epoch)
            loader = iter(DataLoader(data, batch_size=config.batch * (1 if stage=="mosaic" else 2), collate_fn=collate, num_workers=1, prefetch_factor=4))
        sums = np.zeros(3)
        began = time.monotonic()
        for _ in range(steps):
            images, targets, labeled = next(loader)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * learning_rate(step, total, config.warmup_steps)
            x = (images.float() / 255).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                outputs = model(x)
            outputs = {k: v.float() if torch.is_tensor(v) else v for k, v in outputs.items()}
            loss = loss_of(outputs, targets, labeled)
            optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            averaged.update(model)
            step += 1
            sums += loss.detach().numpy() / len(images)
        box, cls, dfl = sums / steps
        curves.add(epoch=epoch + 1, box_loss=box, class_loss=cls, dfl_loss=dfl, seconds=time.monotonic() - began)
        report(curves.rows[-1])
    return averaged.model


def _clumps(config: DetectorTraining, data_root: Path) -> canvas.Clumps:
    px = config.working_red_cell_px
    if config.clumps is None:
        return canvas.Clumps((), px, 0.0)
    source = config.clumps
    cells = pd.read_csv(source.manifest).query("split == 'train' and site in @source.sites")
    found = load_cut_outs(cells, data_root, px, source.cells_per_site, config.seed)
    if not found:
        raise DatasetError(f"{source.manifest}: no cell of {', '.join(source.sites)} could be cut out for clumps")
    return canvas.Clumps(found, px, source.share)
