"""Windows of a history are read one after the other for whoever scrolls, and only so many at once."""

import asyncio
import threading
from typing import Any

import pytest

from agent.page.readings import READINGS_MAX, Readings, TooMuchIsRead

pytestmark = [pytest.mark.feature("U3"), pytest.mark.attack(71)]


class Slow:
    """A store whose readings end when told to."""

    def __init__(self) -> None:
        self.going_on, self.read = threading.Event(), list[int]()

    def rows(self, _step: str, from_ns: int, _to_ns: int, _most: int) -> list[Any]:
        self.read.append(from_ns)
        assert self.going_on.wait(60)
        return []


def test_whoever_scrolls_is_read_to_and_too_many_windows_at_once_are_refused() -> None:
    store, readings = Slow(), Readings()

    async def window(number: int) -> list[Any]:
        return await readings.rows("here", store, "1s", number, number + 9)  # type: ignore[arg-type]

    async def asked() -> None:
        first = [asyncio.create_task(window(number)) for number in range(READINGS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(TooMuchIsRead):
            await window(99)
        same = asyncio.create_task(window(0))
        await asyncio.sleep(0)
        store.going_on.set()
        assert [await one for one in (*first, same)] == [[]] * (READINGS_MAX + 1)
        for number in range(3 * READINGS_MAX):
            assert await window(100 + number) == []

    asyncio.run(asked())
    assert sorted(store.read) == [*range(READINGS_MAX), *range(100, 100 + 3 * READINGS_MAX)], "each once, none beyond"
