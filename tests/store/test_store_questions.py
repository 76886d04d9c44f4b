from __future__ import annotations

import asyncio
import subprocess
import sys
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


async def test_what_waits_when_it_is_closed_is_given_up() -> None:
    questions, begun, end = Questions(1), threading.Event(), threading.Event()

    def question() -> bool:
        begun.set()
        return end.wait(20)

    asked = [asyncio.create_task(questions.ask(question)) for _ in range(2)]
    await asyncio.to_thread(begun.wait, 20)
    questions.close()
    with pytest.raises(asyncio.CancelledError):
        await asked[1]
    end.set()
    assert await asked[0]


def test_an_error_of_a_question_is_raised_where_it_was_asked() -> None:
    questions = Questions(1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(questions.ask(lambda: 1 // 0))
    questions.close()


HANGS = """
import asyncio, threading
from controller.store.questions import Questions
async def main():
    questions = Questions(1)
    begun = threading.Event()
    task = asyncio.create_task(questions.ask(lambda: (begun.set(), threading.Event().wait(600))))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    questions.close()
    print("closed")
asyncio.run(main())
"""


def test_a_database_that_never_answers_does_not_hold_up_the_end_of_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
