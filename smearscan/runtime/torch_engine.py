"""Networks run by torch itself, on the CPU or a GPU: what every other engine is measured against."""

import threading
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from smearscan.runtime.batches import Answers, Batched, Pictures
from smearscan.runtime.network import Precision

_thread = threading.local()
_setting = threading.Lock()
_on_gpu = threading.Lock()
"""One for the process, as cuDNN's flags are: two engines at once would undo each other's."""


class FromPixels(nn.Module):
    """Puts the way from camera pixels, (B, H, W, 3) uint8, to normalized NCHW in front of a network."""

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: tuple[float, float, float] = (0, 0, 0),
        std: tuple[float, float, float] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", (1 / (255 * torch.tensor(std))).view(1, 3, 1, 1))
        self.register_buffer("shift", (-torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalize and run."""
        out: Tensor = self.network(images.permute(0, 3, 1, 2).float() * self.scale + self.shift)
        return out


class TorchEngine(Batched):
    """Runs a network with torch.

    Parameters
    ----------
    network : nn.Module
        Is moved to the device.
    device : torch.device or str
    batch, at_once : int
        See :class:`smearscan.runtime.batches.Batched`; on a GPU batches are queued there one after the other.
    precision : str
        ``bf16`` computes in bfloat16 where torch holds that to be safe (autocast); for a GPU.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device | str,
        batch: int,
        at_once: int | None = None,
        precision: Precision = "f32",
    ) -> None:
        self._device, self._half = torch.device(device), precision == "bf16"
        name = f"torch {self._device}" + (" bf16" if self._half else "")
        super().__init__(name, batch, at_once if self._device.type == "cpu" else 1)
        self._network = network.eval().to(self._device).to(memory_format=torch.channels_last)

    def _answers(self, batches: Sequence[Pictures]) -> Iterable[Answers]:
        return super()._answers(batches) if self._device.type == "cpu" else self._on_device(batches)

    @torch.inference_mode()
    def _infer(self, batch: Pictures) -> Answers:
        _on_this_thread_alone()
        out: Answers = self._network(torch.from_numpy(batch)).float().numpy()
        return out

    @torch.inference_mode()
    def _on_device(self, batches: Sequence[Pictures]) -> Iterable[Answers]:
        """Queue all batches, then wait once: the next one is sent while the device computes."""
        # TensorFloat-32, torch's default for convolutions on a GPU, would move boxes
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with _on_gpu, exact, torch.autocast(self._device.type, torch.bfloat16, self._half):
            outputs = [self._network(self._sent(batch)).float() for batch in batches]
            return [out.cpu().numpy() for out in outputs]

    def _sent(self, batch: Pictures) -> Tensor:
        tensor = torch.from_numpy(batch)
        if self._device.type != "cuda":
            return tensor.to(self._device)
        return tensor.pin_memory().to(self._device, non_blocking=True)


def _on_this_thread_alone() -> None:
    """Let torch spread the calling thread's work over no others; leave all other threads as they are.

    With OpenMP the number of threads belongs to the thread that sets it, but is also what threads born later
    begin with: that is set back, by a thread that is gone at once.
    """
    if getattr(_thread, "alone", False):
        return
    with _setting:
        others = torch.get_num_threads()
        torch.set_num_threads(1)
        setting_back = threading.Thread(target=torch.set_num_threads, args=(others,))
        setting_back.start()
        setting_back.join()
    _thread.alone = True
