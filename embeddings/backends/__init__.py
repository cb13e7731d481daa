"""What computes an encoder: a library, a device and a precision. One file a backend.

`candidates` says which of them could serve a model on this machine; `choice.pick` takes the fastest that is faithful.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from embeddings.model import Model
from embeddings.settings import Settings

REFERENCE = "torch-cpu-fp32"
"""What every other backend is held against."""


class Backend(Protocol):
    """Computes vectors. Make one with `load_backend`."""

    name: str
    """`library-device-precision`."""
    streams: int
    """How many batches it computes at a time."""
    tokens_a_batch: int
    """Padded tokens of a batch that suit it."""

    def compute(self, contents: Sequence[Any]) -> NDArray[np.float32]:
        """Return the vectors float32 `[n, d]` of what the tokeniser made of n texts of similar length."""


def candidates(model: Model) -> tuple[str, ...]:
    """Return the names of the backends that this machine has for a model, the reference first."""
    if model.kind == "universal":
        return ("numpy-cpu-fp32",)
    from embeddings.backends import openvino_cpu, pytorch

    return (*pytorch.names(), *openvino_cpu.names())


def load_backend(name: str, model: Model, settings: Settings) -> Backend:
    """Load a backend by its name.

    Raises
    ------
    ValueError
        If this machine has no such backend for the model.
    """
    from embeddings.backends import openvino_cpu, pytorch, universal

    if name not in candidates(model):
        raise ValueError(f"no backend {name!r} for {model.model_id} here, there are {', '.join(candidates(model))}")
    library = name.split("-")[0]
    makers: dict[str, Callable[[str, Model, Settings], Backend]] = {
        "torch": pytorch.load,
        "openvino": openvino_cpu.load,
        "numpy": universal.load,
    }
    return makers[library](name, model, settings)
