"""Identities of vectors: whose texts, and in which trained space; vectors of two identities are never compared."""

from __future__ import annotations

from embeddings.model import describe_model
from embeddings.settings import Settings

_JOINED = "+behaviour"


def vectors_id(settings: Settings, version: str | None) -> str:
    """Return the identity of a run's vectors: the text model's, or `<text model>+behaviour@<version>`.

    `version` names the trained version whose space joins behaviour and text; None: vectors of text alone.
    """
    model_id = describe_model(settings).model_id
    return f"{joined_id(model_id)}@{version}" if version else model_id


def joined_id(model_id: str) -> str:
    """Return what joined vectors of a text model have in common, whatever frame they are in."""
    return f"{model_id}{_JOINED}"


def is_joined(model_id: str) -> bool:
    """Return whether an identity is that of joined vectors in a trained space."""
    return f"{_JOINED}@" in model_id


def without_frame(model_id: str) -> str:
    """Return an identity without its version: a gate looks at cosines, which no turn of the frame changes."""
    text, joined, _ = model_id.rpartition(f"{_JOINED}@")
    return joined_id(text) if joined else model_id
