"""Training: a run's past becomes a version, and a version becomes champion only if it is better beyond noise."""

from tideline.training.version import train_version

__all__ = ["train_version"]
