"""Whether the language model answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

from langchain_core.messages import HumanMessage

from cli.checkup.finding import Finding, good, note
from config.settings import Settings
from graph.think.mind import AskOtherwise, Manner, NoAnswer, Question
from tools.wire.foreign_text import one_line

TINY = 'Answer with a plan without trades, the summary "ready", and nothing else.'
TINY_ANSWER = 400


async def of_the_model(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the model answers, and in which form; one tiny question is asked, and paid for."""
    if not settings.has_model:
        why = "think_mode is rules" if settings.think_mode == "rules" else "OPENAI_API_KEY is not set"
        yield note("model", f"none is asked ({why}); the rules decide")
        return
    from graph.think.openai_mind import open_mind  # noqa: PLC0415  (its libraries cost a second)

    manner: Manner | None = Manner.JSON_SCHEMA
    async with open_mind(settings) as mind:
        while manner:
            question = Question((HumanMessage(TINY),), (), manner, TINY_ANSWER)
            try:
                async for _ in mind.answer(question):
                    pass
            except AskOtherwise as error:
                refused, manner = error, manner.next
                if manner is None:
                    yield note("model", one_line(str(refused)), "The rules decide until it answers")
            except NoAnswer as error:
                yield note("model", one_line(str(error)), "The rules decide until it answers")
                return
            else:
                yield good("model", f"{mind.name} at {mind.server} answers, in the form {manner.value}")
                return
