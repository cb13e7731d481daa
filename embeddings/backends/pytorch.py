"""PyTorch: the reference on the CPU; on a GPU half precision with the fused attention kernels."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.model import Model, ModelError
from embeddings.settings import Settings
from embeddings.tokens import pad, token_limit

_CPU, _CUDA = "torch-cpu-fp32", ("torch-cuda-bf16", "torch-cuda-fp16", "torch-cuda-fp32")


def names() -> tuple[str, ...]:
    """Return the names of the PyTorch backends that this machine has. Does not import torch where there is no GPU."""
    return (_CPU, *_CUDA) if _has_cuda() else (_CPU,)


def load(name: str, model: Model, settings: Settings) -> TorchBackend:
    """Load a model offline: safetensors only, no code from the model's folder."""
    import torch

    if name == _CPU:
        torch.set_num_threads(settings.threads)
    return TorchBackend(name, model)


class TorchBackend:
    """A sentence-transformers model on one device, in one precision."""

    streams = 1

    def __init__(self, name: str, model: Model) -> None:
        self.name = name
        _, self._device, self._precision = name.split("-")
        # Small batches fit a CPU's caches; a GPU needs large ones to be busy.
        self.tokens_a_batch = 1024 if self._device == "cpu" else 65_536
        self._transformer = load_transformer(model, self._device)
        if self._precision != "fp32":
            self._transformer = self._transformer.to(_dtype(self._precision))
        self._padding = self._transformer.tokenizer.pad_token_id or 0

    def compute(self, contents: Sequence[Any]) -> NDArray[np.float32]:
        """Return the vectors of token ids, float32 `[n, d]`."""
        import torch

        ids, mask = pad(contents, self._padding)
        with torch.inference_mode():
            features = {
                "input_ids": torch.from_numpy(ids).to(self._device, non_blocking=True),
                "attention_mask": torch.from_numpy(mask).to(self._device, non_blocking=True),
            }
            vectors = self._transformer(features)["sentence_embedding"]
        return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)


def load_transformer(model: Model, device: str) -> Any:
    """Return the sentence-transformers model, and check what was read of it before it was loaded.

    Raises
    ------
    ModelError
        If its dimension or its token limit are other than its configuration says.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"  # before the import: read once there
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    # Loading takes a second, and a bar is noise in a task's log.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    transformer = SentenceTransformer(
        str(model.path),
        device=device,
        trust_remote_code=False,
        local_files_only=True,
        # The fused attention of torch, wherever a model has it; others fall back by themselves.
        model_kwargs={"use_safetensors": True},
    ).eval()
    if (dimension := transformer.get_embedding_dimension()) != model.dimension:
        raise ModelError(
            f"{model.model_id} makes vectors of {dimension} dimensions: its configuration is at odds with it"
        )
    if (limit := transformer.max_seq_length) and limit < token_limit(model.path):
        raise ModelError(f"{model.model_id} reads {limit} tokens: its max_seq_length is at odds with it")
    return transformer


@functools.lru_cache(maxsize=1)
def _has_cuda() -> bool:
    from pathlib import Path

    # The driver's device: without it there is no need to import torch, which takes seconds.
    if not Path("/dev/nvidiactl").exists():
        return False
    import torch

    return bool(torch.cuda.is_available())


def _dtype(precision: str) -> Any:
    import torch

    return {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
