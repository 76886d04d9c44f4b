from __future__ import annotations

import asyncio
import threading

import pytest

from controller.store import Store, StoreUnavailable
from controller.store.questions import MOST_WAITING, Questions
from controller.store.records import Heads


async def test_a_question_is_answered_beside_the_loop(store: Store) -> None:
    assert await store.ask(store.reader.heads) == Heads()


async def test_a_database_that_hangs_holds_questions_only_and_not_too_many_of_them() -> None:
    questions, end = Questions(2), threading.Event()
    waiting = [asyncio.create_task(questions.ask(lambda: end.wait(20))) for _ in range(2 + MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="too many questions wait for it already"):
        await questions.ask(lambda: True)
    # What the loop does elsewhere has threads of its own.
    assert await asyncio.to_thread(lambda: 1) == 1
    for task in waiting[2:]:
        task.cancel()
    end.set()
    assert await asyncio.gather(*waiting[:2]) == [True, True]
    assert await questions.ask(lambda: 2) == 2
    questions.close()
