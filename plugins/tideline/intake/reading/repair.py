"""The careful way through delimited text that DuckDB refuses: good rows are kept, each bad one is set aside."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

LONGEST_FIELD = 2**22
"""Characters. A quote that never closes is given up after as many, and costs its own line only."""
LONGEST_ROW = 2**23
"""Characters. A longer one is set aside."""

Rejected = tuple[int, str, str]
"""Row number, rule and raw text."""


def repair(path: Path, clean: Path, *, delimiter: str, quote: str, width: int, header: bool) -> Iterator[Rejected]:
    """Copy the rows that have `width` fields to `clean`, as plain CSV with the row number in front; yield the others.

    Blank lines are no rows. Line ends may be mixed. Only a file in which DuckDB found something wrong comes here: this
    is several times slower, and exact about which row is to blame.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    with (
        path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream,
        clean.open("w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        rows = _records(stream, delimiter, quote)
        if header:
            next(rows, None)
        for number, (fields, raw) in enumerate(rows, start=1):
            if not _is_unicode(raw):
                text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                yield number, "undecodable_text", text.rstrip("\r\n")
            elif fields is None or len(fields) != width or len(raw) > LONGEST_ROW:
                yield number, "unreadable_row", raw.rstrip("\r\n")
            else:
                writer.writerow([number, *fields])


def _records(stream: TextIO, delimiter: str, quote: str) -> Iterator[tuple[list[str] | None, str]]:
    """Yield fields and raw text of each record; no fields where quotes are broken.

    When a quote swallowed more lines than its own, these are read again: they may be in order.
    """
    waiting: deque[str] = deque()
    taken: list[str] = []

    def lines() -> Iterator[str]:
        while (line := waiting.popleft() if waiting else next(stream, None)) is not None:
            taken.append(line)
            yield line

    def start() -> Iterator[list[str]]:
        return csv.reader(
            lines(),
            delimiter=delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            strict=True,
        )

    reader = start()
    while True:
        taken.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            waiting.extendleft(reversed(taken[1:]))
            yield None, taken[0]
            reader = start()
            continue
        if fields:
            yield fields, "".join(taken)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
