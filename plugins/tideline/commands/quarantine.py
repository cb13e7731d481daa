"""`make quarantine`: list, show, release and discard the rows that broke a rule. Raw rows go to this terminal only."""

from __future__ import annotations

import json
from collections.abc import Sequence

from embeddings.settings import Settings
from tideline.intake.quarantine import QuarantineError, Selection, discard, find_rows, overview
from tideline.intake.release import release

COLUMNS = ("file", "batch_id", "rule", "held", "released", "discarded")


def run_quarantine(
    settings: Settings, action: str, selection: Selection, *, fixes: Sequence[str], reason: str, limit: int
) -> None:
    """Do one action and print what came of it.

    Parameters
    ----------
    fixes
        For `release`: `column=value`, or a JSON object of raw columns.
    reason
        For `discard`.
    limit
        Rows that `show` prints.

    Raises
    ------
    QuarantineError
        If the action cannot be followed.
    """
    if action == "list":
        _print_overview(settings)
    elif action == "show":
        rows = find_rows(settings, selection, limit)
        for row in rows:
            print(json.dumps(row, ensure_ascii=False, default=str))
        if not rows:
            print("No held row matches. `make quarantine` lists what there is.")
        if len(rows) == limit:
            print(f"... the first {limit}; LIMIT shows more")
    elif action == "release":
        counts = release(settings, selection, read_fix(fixes))
        print(
            f"{counts['released']:,} of {counts['selected']:,} held rows released in {counts['batches']} batches, "
            f"{counts['still_refused']:,} still break a rule and stay. The next hourly run uses them."
        )
    else:
        print(f"{discard(settings, selection, reason):,} held rows discarded; they stay in the quarantine, marked")


def read_rows(text: str) -> tuple[int, ...]:
    """Read row numbers: `3`, `3,5` or `3 5`.

    Raises
    ------
    QuarantineError
        If one is no number.
    """
    try:
        return tuple(int(number) for number in text.replace(",", " ").split())
    except ValueError:
        raise QuarantineError(f"row numbers are whole numbers, as in 3,5: got {text!r}") from None


def read_fix(fixes: Sequence[str]) -> dict[str, str | None]:
    """Read a fix: each is `column=value`, or a JSON object of columns and values.

    Raises
    ------
    QuarantineError
        If one is neither.
    """
    fix: dict[str, str | None] = {}
    for text in fixes:
        if text.lstrip().startswith("{"):
            try:
                given = json.loads(text)
            except ValueError:
                raise QuarantineError('a fix in JSON is an object, as in {"user_id": "u7"}') from None
            fix |= {column: None if value is None else str(value) for column, value in given.items()}
        else:
            column, sign, value = text.partition("=")
            if not sign or not column.strip():
                raise QuarantineError("a fix is column=value, as in user_id=u7")
            fix[column.strip()] = value
    return fix


def _print_overview(settings: Settings) -> None:
    rows = [[str(row[name]) for name in COLUMNS] for row in overview(settings)]
    if not rows:
        print("The quarantine is empty.")
        return
    widths = [max(len(line[n]) for line in [list(COLUMNS), *rows]) for n in range(len(COLUMNS))]
    for line in [list(COLUMNS), *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
