"""The topology of `docker-compose.yml` as processes of one machine: `make cluster-up`, and what its tests start."""

from __future__ import annotations
