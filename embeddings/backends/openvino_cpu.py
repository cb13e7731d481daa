"""OpenVINO on the CPU: the same weights compiled for this processor, in single or in bfloat16 precision.

The model is converted once a machine and model, below the cache; from then on neither torch nor transformers is
imported to embed.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.model import Model
from embeddings.settings import Settings
from embeddings.tokens import pad, padding_id

_PRECISIONS = {"openvino-cpu-fp32": "f32", "openvino-cpu-bf16": "bf16"}
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def names() -> tuple[str, ...]:
    """Return the names of the OpenVINO backends that suit this processor."""
    return tuple(name for name in _PRECISIONS if not name.endswith("bf16") or _has_bf16())


def load(name: str, model: Model, settings: Settings) -> OpenVinoBackend:
    """Convert the model if this machine has not done so yet, and compile it for the processor."""
    return OpenVinoBackend(name, model, _converted(model, settings), settings.threads)


class OpenVinoBackend:
    """A compiled model. Each stream computes a batch on one core: nobody waits for another core's part."""

    tokens_a_batch = 512

    def __init__(self, name: str, model: Model, file: Path, threads: int) -> None:
        openvino = _openvino()
        self.name, self.streams = name, threads
        configuration = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[name],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
        }
        self._compiled = openvino.Core().compile_model(str(file), "CPU", configuration)
        self._padding = padding_id(model)
        self._own = threading.local()

    def compute(self, contents: Sequence[Any]) -> NDArray[np.float32]:
        """Return the vectors of token ids, float32 `[n, d]`. May be called from several threads at once."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        self._own.request.infer(list(pad(contents, self._padding)), share_inputs=True)
        return np.array(self._own.request.get_output_tensor(0).data, dtype=np.float32)


def _converted(model: Model, settings: Settings) -> Path:
    """Return the file of the converted model, made once; several processes may try at a time."""
    import importlib.metadata

    version = importlib.metadata.version("openvino")
    file = settings.cache_path / "openvino" / version / model.model_id.replace("/", "-") / "model.xml"
    if not file.is_file():
        file.parent.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent.parent) as scratch:
            _convert(model, Path(scratch) / "model.xml")
            # The folder gets its name when both files are in it; who comes second keeps the first one's.
            try:
                Path(scratch).rename(file.parent)
            except OSError:
                if not file.is_file():
                    raise
            else:
                Path(scratch).mkdir()
    return file


def _convert(model: Model, file: Path) -> None:
    import torch

    from embeddings.backends.pytorch import load_transformer

    transformer = load_transformer(model, "cpu")

    class Pipeline(torch.nn.Module):  # type: ignore[misc]
        """All modules of the model as one function of token ids."""

        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            return self.transformer(features)["sentence_embedding"]

    openvino = _openvino()
    example = torch.full((2, 16), 5, dtype=torch.int64)
    converted = openvino.convert_model(Pipeline().eval(), example_input=(example, torch.ones_like(example)))
    openvino.save_model(converted, str(file), compress_to_fp16=False)


def _openvino() -> Any:
    """Import OpenVINO without its telemetry, which would ask a server on the way."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _has_bf16() -> bool:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return False
    flags = next((line for line in info.read_text().splitlines() if line.startswith("flags")), "")
    return bool(_BF16_FLAGS & set(flags.split()))
