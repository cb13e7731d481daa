"""What readers see: generations, the lock around their commit, snapshot files and the pointer to the current one."""

from __future__ import annotations

from tideline.serving.publisher import publish
from tideline.serving.readers import connect

__all__ = ["connect", "publish"]
