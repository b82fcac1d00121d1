"""Notifications, received by real HTTP servers on the loopback: from runs, halts and the test command."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.exit_codes import ExitCode
from cli.main import app
from cli.notify import tell_what_waited
from cli.notify.messages import Level, Notification, of_failure, of_halt, of_run
from cli.notify.outbox import MOST_HELD, Outbox, is_quiet
from cli.notify.sending import Sent, send
from config.home import Home
from graph.journal import Question
from graph.record import Outcome, RunRecord
from portfolio.models import OrderRecord, OrderStatus, ProposedTrade, Side, TradePlan
from tests.cli.test_command import smart_agent
from tests.graph.conftest import settings_with
from tests.portfolio.cases import terms

TOKEN = "tok-0123456789abcdef"  # noqa: S105
DAY = ("--as-of", "2026-06-15")
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; a path that ends in 500 is answered so."""

    def __init__(self, answer: Callable[..., BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), answer)
        self.received: list[dict[str, str]] = []

    def url(self, path: str = "") -> str:
        return f"json://user:{TOKEN}@127.0.0.1:{self.server_port}/{TOKEN}/{path}"


class Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(500 if self.path.endswith("500") else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def invoke(home: Home, *arguments: str, urls: str = "", **variables: str) -> tuple[int, str]:
    env = {
        "SMART_AGENT_NOTIFY_URLS": urls,
        "NO_PROXY": "127.0.0.1",
        **variables,
    }
    result = CliRunner().invoke(app, [*arguments, "--home", str(home.root)], env=env)
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def no_token_in(home: Home, *outputs: str) -> None:
    assert not [file for file in home.root.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]
    assert TOKEN not in "".join(outputs)


def bodies(receiver: Receiver) -> list[str]:
    return [one["message"] for one in receiver.received]


def test_a_run_that_is_refused_before_it_begins_is_told_where_nobody_looks_on(home: Home, receiver: Receiver) -> None:
    home.config_file.write_text('{"risk_threshold": -1}')
    for _ in range(2):
        code, _ = invoke(home, "run", *DAY, urls=receiver.url())
        assert code == ExitCode.BAD_USAGE
    (body,) = bodies(receiver)
    assert "refused before it began" in body
    assert "smart-agent doctor" in body


def test_what_was_held_back_is_told_when_no_message_will_come_for_now(home: Home, receiver: Receiver) -> None:
    settings = settings_with(notify_urls=receiver.url(), notify_batch_minutes=1440)
    outbox = Outbox(home.outbox, settings, datetime.now(UTC))
    for words in ("first", "second"):
        outbox.put(told(words), lambda one: send(one, [receiver.url()]))
    assert len(receiver.received) == 1
    tell_what_waited(settings, home)
    assert ["second" in body for body in bodies(receiver)] == [False, True]
    tell_what_waited(settings, home)
    assert len(receiver.received) == 2


def test_a_brokers_words_call_nobody_in_a_chat(home: Home) -> None:
    ended = of_failure("<!channel> @everyone <@U1> sell", ExitCode.FAILED, home)
    assert not [call for call in ("<!", "@everyone", "<@", "@U1") if call in ended.body + ended.title]


# --- the test command ------------------------------------------------------------------------------------------------


def test_a_test_message_arrives_at_each_address(home: Home, receiver: Receiver) -> None:
    code, output = invoke(home, "notify", "test", urls=f"{receiver.url()} {receiver.url('other')}")
    assert (code, output.count(": sent"), len(receiver.received)) == (0, 2, 2)
    no_token_in(home, output)


@pytest.mark.parametrize(
    "broken", ["nonsense://tok-0123456789abcdef", "json://127.0.0.1:9/tok-0123456789abcdef", "500"]
)
def test_one_that_is_broken_is_told_of_and_the_other_is_served(home: Home, receiver: Receiver, broken: str) -> None:
    url = receiver.url(broken) if broken == "500" else broken
    code, output = invoke(home, "notify", "test", urls=f"{url} {receiver.url()}", LOG_LEVEL="DEBUG")
    assert (code, output.count("✗"), output.count(": sent")) == (1, 1, 1)
    no_token_in(home, output)


def test_without_an_address_the_variable_is_named(home: Home) -> None:
    code, output = invoke(home, "notify", "test")
    assert code == 2
    assert "SMART_AGENT_NOTIFY_URLS is not set" in output


@pytest.mark.parametrize("urls", ["nonsense", "ntfy:/x", f"ntfy://a {TOKEN}"])
def test_what_is_no_address_is_refused_and_not_repeated(home: Home, urls: str) -> None:
    code, output = invoke(home, "notify", "test", urls=urls)
    assert code == 2
    assert "these are not addresses for notifications" in output
    assert TOKEN not in output


def test_addresses_in_a_file_are_refused_and_not_repeated(home: Home) -> None:
    home.config_file.write_text(json.dumps({"notify_urls": f"ntfy://{TOKEN}"}))
    code, output = invoke(home, "notify", "test")
    assert code == 2
    assert "Move it to the environment variable SMART_AGENT_NOTIFY_URLS" in output
    assert TOKEN not in output


def test_the_configuration_shows_whether_they_are_set(home: Home) -> None:
    _, output = invoke(home, "config", "show", "--json", urls=f"ntfy://{TOKEN}")
    assert json.loads(output)["notify_urls"]["value"] == "set"
    assert TOKEN not in output


# --- what runs and halts tell ----------------------------------------------------------------------------------------


def test_a_run_tells_what_it_traded_and_the_next_what_waits_and_what_to_type(home: Home, receiver: Receiver) -> None:
    code, out = invoke(home, "run", *DAY, urls=receiver.url(), LOG_LEVEL="DEBUG")
    (traded,) = receiver.received
    assert code == 0
    assert traded["title"] == "Traded: SELL 6 NVDA, BUY 2 VOO, BUY 2 VTI"
    for words in ("Completed 3 of 3 trades.", "BUY 2 VOO: FILLED, 2 filled at", "Total drift 34.5 → 29.6 points", "$"):
        assert words in traded["message"]
    assert "DU" not in traded["message"], "the account's id is nobody's business"
    always = {"SMART_AGENT_REQUIRE_APPROVAL": "always"}
    code, out_2 = invoke(home, "run", "--as-of", "2026-06-16", urls=receiver.url(), **always)
    assert code == 5
    _, pending = invoke(home, "pending", "--json")[1], invoke(home, "pending", "--json")[1]
    run_id = json.loads(pending)[0]["run_id"]
    wanted = receiver.received[1]
    assert wanted["title"] == "Approval wanted"
    assert f"smart-agent approve {run_id} --home {home.root}" in wanted["message"]
    assert f'smart-agent reject {run_id} --home {home.root} --why "…"' in wanted["message"]
    no_token_in(home, out, out_2)


def test_a_halt_and_a_broker_out_of_reach_are_told_once(home: Home, receiver: Receiver) -> None:
    for _ in range(2):
        code, _ = invoke(home, "run", "--mcp-url", "http://127.0.0.1:9/mcp", urls=receiver.url())
        assert code == 3
    invoke(home, "halt", "--why", "on holiday", urls=receiver.url())
    code, _ = invoke(home, "run", *DAY, urls=receiver.url())
    assert code == 6
    titles = [one["title"] for one in receiver.received]
    assert titles == ["The broker cannot be reached", "Trading is halted", "Trading is halted"]
    invoke(home, "resume", urls=receiver.url())
    assert receiver.received[-1]["title"] == "Trading goes on"
    assert f"smart-agent resume --home {home.root}" in receiver.received[1]["message"]


def test_an_emergency_stop_that_does_not_reach_the_broker_tells_of_its_halt(home: Home, receiver: Receiver) -> None:
    code, _ = invoke(home, "emergency-stop", "--mcp-url", "http://127.0.0.1:9/mcp", urls=receiver.url())
    assert code == 3
    assert [one["title"] for one in receiver.received] == ["Trading is halted"]


def test_a_halt_that_nobody_can_be_told_of_is_a_halt_with_one_line_about_that(home: Home) -> None:
    urls = {"SMART_AGENT_NOTIFY_URLS": f"json://127.0.0.1:9/{TOKEN}", "NO_PROXY": "127.0.0.1"}
    done = smart_agent("halt", "--home", home.root, **urls)
    assert (done.returncode, "Trading is halted" in done.stdout) == (0, True)
    (line,) = done.stderr.splitlines()
    assert line.startswith("Notification to JSON (address 1): not taken")


class Dripping(Answer):
    """A byte at a time, without an end."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"x")
                time.sleep(0.5)


@pytest.mark.slow
def test_a_service_whose_answer_never_ends_keeps_no_process_from_ending(home: Home) -> None:
    with Receiver(Dripping) as drip:
        threading.Thread(target=drip.serve_forever, daemon=True).start()
        done = smart_agent("halt", "--home", home.root, SMART_AGENT_NOTIFY_URLS=drip.url(), NO_PROXY="127.0.0.1")
        drip.shutdown()
    assert done.returncode == 0
    assert done.stderr == "Notification to JSON (address 1): no answer within 10 s\n"


@pytest.mark.slow
def test_a_service_that_hangs_costs_no_exit_code_and_no_order(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"json://127.0.0.1:{silent.getsockname()[1]}/{TOKEN}"
        code, output = invoke(home, "run", *DAY, urls=url)
    assert code == 0
    assert "Completed 3 of 3 trades." in output
    assert "Notification to JSON (address 1): " in output
    no_token_in(home, output)
    held = json.loads(home.outbox.read_text())["held"]
    assert [one["title"][:6] for one in held] == ["Traded"]


def test_a_person_who_wants_no_messages_pays_for_none(home: Home) -> None:
    sys.modules.pop("cli.notify.sending", None)
    code, _ = invoke(home, "run", *DAY)
    assert code == 0
    assert "cli.notify.sending" not in sys.modules
    assert not home.outbox.exists()


# --- what a record amounts to ----------------------------------------------------------------------------------------


def record(outcome: Outcome, message: str = "So it is.", **others: Any) -> RunRecord:
    nothing: dict[str, Any] = dict.fromkeys(("snapshot", "plan", "reflection", "thought"))
    nothing |= dict.fromkeys(("lessons", "verdicts", "orders", "notes"), ())
    times = dict.fromkeys(("started_at", "finished_at", "as_of"), NOON)
    known = {"run_id": "r", "mode": "paper", "account": "DU1", "strategy": "default", "usage": {}, "timings": {}}
    return RunRecord(**{**nothing, **times, **known, "outcome": outcome, "message": message, **others})


def order(status: OrderStatus, symbol: str = "NVDA", message: str = "", filled: int = 0) -> OrderRecord:
    return OrderRecord.model_validate(
        {
            "client_order_id": "r-1", "broker_order_id": "1", "symbol": symbol, "side": "SELL", "quantity": 2,
            "status": status, "filled_quantity": filled, "average_price": 100 if filled else None, "commission": None,
            "message": message, "limit_price": 100,
        }
    )  # fmt: skip


@pytest.mark.parametrize("outcome", Outcome)
def test_every_end_of_a_run_has_words_and_a_level(home: Home, outcome: Outcome) -> None:
    told = of_run(record(outcome), None, home)
    assert told.title
    assert "So it is." in told.body
    urgent = {"order_unknown", "halted", "unreachable", "data_unfit", "failed", "waiting_for_approval"}
    assert (told.level is Level.URGENT) == (outcome.value in urgent)


def test_a_stop_loss_and_a_rejection_are_named_first(home: Home) -> None:
    trade = ProposedTrade(symbol="NVDA", side=Side.SELL, quantity=2, reason="NVDA hit stop_loss", protective=True)
    plan = TradePlan(source="rules", trades=(trade,))
    sold = record(Outcome.TRADED, plan=plan, orders=(order(OrderStatus.FILLED, filled=2),))
    assert of_run(sold, None, home).title == "Stop loss hit: NVDA"
    kept = of_run(record(Outcome.NOTHING_APPROVED, plan=plan), None, home)
    assert (kept.title, kept.level) == ("Stop loss hit: NVDA", Level.IMPORTANT), "a sale that was refused matters too"
    rejected = record(Outcome.REFUSED, orders=(order(OrderStatus.REJECTED, message="no permission"),))
    told = of_run(rejected, None, home)
    assert told.title == "The broker rejected SELL 2 NVDA"
    assert "no permission" in told.body


def test_what_to_type_comes_before_however_many_orders(home: Home) -> None:
    orders = tuple(terms(f"S{number}", Side.BUY, 5) for number in range(40))
    question = Question(
        run_id="20260615-193000-1a2b3c", account_id="DU1", asked_at=NOON, expires_at=NOON, why="you want to be asked",
        orders=orders, warnings=("it trades\nsmart-agent approve evil",), command={},
    )  # fmt: skip
    lines = of_run(record(Outcome.WAITING_FOR_APPROVAL), question, home).body.split("\n")
    assert lines[1] == f"smart-agent approve 20260615-193000-1a2b3c --home {home.root}"
    assert lines[2].startswith("smart-agent reject 20260615-193000-1a2b3c")
    assert lines[-1] == "… and 29 more lines"
    assert not [line for line in lines if line.startswith("smart-agent approve evil")]


@pytest.mark.parametrize(
    ("code", "title"),
    [
        (ExitCode.UNREACHABLE, "The broker cannot be reached"),
        (ExitCode.HALTED, "Trading is halted"),
        (ExitCode.ORDER_UNKNOWN, "An order's outcome is unknown"),
        (ExitCode.BAD_USAGE, "A run failed"),
        (ExitCode.FAILED, "A run failed"),
    ],
)
def test_a_run_without_a_record_is_named_by_its_exit_code(home: Home, code: ExitCode, title: str) -> None:
    told = of_failure("See `smart-agent orders list`.", code, home)
    assert (told.title, told.level) == (title, Level.URGENT)
    assert told.body == f"See `smart-agent orders list --home {home.root}`."


def test_words_of_others_stay_one_plain_line(home: Home) -> None:
    hostile = "x\x1b[31m\nsmart-agent approve evil\n<b>now</b>" + "y" * 1000
    rejected = record(Outcome.REFUSED, orders=(order(OrderStatus.REJECTED, symbol="A\nB", message=hostile),))
    told = of_run(rejected, None, home)
    lines = told.body.split("\n")
    assert "\x1b" not in told.title + told.body
    assert len(lines) == 2
    assert max(len(line.replace("\u200b", "")) for line in lines) <= 300


# --- what goes out when ----------------------------------------------------------------------------------------------


class Post:
    """Takes every message, or none."""

    def __init__(self, *, works: bool = True) -> None:
        self.taken: list[Notification] = []
        self.works = works

    def __call__(self, one: Notification) -> list[Sent]:
        if self.works:
            self.taken.append(one)
        return [Sent("JSON (address 1)", self.works, "so")]


def put(home: Home, post: Post, told: Notification, now: datetime = NOON, **changes: Any) -> None:
    Outbox(home.outbox, settings_with(**{"notify_batch_minutes": 0, **changes}), now).put(told, post)


def told(text: str, level: Level = Level.IMPORTANT) -> Notification:
    return Notification(text, f"body of {text}", level)


NOTHING = told("a run that traded nothing", Level.ROUTINE)
"""Less than is wanted, and so only an occasion for what waits."""


@pytest.mark.parametrize(("least", "taken"), [("routine", "abc"), ("important", "bc"), ("urgent", "c")])
def test_what_matters_less_than_wanted_is_not_told(home: Home, least: str, taken: str) -> None:
    post = Post()
    for text, level in zip("abc", Level, strict=True):
        put(home, post, told(text, level), notify_level=least)
    assert "".join(one.title for one in post.taken) == taken


def test_in_quiet_hours_the_urgent_goes_out_and_takes_the_rest_along(home: Home) -> None:
    night = datetime(2026, 6, 15, 23, tzinfo=datetime.now().astimezone().tzinfo).astimezone(UTC)
    post, quiet = Post(), dict[str, Any](notify_quiet_hours="22:00-07:00")
    put(home, post, told("a"), night, **quiet)
    put(home, post, told("b"), night + timedelta(hours=1), **quiet)
    assert post.taken == []
    put(home, post, NOTHING, night + timedelta(hours=9), **quiet)
    assert [one.title for one in post.taken] == ["b (and 1 more)"]
    assert "body of a" in post.taken[0].body
    put(home, post, told("c"), night, **quiet)
    put(home, post, told("d", Level.URGENT), night, **quiet)
    assert post.taken[1].title == "d (and 1 more)"


@pytest.mark.parametrize(
    ("hours", "at", "quiet"),
    [("22:00-07:00", 23, True), ("22:00-07:00", 3, True), ("22:00-07:00", 7, False), ("22:00-07:00", 12, False),
     ("12:00-13:00", 12, True), ("12:00-13:00", 13, False), (None, 3, False)],
)  # fmt: skip
def test_quiet_hours_go_by_this_computers_clock_and_over_midnight(hours: str | None, at: int, quiet: bool) -> None:  # noqa: FBT001
    here = datetime(2026, 6, 15, at, tzinfo=datetime.now().astimezone().tzinfo)
    assert is_quiet(here.astimezone(UTC), hours) is quiet


def test_messages_that_come_soon_after_another_wait_and_go_out_together(home: Home) -> None:
    post, batch = Post(), dict[str, Any](notify_batch_minutes=10)
    put(home, post, told("urgent", Level.URGENT), NOON - timedelta(minutes=1), **batch)
    put(home, post, told("a"), NOON, **batch)
    put(home, post, told("b"), NOON + timedelta(minutes=3), **batch)
    put(home, post, told("c"), NOON + timedelta(minutes=9), **batch)
    assert [one.title for one in post.taken] == ["urgent", "a"]
    put(home, post, NOTHING, NOON + timedelta(minutes=10), **batch)
    assert [one.title for one in post.taken] == ["urgent", "a", "c (and 1 more)"]


def test_each_halt_is_news_also_for_the_same_reason(home: Home) -> None:
    post = Post()
    for minute in range(2):
        at = NOON + timedelta(minutes=minute)
        put(home, post, of_halt("on holiday", home, at), at)
    assert [one.title for one in post.taken] == ["Trading is halted"] * 2


def test_a_clock_that_was_wrong_once_keeps_nothing_back(home: Home) -> None:
    post = Post()
    put(home, post, told("a"), NOON + timedelta(days=1000), notify_batch_minutes=10)
    put(home, post, told("a"), NOON, notify_batch_minutes=10)
    assert len(post.taken) == 2


@pytest.mark.parametrize("name", ["outbox.json", "outbox.lock"])
@pytest.mark.parametrize("hours", [None, "00:00-23:59"])
def test_what_cannot_be_kept_goes_out_at_once(home: Home, name: str, hours: str | None) -> None:
    (home.root / name).mkdir()
    post = Post()
    put(home, post, told("a"), notify_quiet_hours=hours)
    put(home, post, NOTHING, notify_quiet_hours=hours)
    assert [one.title for one in post.taken] == ["a"]


def test_what_is_about_to_be_sent_is_kept_already(home: Home) -> None:
    held = []

    def post(_: Notification) -> list[Sent]:
        held.extend(json.loads(home.outbox.read_text())["held"])
        return []

    Outbox(home.outbox, settings_with(), NOON).put(told("a"), post)
    assert [one["title"] for one in held] == ["a"]


def test_what_is_too_long_for_a_service_is_cut_there(receiver: Receiver) -> None:
    (sent,) = send(Notification("a", "b" * 100_000, Level.URGENT), [receiver.url()])
    assert sent.arrived
    assert 1000 < len(receiver.received[0]["message"]) < 40_000


def test_the_same_words_are_said_once_a_day(home: Home) -> None:
    post = Post()
    for hours in (0, 1, 23, 24, 25):
        put(home, post, told("a", Level.URGENT), NOON + timedelta(hours=hours))
    assert len(post.taken) == 2


def test_what_nobody_took_is_kept_within_bounds_and_sent_with_the_next(home: Home) -> None:
    post = Post(works=False)
    for number in range(MOST_HELD + 5):
        put(home, post, told(f"a{number}"))
    post.works = True
    put(home, post, told("last"))
    assert post.taken[0].title == f"last (and {MOST_HELD - 1} more)"
    put(home, post, NOTHING)
    assert len(post.taken) == 1


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[]",
        b"no JSON",
        b"\xff",
        b'{"held": [{"title": 1}], "said": {}, "last": null}',
        b'{"held": [], "said": {"a": "2026-06-15T12:00:00"}, "last": "2026-06-15T12:00:00"}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_outbox_loses_its_messages_and_nothing_else(home: Home, damage: bytes) -> None:
    home.outbox.write_bytes(damage)
    post = Post()
    put(home, post, told("a"))
    assert [one.title for one in post.taken] == ["a"]


def test_two_at_the_outbox_lose_nothing(home: Home) -> None:
    quiet: dict[str, Any] = {"notify_quiet_hours": "00:00-23:59"}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(home, Post(), told(f"a{number}"), **quiet), range(20)))
    assert len(json.loads(home.outbox.read_text())["held"]) == 20
