"""One question put to the chat's graph: every handle is opened for it, and closed with its answer.

So a chat that stands open keeps no broker's connection, no lock and no database from a run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from langgraph.store.base import BaseStore

from brokers.errors import Terminal
from brokers.simulated import MarketError
from cli.log import Form, log_to
from cli.options import complain
from cli.run_command import RunCommand
from cli.wiring import Start, open_context
from config.blanking import secrets_in
from config.home import Home
from config.settings import Settings
from graph.chat.records import Records
from graph.chat.talking import ChatContext
from graph.chat.wiring import answers, build_chat, said_in
from graph.checkpoints import StepsNotKept, open_checkpoints
from graph.events import Answered, Said
from graph.journal import Journal, JournalError
from graph.memory import UNREADABLE, open_memory
from graph.record import Exchange
from graph.sense import observe, the_account
from graph.state import Context
from graph.think.openai_mind import open_mind
from graph.think.study import Study
from tools.account import utc_now
from tools.wire.foreign_text import one_line

NAME = "chat"
"""Where a line of the log has the id of a run."""
MOST_CLIENT_IDS = 999_999
Thing = TypeVar("Thing")


class Shows(Protocol):
    """Shows what is told while an answer is made."""

    def show(self, said: Said) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Asking:
    """A question; it is kept in `thread`, or nowhere. `may_propose` says that a person is there to say yes or no."""

    question: str
    thread: str | None
    may_propose: bool


def answered(asking: Asking, place: Home, settings: Settings, command: RunCommand, shows: Shows) -> Answered | None:
    """Ask, and show what is told; None, and why on stderr, where nobody could be asked.

    Raises:
        KeyboardInterrupt: the person wants no answer any more; nothing of it is kept.
    """
    try:
        log_to(place.log_file(settings.log_file), settings.log_level, Form(NAME, secrets_in(os.environ)), complain)
        return asyncio.run(put(asking, place, settings, command, shows))
    except JournalError as error:
        complain(str(error))
    except (StepsNotKept, *UNREADABLE, ImportError) as error:
        why = one_line(str(error.__cause__ or error), 200)
        files = f"{place.chats.name} and {place.memory.name} in {place.root}"
        complain(
            f"The question cannot be put ({why}); nothing was asked. Look at {files}, and move away what is damaged."
        )
    finally:
        shows.stop()
    return None


async def put(asking: Asking, place: Home, settings: Settings, command: RunCommand, shows: Shows) -> Answered | None:
    last: Answered | None = None
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(closing(Journal(place.database)))
        store = await stack.enter_async_context(open_memory(place.memory))
        kept = await stack.enter_async_context(open_checkpoints(place.chats)) if asking.thread else None
        account = await stack.enter_async_context(on_demand(lambda: account_context(settings, place, command)))
        context = ChatContext(
            settings=settings,
            mind=await stack.enter_async_context(open_mind(settings)),
            records=Records(journal, store, next(iter(journal.history.accounts()), None), utc_now()),
            study=Once(lambda: _study(account, store)).get,
            clock=utc_now,
            may_propose=asking.may_propose,
        )
        async for said in answers(build_chat(kept), asking.thread or "", asking.question, context):
            if isinstance(said, Answered):
                last = said
            shows.show(said)
        if kept and asking.thread:
            await kept.aprune([asking.thread])
    return last


def earlier_in(thread: str, place: Home) -> tuple[Exchange, ...]:
    """What was said in the thread so far; nothing where that cannot be read, which the next question tells."""

    async def read() -> tuple[Exchange, ...]:
        async with open_checkpoints(place.chats) as kept:
            return await said_in(build_chat(kept), thread)

    with suppress(StepsNotKept, *UNREADABLE):
        return asyncio.run(read()) if place.chats.exists() else ()
    return ()


@asynccontextmanager
async def account_context(settings: Settings, place: Home, command: RunCommand) -> AsyncIterator[Context]:
    """The handles to look at an account by; beside a run that may be at work over TWS, where ids are for one alone.

    Raises:
        Terminal: there is nothing to look at.
    """
    beside = settings.tws_client_id % MOST_CLIENT_IDS + 1
    looking = settings.model_copy(update={"think_mode": "rules", "tws_client_id": beside})
    try:
        async with open_context(looking, place, Start(command=command)) as context:
            yield replace(context, settings=settings)
    except MarketError as error:
        raise Terminal(str(error)) from error


async def study_in(context: Context, store: BaseStore | None = None) -> Study:
    """The account and its market as they are now."""
    snapshot = await observe(await the_account(context.reader), context)
    return Study(snapshot, context.trading_day(snapshot), context, store)


async def _study(account: Callable[[], Awaitable[Context]], store: BaseStore) -> Study:
    return await study_in(await account(), store)


class Once(Generic[Thing]):
    """What is made when it is first wanted, and is the same from then on; a failure is tried again."""

    def __init__(self, make: Callable[[], Awaitable[Thing]]) -> None:
        self._make, self._lock, self._made = make, asyncio.Lock(), list[Thing]()

    async def get(self) -> Thing:
        async with self._lock:
            if not self._made:
                self._made.append(await self._make())
            return self._made[0]


@asynccontextmanager
async def on_demand(
    opening: Callable[[], AbstractAsyncContextManager[Thing]],
) -> AsyncIterator[Callable[[], Awaitable[Thing]]]:
    """A way to what `opening` opens for the first who asks, and closes at the end.

    One and the same task does both, as the sessions in it insist on; a graph's nodes are tasks of their own.
    """
    wanted, over = asyncio.Event(), asyncio.Event()
    there: asyncio.Future[Thing] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        await wanted.wait()
        try:
            async with opening() as thing:
                there.set_result(thing)
                await over.wait()
        except Exception as error:
            if there.done():
                raise
            there.set_exception(error)

    async def get() -> Thing:
        wanted.set()
        return await asyncio.shield(there)

    holder = asyncio.create_task(hold())
    try:
        yield get
    finally:
        over.set()
        if not wanted.is_set():
            holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        if there.done() and not there.cancelled():
            there.exception()  # one that nobody waited for must not be told of on the screen
