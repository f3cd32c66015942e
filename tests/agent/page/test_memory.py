"""Tests that the page's process returns memory freed by requests to the system."""

import asyncio
from pathlib import Path

import pytest

from agent.page import memory
from agent.page.app import app_of
from tests.agent.page.nodes import TOKEN, node_in, plan_for

pytestmark = pytest.mark.feature("U3")


def test_a_page_that_runs_gives_back_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lived() -> int:
        given, again = 0, asyncio.Event()

        def counted() -> None:
            nonlocal given
            given += 1
            if given == 3:
                again.set()

        monkeypatch.setattr(memory, "give_back", counted)
        monkeypatch.setattr("agent.page.app.given_back", lambda: memory.given_back(0))
        here = node_in(tmp_path)
        app = app_of(plan_for(tmp_path, here), {"here": here}, TOKEN)
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(again.wait(), 20)
        before = given
        await asyncio.sleep(0)
        assert given == before, "it ends with the page"
        return given

    assert asyncio.run(lived()) >= 3
