"""A model behind OpenAI's API, or behind a server that speaks it.

Importing this costs most of a second, so only runs that ask a model do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import openai
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from langchain_openai._compat import httpx  # the one of two libraries of that kind that the client is built on
from pydantic import SecretStr

from config.settings import Settings
from graph.think.mind import AskOtherwise, CutShort, Manner, NoAnswer, Question
from tools.wire.foreign_text import one_line

OPENAI = "https://api.openai.com/v1"
MOST_BYTES, MOST_OF_A_LINE = 16_000_000, 32_000
NO_KEY = "none"
"""What servers that want no key are sent, as the library insists on one."""

# What the libraries raise over an answer that is not in the protocol's form.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)
REFUSED, UNKNOWN, BUSY, BROKEN = (401, 403), 404, 429, 500
BAD_REQUESTS = (400, 405, 415, 422, 501)


@asynccontextmanager
async def open_mind(settings: Settings) -> AsyncIterator[OpenAIMind]:
    """The model that the settings name; nothing is asked yet."""
    # Compressed, a small answer could unfold into any size.
    headers, hooks = {"Accept-Encoding": "identity"}, {"response": [_bound]}
    # What the model is told is for its server, and not for whom that may name instead.
    async with openai.DefaultAsyncHttpxClient(headers=headers, event_hooks=hooks, follow_redirects=False) as client:
        yield OpenAIMind(settings, client)


async def _bound(response: httpx.Response) -> None:
    """Hold what is read of the response within bounds, whatever the server sends."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NoAnswer(f"the model server {response.url.netloc.decode()} compresses its answers, and was asked not to")
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _Bounded(response.stream)


class _Bounded(httpx.AsyncByteStream):
    """A stream that breaks off where it, or one line of it, is longer than any answer.

    Lines matter as the library reads arguments of tools in time that grows with the square of their length.
    """

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = line = 0
        async for part in self._stream:
            first, *others = part.split(b"\n")
            longest = max(line + len(first), *map(len, others), 0)
            line = len(others[-1]) if others else line + len(first)
            total += len(part)
            if total > MOST_BYTES or longest > MOST_OF_A_LINE:
                raise NoAnswer("the model server's answer is longer than any answer; it was not read on")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class OpenAIMind:
    """`ChatOpenAI`, set up by the settings; see `Mind`."""

    def __init__(self, settings: Settings, client: Any) -> None:
        self._settings = settings
        self._key = settings.openai_api_key or SecretStr(NO_KEY)
        self._model = ChatOpenAI(
            model=settings.model,
            base_url=settings.openai_base_url or OPENAI,
            api_key=self._key,
            temperature=settings.temperature,
            timeout=settings.model_timeout_seconds,
            # Its way to wait for each chunk swallows a cancellation on Python 3.11 where the chunk is there already.
            stream_chunk_timeout=None,
            max_retries=settings.model_retries,
            stream_usage=True,
            use_responses_api=settings.use_responses_api,
            http_async_client=client,
        )

    @property
    def name(self) -> str:
        return self._settings.model

    @property
    def server(self) -> str:
        return urlsplit(self._settings.openai_base_url or OPENAI).netloc

    async def answer(self, question: Question) -> AsyncIterator[AIMessageChunk]:
        has_begun = False
        try:
            async for chunk in self._model.astream(list(question.messages), **self._asked(question)):
                has_begun = True
                yield chunk
        except openai.APIStatusError as error:
            raise self._refusal(error) from error
        except (openai.APITimeoutError, TimeoutError) as error:
            seconds = self._settings.model_timeout_seconds
            raise NoAnswer(f"{self._who} said nothing for {seconds} s (model_timeout_seconds)") from error
        except openai.APIConnectionError as error:
            if has_begun:
                raise CutShort(f"{self._who} broke off its answer ({self._words(error)})") from error
            advice = "look whether it runs, and at OPENAI_BASE_URL"
            raise NoAnswer(f"{self._who} cannot be reached ({self._words(error)}): {advice}") from error
        except openai.OpenAIError as error:
            raise CutShort(f"{self._who} broke off its answer ({self._words(error)})") from error
        except OSError as error:
            raise CutShort(f"{self._who} broke off its answer ({self._words(error)})") from error
        except UNREADABLE as error:
            why = f"{self._who} gave an answer that cannot be read ({self._words(error)})"
            raise CutShort(f"{why}: look whether OPENAI_BASE_URL is that of an OpenAI-compatible server") from error

    def request(self, question: Question) -> dict[str, Any]:
        asked = {**self._asked(question), "stream": True}
        if not self._settings.use_responses_api:
            asked["stream_options"] = {"include_usage": True}
        body = self._model._get_request_payload(list(question.messages), **asked)  # noqa: SLF001  (what is sent)
        return {**{key: value for key, value in body.items() if key != "extra_body"}, **body.get("extra_body", {})}

    def _asked(self, question: Question) -> dict[str, Any]:
        """The parameters of one request besides its messages."""
        wanted, asked = question.form, dict[str, Any](max_tokens=question.most_tokens)
        tools = [*question.tools]
        if wanted and question.manner is Manner.FUNCTION_CALLING:
            function = {"name": wanted.name, "description": wanted.says, "parameters": wanted.schema}
            tools.append({"type": "function", "function": function})
        if tools:
            asked |= {"tools": tools, "parallel_tool_calls": True}
        if wanted and question.manner is Manner.JSON_SCHEMA:
            # Sent past the library, which otherwise reads the answer by itself, and wants every tool to be strict.
            form = {"name": wanted.name, "strict": True, "schema": wanted.schema}
            if self._settings.use_responses_api:
                asked["extra_body"] = {"text": {"format": {"type": "json_schema", **form}}}
            else:
                asked["extra_body"] = {"response_format": {"type": "json_schema", "json_schema": form}}
        return asked

    def _refusal(self, error: openai.APIStatusError) -> NoAnswer:
        status, words = error.status_code, self._words(error)
        if status in REFUSED:
            return NoAnswer(
                f"{self._who} refused the key in OPENAI_API_KEY (HTTP {status}): set one that is valid there"
            )
        if status == BUSY:
            times = self._settings.model_retries + 1
            return NoAnswer(f"{self._who} said {times} times that a quota or rate limit is used up (HTTP 429: {words})")
        if status == UNKNOWN:
            if "model" in words.lower():
                return NoAnswer(f"{self._who} does not know the model {self.name} (HTTP 404: {words})")
            at = self._settings.openai_base_url or OPENAI
            return NoAnswer(f"there is nothing at {at} (HTTP 404): such an address usually ends in /v1")
        if status in BAD_REQUESTS:
            return AskOtherwise(f"{self._who} refused the request (HTTP {status}: {words})")
        told = f"is out of order (HTTP {status})" if status >= BROKEN else f"answered with HTTP {status}: {words}"
        return NoAnswer(f"{self._who} {told}")

    @property
    def _who(self) -> str:
        return f"The model server {self.server}"

    def _words(self, error: Exception) -> str:
        """What the error says, without the key, which some gateways repeat."""
        said = str(error.__cause__ or error) if isinstance(error, openai.APIConnectionError) else str(error)
        body = getattr(error, "body", None)
        if isinstance(body, dict) and isinstance(body.get("message"), str):
            said = body["message"]
        return one_line(said.replace(self._key.get_secret_value(), "…"), 160) or type(error).__name__
