"""Peers: recommenders that a published list must be compared with. One family a file."""

from __future__ import annotations

from tideline.evaluation.peers import factors, neighbours, popular, repeats, text
from tideline.evaluation.peers.peer import Peer, best_of, rank_items

PEERS: tuple[Peer, ...] = (*popular.PEERS, *neighbours.PEERS, *factors.PEERS, *repeats.PEERS, *text.PEERS)

__all__ = ["PEERS", "Peer", "best_of", "rank_items"]
