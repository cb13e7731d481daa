"""The learned gate: a weight for each user from a few signals of the two windows, read and used without torch."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.fusion.signals import SIGNALS
from embeddings.identity import without_frame


class GateError(ValueError):
    """A gate cannot be used for these vectors or this moment; the message says what to do."""


class Network(NamedTuple):
    """One hidden layer between signals and gate, all float32."""

    mean: NDArray[np.float32]
    """Of each signal over the examples, `[s]`."""
    scale: NDArray[np.float32]
    weight: NDArray[np.float32]
    """`[hidden, s]`"""
    bias: NDArray[np.float32]
    out_weight: NDArray[np.float32]
    """`[hidden]`"""
    out_bias: NDArray[np.float32]
    """`[1]`"""

    def gates(self, signals: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weight of the long vector for each row of signals, `[n]`, 0 to 1.

        Summed signal by signal: a user's gate does not depend, not even by rounding, on who stands beside him.
        """
        inputs = (signals - self.mean) / self.scale
        hidden = np.broadcast_to(self.bias, (len(signals), len(self.bias))).copy()
        for column in range(len(self.mean)):
            hidden += inputs[:, column, None] * self.weight[:, column]
        logit = np.vecdot(np.tanh(hidden), self.out_weight) + self.out_bias[0]
        return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30).astype(np.float64))))


class Gate(NamedTuple):
    """A trained gate with what its card says."""

    network: Network
    card: dict[str, Any]

    def check(self, as_of: datetime, model_id: str) -> None:
        """Raise `GateError` if the gate knows later events than the run, or other vectors than the run's."""
        ends = datetime.fromisoformat(self.card["training_data_end"])
        if ends > _aware(as_of):
            raise GateError(
                f"the gate knows events up to {ends:%Y-%m-%d %H:%M}, the run is of {_aware(as_of):%Y-%m-%d %H:%M}: "
                "train one on earlier events, or run without a gate"
            )
        if self.card["model"] != without_frame(model_id):
            raise GateError(
                f"the gate is for vectors of {self.card['model']!r}, the run's are of {model_id!r}: train it again"
            )


def save_gate(file: Path, network: Network, card: dict[str, Any]) -> None:
    """Write the weights to `file` (safetensors) and the card beside it (the same name with `.json`).

    The card gets the hash of the weights and the names of the signals; `training_data_end` (an aware ISO time) and
    `model` (`identity.without_frame` of the vectors') must be in it. Both are renamed into place, the card last.
    """
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in network._asdict().items()})
    card = {**card, "signals": list(SIGNALS), "sha256": hashlib.sha256(content).hexdigest()}
    file.parent.mkdir(parents=True, exist_ok=True)
    for path, written in ((file, content), (_card_of(file), json.dumps(card, indent=2, sort_keys=True).encode())):
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(written)
        part.replace(path)


def load_gate(file: Path) -> Gate:
    """Read a gate that `save_gate` wrote.

    Raises
    ------
    GateError
        If the file or its card is missing, they do not belong together, or the signals are not those of this version.
    """
    from safetensors.numpy import load

    try:
        content, card = file.read_bytes(), json.loads(_card_of(file).read_text())
    except FileNotFoundError as error:
        raise GateError(f"no gate: {error.filename} is missing; train one") from error
    if hashlib.sha256(content).hexdigest() != card.get("sha256"):
        raise GateError(f"{file.name} and its card do not belong together: train the gate again")
    if card.get("signals") != list(SIGNALS):
        raise GateError(f"{file.name} looks at other signals than this version computes: train the gate again")
    return Gate(Network(**load(content)), card)


def _card_of(file: Path) -> Path:
    return file.with_suffix(".json")


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
