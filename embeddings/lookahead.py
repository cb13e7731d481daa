"""Map over a stream with threads, a few inputs ahead: order is kept and memory is bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def map_ahead(function: Callable[[Given], Made], inputs: Iterable[Given], threads: int) -> Iterator[Made]:
    """Yield `function(each)` in the order of the inputs while `threads` later ones are worked on.

    Inputs are drawn in the calling thread, and at most `threads + 1` inputs or results are held. Worth it for functions
    that let go of the interpreter's lock, as numpy, scipy and pyarrow do for large arrays. An error of the function is
    raised at its place.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Made]] = deque()
        for each in inputs:
            waiting.append(pool.submit(function, each))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
