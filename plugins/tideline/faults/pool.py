"""Tries are done by several workers at a time, each on a ground of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tideline.faults.ground import FaultsError, Ground
from tideline.faults.outcome import Outcome, Try


def walk_grounds(grounds: Sequence[Ground], walks: list[str]) -> None:
    """Walk the undisturbed runs on every ground at a time.

    Raises
    ------
    FaultsError
        If one fails, or two of them differ: then nothing could be compared.
    """
    with ThreadPoolExecutor(len(grounds)) as workers:
        list(workers.map(lambda ground: ground.walk_undisturbed(walks), grounds))
    for ground in grounds[1:]:
        for walk, reference in ground.references.items():
            first = grounds[0].references[walk]
            if (reference.before, reference.after) != (first.before, first.after):
                raise FaultsError(f"two undisturbed walks differ in {walk}: {first.after}, {reference.after}")


def do_tries(grounds: Sequence[Ground], tries: Sequence[Try]) -> Iterator[Outcome]:
    """Do the tries, one at a time on each ground; yield what came of each as it ends."""
    waiting: queue.SimpleQueue[Try] = queue.SimpleQueue()
    for one in tries:
        waiting.put(one)
    done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()

    def work(ground: Ground) -> None:
        while True:
            try:
                one = waiting.get_nowait()
            except queue.Empty:
                return
            done.put(_do(one, ground))

    for ground in grounds:
        threading.Thread(target=work, args=(ground,), daemon=True).start()
    for _ in tries:
        yield done.get()


def _do(one: Try, ground: Ground) -> Outcome:
    started = time.perf_counter()
    try:
        seen, broken = one.attempt(ground)
    except Exception as error:
        # A try that cannot be finished has shown nothing: that counts as a broken promise, and the others go on.
        seen, broken = "unknown", [f"the try itself failed: {type(error).__name__}: {error}"]
    return Outcome(one.family, one.fault, one.where, seen, time.perf_counter() - started, tuple(broken))
