"""Trained models: versions that are never changed, and which of them is the champion of a window.

No run asks for one yet: the DAG that trains the ranker and the gate will store them here.
"""

from tideline.models.store import Version, champion_for, go_back, list_versions, promote, save_version, use_version

__all__ = ["Version", "champion_for", "go_back", "list_versions", "promote", "save_version", "use_version"]
