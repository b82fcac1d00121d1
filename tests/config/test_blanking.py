"""What is blanked in text that goes into the log, and what is not."""

from __future__ import annotations

from base64 import b64encode

import pytest

from config.blanking import blanked, secrets_in
from config.problems import HIDDEN

KEY = "Zm9v/bar+42=="


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect key {KEY} and once more {KEY}",
        "GET /models?key=Zm9v%2Fbar%2B42%3D%3D",
        "GET /models?key=Zm9v/bar%2b42%3d%3d",
        f"Basic {b64encode(KEY.encode()).decode()}",
    ],
)
def test_a_secret_of_the_environment_is_blanked_wherever_it_stands(text: str) -> None:
    told = blanked(text, secrets_in({"OPENAI_API_KEY": f" {KEY} "}))
    assert HIDDEN in told
    assert "Zm9v" not in told
    assert b64encode(KEY.encode()).decode().rstrip("=") not in told


def test_a_secret_that_begins_with_another_is_blanked_to_its_end() -> None:
    assert blanked("abcdefgh-ijkl", {"abcdefgh", "abcdefgh-ijkl"}) == HIDDEN


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer s3cr3t", "Authorization: (not shown)"),
        ("headers={'authorization': 'Basic czNjcjN0', 'a': 1}", "headers={'authorization': '(not shown)', 'a': 1}"),
        ("[(b'Proxy-Authorization', b'Digest s3cr3t, x=y')]", "[(b'Proxy-Authorization', b'(not shown)')]"),
        ("(b'Set-Cookie', b'session=s3cr3t; Path=/')", "(b'Set-Cookie', b'(not shown)')"),
        ('{"x-api-key": "s3cr3t", "n": 1}', '{"x-api-key": "(not shown)", "n": 1}'),
        ("password=s3cr3t&user=me", "password=(not shown)&user=me"),
        ("sent bearer s3cr3t to it", "sent bearer (not shown) to it"),
        ("proxy http://me:s3cr3t@proxy:8080/", "proxy http://(not shown)@proxy:8080/"),
        ("no such key: sk-proj-s3cr3t00.", "no such key: (not shown)"),
        (r'"{\"token\": \"s3cr3t\"}"', r'"{\"token\": \"(not shown)\"}"'),
        ("GET /a?apikey%3Ds3cr3t", "GET /a?apikey%3D(not shown)"),
        ("Incorrect API key provided: s3cr3t", "Incorrect API key provided: (not shown)"),
        ('password "s3cr3t"', 'password "(not shown)"'),
        ("access_key=s3cr3t", "access_key=(not shown)"),
        ("https://me:s3@cr3t@host/a", "https://(not shown)@host/a"),
        ('{"token": ["s3cr3t"]}', '{"token": ["(not shown)"]}'),
    ],
)
def test_what_stands_where_a_secret_does_is_blanked_whoevers_it_is(text: str, left: str) -> None:
    assert blanked(text, ()) == left


@pytest.mark.parametrize(
    "text",
    [
        "guard BUY 3 VTI at 301.20 refused: min_cash (cash would be 12.00, at least 500.00)",
        "model careful: 3 calls, 8600 tokens read, 600 written. No trouble.",
        "{'max_tokens': 16000, 'model': 'gpt-5.4-mini'}",
        "max_input_tokens: 100000, token count 5",
        "connect_tcp.started host='127.0.0.1' port=8001, https://example.com/a@b",
        "a risk-adjusted-return of 4 %",
    ],
)
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert blanked(text, ()) == text


def test_our_own_settings_and_what_stands_in_for_a_key_are_no_secrets() -> None:
    environ = {"SMART_AGENT_MAX_OUTPUT_TOKENS": "16000000", "OPENAI_API_KEY": "ollama", "PATH": "/usr/bin/and/more"}
    assert secrets_in(environ) == frozenset()
