"""`make models`: the trained versions and the log of champions, and the one command that goes back."""

from __future__ import annotations

from typing import Any

from embeddings.settings import Settings
from tideline.models import ModelStoreError, Version, go_back, list_champions, list_versions, use_version


def run_models(settings: Settings, action: str, name: str | None) -> None:
    """List the versions, or make another one the champion.

    Parameters
    ----------
    action
        `list`; `back`, to the champion before the present one; `use`, the version `name`.

    Raises
    ------
    ModelStoreError
        If there is none to go back to, or none of that name.
    """
    if action == "use":
        if not name:
            raise ModelStoreError("say which: make models ACTION=use VERSION=model-...")
        print(f"{use_version(settings.root, name).name} is champion from the next night on.")
    elif action == "back":
        print(f"{go_back(settings.root).name} is champion again, from the next night on.")
    else:
        _list(settings)


def _list(settings: Settings) -> None:
    versions, log = list_versions(settings.root), list_champions(settings.root)
    if not versions:
        print(f"No version is stored below {settings.root / 'models'}: make train trains one.")
        return
    print("Versions, by the end of what they learned from:")
    for version in versions:
        print(f"  {version.name}  until {version.trained_until:%Y-%m-%d %H:%M}  {describe(version)}")
    print("\nChampions, the last is the present one:" if log else "\nNone of them became champion.")
    for entry in log:
        print(f"  {entry['at']}  {entry['version']}{_limit(entry)}: {entry['reason']}")


def describe(version: Version) -> str:
    """Say in a line what ranks in each mode, and how it was judged."""
    parts = [f"{mode}: {_mode(card)}" for mode, card in version.card["modes"].items()]
    decision = version.card["decision"]
    return "; ".join([*parts, decision["reason"] if not decision["promoted"] else "promoted"])


def _mode(card: dict[str, Any]) -> str:
    if "note" in card:
        return str(card["note"])
    reached = card["ndcg@10"][card["winner"]]
    return f"{card['winner']} (NDCG@10 {reached:.4f} on {card['held_lists']} of {card['lists']} lists)"


def _limit(entry: dict[str, Any]) -> str:
    return f" (for windows before {entry['before'][:16]})" if "before" in entry else ""
