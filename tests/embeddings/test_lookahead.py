from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from embeddings.lookahead import map_ahead


def test_results_come_in_the_order_of_the_inputs() -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(10)
        else:
            first_may_end.set()
        return number * 2

    assert list(map_ahead(work, range(20), 2)) == [number * 2 for number in range(20)]


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_inputs_are_drawn_than_are_worked_on(threads: int) -> None:
    drawn = 0

    def inputs() -> Iterator[int]:
        nonlocal drawn
        for number in range(10):
            drawn += 1
            yield number

    for result in map_ahead(lambda number: number, inputs(), threads):
        assert drawn <= result + threads + 1


def test_an_error_is_raised_at_its_place() -> None:
    results = map_ahead(lambda number: 1 // number, [1, 1, 0, 1], 2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
