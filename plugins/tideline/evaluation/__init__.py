"""How good the published lists are: a global time split, metrics over users with history, and peers to beat."""

from tideline.evaluation.command import evaluate

__all__ = ["evaluate"]
