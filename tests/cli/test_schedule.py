"""Scheduled runs: what is written where, what is left alone, and that what is written runs as cron would run it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pexpect
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from cli.main import app
from cli.schedule.crontab import Crontab, entries_in, line_of, without
from cli.schedule.job import Job
from cli.schedule.systemd import units_of
from cli.schedule.times import CronTimes, first_in_session
from config.home import Home
from tests.cli.test_command import SMART_AGENT

DAILY = CronTimes("30 10 * * 1-5")
CRONTAB = """#!/bin/sh
case "$1" in
  -l) if [ -f {file} ]; then cat {file}; else echo "no crontab for somebody" >&2; exit 1; fi ;;
  -) cat > {file}.new && mv {file}.new {file} ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >> {file}
"""
HOSTILE = 'it\'s 50% of "my" $HOME; `id` & ~ # ü*'


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return file


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a `crontab` of our own, first on PATH, keeps; no timers are there."""
    file = tmp_path / "somebody"
    program(tmp_path / "bin" / "crontab", CRONTAB.format(file=file))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return file


def schedule(*arguments: str | Path, **environment: str) -> Result:
    words = ["schedule", *map(str, arguments)]
    return CliRunner().invoke(app, words, env={"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None, **environment})


def added(home: Home, *arguments: str) -> str:
    """The id of a schedule that was written."""
    done = schedule("add", *arguments, "--home", home.root, "--yes")
    assert done.exit_code == 0, done.output
    found = re.search(r"schedule remove ([0-9a-f]{6})", done.stdout)
    assert found
    return found[1]


def as_cron(line: str, user_home: Path) -> int:
    """Run a line of a crontab as cron does: its "%" undone, by /bin/sh, with next to no environment; the exit code."""
    *_, command = line.split(maxsplit=5)
    assert "%" not in command.replace(r"\%", "")
    environ = [f"HOME={user_home}", "LOGNAME=somebody", "SHELL=/bin/sh", "PATH=/usr/bin:/bin"]
    words = ["env", "-i", *environ, "/bin/sh", "-c", command.replace(r"\%", "%")]
    done = subprocess.run(words, cwd=user_home, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == (b"", b""), "cron would send it by mail"
    return done.returncode


# What is shown, asked and written.


@pytest.mark.slow
def test_several_that_write_the_crontab_at_once_lose_nothing(tmp_path: Path, crontab: Path) -> None:
    """As somebody's own script may add a schedule for each home; reading and writing take their time here."""
    slow = CRONTAB.format(file=crontab).replace("  -l)", "  -l) sleep 0.1;").replace("  -)", "  -) sleep 0.1;")
    program(tmp_path / "bin" / "crontab", slow)
    crontab.write_bytes(b"# before\n")
    jobs = [Job(Path("/bin/smart-agent"), Home(Path(f"/home/{number}")), DAILY) for number in range(5)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(Crontab().add, jobs))
    assert {entry.id for entry in Crontab().entries()} == {job.id for job in jobs}
    with ThreadPoolExecutor() as pool:
        list(pool.map(Crontab().remove, [job.id for job in jobs]))
    assert crontab.read_bytes() == b"# before\n"


def test_without_a_yes_it_shows_everything_and_writes_nothing(home: Home, crontab: Path) -> None:
    done = schedule("add", "30 10 * * 1-5", "--home", home.root, OPENAI_API_KEY="sk-very-secret")
    assert done.exit_code == 2
    assert "nobody is here to say yes" in done.stderr
    assert f"30 10 * * 1-5 {SMART_AGENT} run --home" in done.stdout
    assert "OPENAI_API_KEY = (not shown)" in done.stdout
    assert "very-secret" not in done.output
    assert not crontab.exists()
    assert not list(home.root.glob("schedule*"))


def test_a_person_says_yes_and_what_was_edited_meanwhile_is_kept(home: Home, crontab: Path) -> None:
    crontab.write_bytes(b"# before\n")
    environ = {**os.environ, "COLUMNS": "200"}
    child = pexpect.spawn(
        str(SMART_AGENT), ["schedule", "add", "30 10 * * 1-5", "--home", str(home.root)], env=environ, timeout=30
    )
    child.expect(r"Write it\?")
    crontab.write_bytes(b"# edited meanwhile\n")
    child.sendline("y")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    ours, *rest = crontab.read_bytes().split(b"\n")
    assert ours.startswith(b"30 10 * * 1-5 ")
    assert rest == [b"# edited meanwhile", b""]


def test_the_variables_are_in_a_file_for_the_owner_alone_whatever_the_umask(home: Home, crontab: Path) -> None:
    secret = "sk-a'b\"c$d%e\\f#g"  # noqa: S105
    urls = "json://127.0.0.1/a%20b\njson://127.0.0.1/c"
    before = os.umask(0)
    try:
        done = schedule(
            "add",
            "@daily",
            "--home",
            home.root,
            "--yes",
            OPENAI_API_KEY=secret,
            SMART_AGENT_NOTIFY_URLS=urls,
            OTHER="x",
        )
    finally:
        os.umask(before)
    assert done.exit_code == 0, done.output
    (file,) = home.root.glob("schedule-*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.scheduled_log.stat().st_mode) == 0o600
    variables = json.loads(file.read_text(encoding="utf-8"))
    assert variables["OPENAI_API_KEY"] == secret
    assert variables["SMART_AGENT_NOTIFY_URLS"] == urls
    assert "OTHER" not in variables
    assert "sk-a" not in crontab.read_text(encoding="utf-8") + done.output


def test_the_same_again_is_one_schedule_with_the_variables_of_now(home: Home, crontab: Path) -> None:
    first = added(home, "@daily", "--strategy", "conservative")
    written = crontab.read_bytes()
    done = schedule(
        "add", "@daily", "--strategy", "conservative", "--home", home.root, "--yes", SMART_AGENT_MODEL="new"
    )
    assert done.exit_code == 0
    assert crontab.read_bytes() == written
    assert json.loads(home.variables_of(first).read_text(encoding="utf-8"))["SMART_AGENT_MODEL"] == "new"


def test_the_options_of_the_run_are_in_its_command(home: Home, crontab: Path) -> None:
    added(home, "--market", "close-1h", "--broker", "tws", "--port", "4002", "--risk-threshold", "500")
    line = crontab.read_text(encoding="utf-8")
    assert line.startswith("*/5 * * * * ")
    assert "--market close-1h --risk-threshold 500.0 --broker tws --port 4002 >>" in line


def test_a_schedule_is_listed_and_removed_with_its_variables_and_nothing_else(home: Home, crontab: Path) -> None:
    crontab.write_bytes(b"MAILTO=me\n\n5 4 * * sun echo '100\\%'\n#last, without an end")
    before = crontab.read_bytes()
    first, second = added(home, "@daily"), added(home, "--market", "open")
    listed = schedule("list").stdout
    assert all(word in listed for word in (first, second, "0 0 * * *", "open", str(home.root)))
    unclear = schedule("remove")
    assert (unclear.exit_code, "2 scheduled runs" in unclear.stderr) == (2, True)
    assert schedule("remove", "abcdef").exit_code == 2
    done = schedule("remove", first)
    assert f"Removed {first}" in done.stdout
    assert second in done.stdout
    assert not home.variables_of(first).exists()
    assert home.variables_of(second).exists()
    assert "any more" in schedule("remove").stdout
    assert crontab.read_bytes() == before
    assert not home.variables_of(second).exists()
    assert schedule("list").stdout == "Nothing is scheduled.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Say when"),
        (["@daily", "--market", "open"], "both say when"),
        (["--market", "noon"], "no moment of a session: write such as"),
        (["--market", "open+9h"], "at most 6h29m from either. Nothing was written."),
        (["30", "10", "*", "*", "1-5"], 'Put them in quotes: smart-agent schedule add "30 10 * * 1-5"'),
        (["@daily", "--user-crontab", "--systemd"], "exclude each other"),
        (["@daily", "--live-trading", "--broker", "tws"], "live account"),
        (["@daily", "--strategy", "agressive"], "aggressive"),
    ],
)
def test_what_could_not_run_is_not_scheduled(home: Home, crontab: Path, arguments: list[str], words: str) -> None:
    done = schedule("add", *arguments, "--home", home.root, "--yes")
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert not crontab.exists()


@pytest.mark.parametrize("name", ["new\nline", "tab\there", "back\\slash", "wrong \udcff", "hidden\u202e"])
def test_a_home_that_does_not_reach_a_command_whole_is_refused(tmp_path: Path, crontab: Path, name: str) -> None:
    done = schedule("add", "@daily", "--home", tmp_path / name, "--yes")
    assert done.exit_code == 2
    assert not crontab.exists()
    assert not (tmp_path / name).exists() or not list((tmp_path / name).glob("schedule*"))


@pytest.mark.usefixtures("crontab")
def test_a_crontab_that_cannot_be_read_or_written_is_left_and_no_file_stays(home: Home, tmp_path: Path) -> None:
    for script in ("echo you are not allowed >&2; exit 1", "[ $1 = -l ] || { echo disk full >&2; exit 1; }"):
        program(tmp_path / "bin" / "crontab", f"#!/bin/sh\n{script}\n")
        done = schedule("add", "@daily", "--home", home.root, "--yes")
        assert done.exit_code == 1
        assert re.search("not allowed|disk full", done.stderr)
        assert not list(home.root.glob("schedule-*.json"))


def test_a_schedule_whose_program_is_gone_says_so(home: Home, crontab: Path) -> None:
    added(home, "@daily")
    assert "program is gone" not in schedule("list").stdout
    crontab.write_text(crontab.read_text(encoding="utf-8").replace(str(SMART_AGENT), "/gone/smart-agent"))
    assert "program is gone" in schedule("list").stdout
    assert schedule("remove").exit_code == 0


# Byte for byte.

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"", b"# smart-agent", b"SHELL=/bin/bash", b"@reboot x", b"\xff\xfe odd", b"* * * * * a\\%b", b"\t \r"]
        ),
        st.binary(max_size=40).map(lambda text: text.replace(b"\0", b"").replace(b"\n", b"")),
    ),
    max_size=8,
)


@given(lines=LINES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_other_line_of_the_crontab_is_touched(crontab: Path, lines: list[bytes]) -> None:
    content = b"\n".join(lines)
    crontab.write_bytes(content)
    job = Job(Path("/bin/smart-agent"), Home(Path("/home/me")), DAILY)
    table = Crontab()
    table.add(job)
    assert crontab.read_bytes() == line_of(job).encode() + b"\n" + content
    assert [entry.id for entry in table.entries()] == [job.id]
    table.remove(job.id)
    assert crontab.read_bytes() == content


def test_a_line_of_ours_that_somebody_moved_or_changed_is_found_and_one_that_was_put_out_is_not() -> None:
    job = Job(Path("/bin/smart-agent"), Home(Path("/home/me")), DAILY)
    line = line_of(job).encode()
    changed = b"# mine\n\t" + line.replace(b"30 10", b"45  11") + b"  \nlast"
    (entry,) = entries_in(changed)
    assert (entry.id, entry.when, entry.words) == (job.id, "45  11 * * 1-5", job.words)
    assert without(changed, job.id) == b"# mine\nlast"
    assert entries_in(b"#" + line) == []


# What is written runs.


NAMES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="/.\\"), max_size=20)


@given(name=NAMES.filter(str.isprintable))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_words_of_a_command_come_through_cron_and_the_shell_as_they_are(tmp_path: Path, name: str) -> None:
    place = Home(tmp_path / (name or HOSTILE))
    place.root.mkdir(exist_ok=True)
    job = Job(program(tmp_path / "tell", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), place, DAILY, ("--config", HOSTILE))
    line = line_of(job)
    place.scheduled_log.unlink(missing_ok=True)
    assert as_cron(line, tmp_path) == 0
    assert place.scheduled_log.read_text(encoding="utf-8").split("\n")[:-1] == list(job.words[1:])
    assert entries_in(line.encode())[0].words == job.words


def test_the_line_makes_a_run_with_the_environment_of_cron(tmp_path: Path, crontab: Path) -> None:
    place = Home(tmp_path / HOSTILE)
    done = schedule("add", "* * * * *", "--home", place.root, "--yes")
    assert done.exit_code == 0, done.output
    (line,) = crontab.read_text(encoding="utf-8").splitlines()
    assert as_cron(line, tmp_path) == 0
    log = place.scheduled_log.read_text(encoding="utf-8")
    assert "REFLECT" in log
    assert "\x1b[" not in log
    assert len(list(place.reflections.iterdir())) == 1


def test_while_a_run_is_at_work_a_scheduled_one_does_nothing_and_says_so(home: Home, crontab: Path) -> None:
    added(home, "* * * * *")
    with FileLock(home.lock):
        assert as_cron(crontab.read_text(encoding="utf-8"), home.root) == 1
    assert "Another run is at work" in home.scheduled_log.read_text(encoding="utf-8")


@pytest.fixture
def own_crontab() -> Iterator[bytes]:
    """The real crontab of this user, which is the same after the test."""

    def read() -> bytes:
        return subprocess.run(["crontab", "-l"], capture_output=True, check=False).stdout

    if os.geteuid() != 0 or not shutil.which("cron") or not shutil.which("crontab"):
        pytest.skip("the cron daemon is not installed, or only root may start it")
    if subprocess.run(["pgrep", "-x", "cron"], capture_output=True, check=False).returncode == 0:
        pytest.skip("a cron daemon is running, and it is not ours to use")
    before = read()
    yield before
    assert read() == before


@pytest.mark.slow
@pytest.mark.usefixtures("own_crontab")
def test_the_real_cron_starts_the_run(tmp_path: Path) -> None:
    home = Home(tmp_path / HOSTILE)
    name = added(home, "* * * * *", "--user-crontab")
    try:
        daemon = subprocess.Popen(["cron", "-f"])
        try:
            deadline = time.monotonic() + 150
            while not list(home.reflections.iterdir()) and time.monotonic() < deadline:
                time.sleep(1)
        finally:
            daemon.terminate()
            daemon.wait()
    finally:
        removed = schedule("remove", name)
    assert removed.exit_code == 0, removed.output
    assert list(home.reflections.iterdir()), home.scheduled_log.read_text(encoding="utf-8")


# Timers.


@pytest.fixture
def systemctl(crontab: Path) -> Path:
    """What a `systemctl` of our own was asked to do."""
    asked = crontab.with_name("asked")
    program(asked.parent / "bin" / "systemctl", SYSTEMCTL.format(file=asked))
    return asked


def test_a_timer_is_written_started_listed_and_removed(home: Home, systemctl: Path, tmp_path: Path) -> None:
    name = added(home, "30 10 * * 1-5", "--systemd")
    units = tmp_path / "config" / "systemd" / "user"
    assert sorted(file.name for file in units.iterdir()) == [f"smart-agent-{name}.service", f"smart-agent-{name}.timer"]
    assert f"{name}  30 10 * * 1-5  {home.root}" in schedule("list").stdout
    assert schedule("remove").exit_code == 0
    assert not list(units.iterdir())
    assert not home.variables_of(name).exists()
    assert systemctl.read_text(encoding="utf-8").splitlines() == [
        "--user daemon-reload",
        f"--user enable --now smart-agent-{name}.timer",
        f"--user disable --now smart-agent-{name}.timer",
        "--user daemon-reload",
    ]


@pytest.mark.usefixtures("systemctl")
def test_what_is_kept_in_both_places_is_removed_from_both(home: Home, crontab: Path, tmp_path: Path) -> None:
    name = added(home, "@daily")
    assert added(home, "@daily", "--systemd") == name
    done = schedule("remove", name)
    assert done.stdout.count(f"Removed {name}") == 2
    assert crontab.read_bytes() == b""
    assert not list((tmp_path / "config" / "systemd" / "user").iterdir())


@pytest.mark.usefixtures("systemctl")
def test_where_systemd_does_not_take_it_no_file_is_left(home: Home, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "systemctl", "#!/bin/sh\necho Failed to connect to bus >&2; exit 1\n")
    done = schedule("add", "@daily", "--systemd", "--home", home.root, "--yes")
    assert done.exit_code == 1
    assert "Failed to connect to bus" in done.stderr
    assert not list((tmp_path / "config" / "systemd" / "user").iterdir())
    assert not list(home.root.glob("schedule-*.json"))


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed")
    return found


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, analyze: str) -> None:
    place = Home(tmp_path / HOSTILE)
    job = Job(program(tmp_path / "50% of" / "smart-agent", "#!/bin/sh\n"), place, CronTimes("*/20 9-16 1,15 * mon"))
    files = [tmp_path / name for name in units_of(job)]
    for file, text in zip(files, units_of(job).values(), strict=True):
        file.write_text(text, encoding="utf-8")
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    checked = subprocess.run(
        [analyze, "--user", "verify", *files], capture_output=True, text=True, env=environ, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    "text", ["30 10 * * 1-5", "*/5 * * * *", "0 9,16 1-7 * *", "0 9 1 * 1", "15 8-10/2 */10 jan-mar *", "0 12 * * 5-7"]
)
def test_a_timer_elapses_when_cron_would_start(analyze: str, text: str) -> None:
    times = CronTimes.parse(text)
    done = subprocess.run(
        [analyze, "calendar", "--iterations=5", "--base-time=2026-06-01 00:00:30 UTC", *times.on_calendar()],
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "UTC"},
        check=True,
    )
    elapses = re.findall(r"(?:elapse|Iteration #\d|Iter\. #\d): \w+ (\S+ \S+) UTC", done.stdout)
    starts = islice(times.after(datetime(2026, 6, 1, 0, 0, 30, tzinfo=ZoneInfo("UTC"))), 5)
    assert [f"{start:%Y-%m-%d %H:%M:%S}" for start in starts] == sorted(set(elapses))[:5]


# Times.


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10 * * *",
        "0 10 * * * *",
        "61 * * * *",
        "* 24 * * *",
        "1/2 * * * *",
        "5-5/2 * * * *",
        "0 0 L * *",
        "0 9 * * 1#2",
        "0 9 * * fri-mon",
        "0 9 * * foo",
        "*/0 * * * *",
        "0 0 30 2 *",
        "@reboot",
        "0 0 * * *\n0 1 * * *",
    ],
)
def test_what_crons_do_not_agree_on_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="no time that cron knows"):
        CronTimes.parse(text)


@pytest.mark.parametrize(("text", "day"), [("0 9 * * 0", 6), ("0 9 * * 7", 6), ("0 9 * * 1", 0), ("0 9 * * Fri", 4)])
def test_sunday_is_0_and_7(text: str, day: int) -> None:
    assert next(CronTimes.parse(text).after(datetime(2026, 6, 10, tzinfo=ZoneInfo("Europe/Berlin")))).weekday() == day


@pytest.mark.parametrize(
    ("text", "zone", "first"),
    [
        ("30 10 * * 1-5", "America/New_York", "2026-11-25T10:30:00-05:00"),
        ("30 10 * * 4", "America/New_York", "2026-12-03T10:30:00-05:00"),
        ("30 10 * * 1-5", "Europe/Berlin", None),
        ("0 15 * * *", "Europe/Berlin", "2027-03-15T15:00:00+01:00"),
        ("0 4 * * sat", "Pacific/Auckland", "2026-11-28T04:00:00+13:00"),
        ("0 12 * * sun", "America/New_York", None),
        ("0 12 25 12 *", "America/New_York", None),
    ],
)
def test_whether_the_times_ever_meet_a_session_is_known(text: str, zone: str, first: str | None) -> None:
    """New York changes its clocks on 14 March 2027, Berlin two weeks later: only in between is 15:00 after the open."""
    now = datetime(2026, 11, 25, 0, 0, tzinfo=ZoneInfo(zone))
    found = first_in_session(CronTimes.parse(text), now)
    assert (found.isoformat() if found else None) == first


@pytest.mark.usefixtures("crontab")
def test_a_schedule_that_never_meets_a_session_is_warned_of(home: Home) -> None:
    done = schedule("add", "0 12 * * sun", "--home", home.root)
    assert "no run would trade" in done.stdout
    assert "At 12:00 on Sunday" in done.stdout
    assert shlex.quote(str(home.root)) in done.stdout


@pytest.mark.usefixtures("crontab")
def test_the_list_says_when_each_runs_next(home: Home) -> None:
    for when in ("0 12 * * 1-5", "--market=open+30m"):
        assert schedule("add", when, "--yes", "--home", home.root).exit_code == 0
    listed = schedule("list").stdout
    assert listed.count("Next: ") == 2
    assert listed.count("in New York)") == 2
    assert " 12:00 " in listed
