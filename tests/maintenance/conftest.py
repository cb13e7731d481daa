"""Homes with something published in them: the publication room."""

from __future__ import annotations

from serving.conftest import make_room, room

__all__ = ["make_room", "room"]
