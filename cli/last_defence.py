"""What no command expected: one sentence and exit code 1; the stack trace for those alone who ask for it by --debug."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from cli.exit_codes import ExitCode
from cli.journal import plain
from cli.options import exit_with

OURS = "smart_agent"


class LastDefence(TyperGroup):
    """The command with all its commands."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        with _told_of_bad_usage():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _told_of_bad_usage():
                return super().invoke(ctx)
        except (TyperException, typer.Exit, typer.Abort, EOFError, BrokenPipeError):
            raise  # a help page, or what ends in silence
        except Exception as error:  # noqa: BLE001  (that is what it is for)
            if ctx.params["debug"]:
                sys.stderr.write(_traceback_of(error))
            exit_with(ExitCode.FAILED, _sentence_on(error, ctx.invoked_subcommand))
        finally:
            if not sys.stdout.closed:  # as the MCP server over stdio leaves it
                sys.stdout.flush()  # a reader that has left is noticed here, and not when the interpreter ends


@contextmanager
def _told_of_bad_usage() -> Iterator[None]:
    """Of what was typed wrong: what it is, and where the right way stands."""
    try:
        yield
    except TyperException as error:
        sentence = error.format_message().replace("Value error, ", "").rstrip(". ")
        context = getattr(error, "ctx", None)
        if not sentence:
            raise  # the help page of a command that was given nothing
        path = context.command_path if context else "smart-agent"
        nothing = " Nothing was done." if sentence.endswith("?") else "; nothing was done."
        exit_with(ExitCode.BAD_USAGE, f"{sentence}{nothing} `{path} --help` shows how it is written.")


class BlankedFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _blanked(super().format(record))


def show_tracebacks() -> None:
    """Let what is logged with a stack trace be seen on stderr, too."""
    handler = logging.StreamHandler()
    handler.setFormatter(BlankedFormatter())
    handler.addFilter(lambda record: record.exc_info is not None)
    log = logging.getLogger(OURS)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)


def _sentence_on(error: Exception, command: str) -> str:
    words = plain(_blanked(str(error)))
    return (
        f"`smart-agent {command}` broke off ({type(error).__name__}: {words}); what was done until then stands. "
        f"`smart-agent doctor` looks for the cause, and `smart-agent --debug {command} …` shows where it happened."
    )


def _traceback_of(error: Exception) -> str:
    return _blanked("".join(traceback.format_exception(error)))


def _blanked(text: str) -> str:
    """Errors quote what they met, keys too."""
    from config.blanking import blanked, secrets_in  # noqa: PLC0415  (the help page does without)

    return blanked(text, secrets_in(os.environ))
