"""What every test may ask for: a home folder of its own, and the real prices where they are at hand."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from config.home import Home

# A shell starts its background jobs deaf to these, the programs that they start inherit that, and the tests may be one.
for number, heard in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, heard)

REAL_PRICES = Path(__file__).parents[2] / "shared" / "data" / "prices-to-2020.csv.gz"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home folder that nobody has used yet."""
    place = Home(tmp_path / "home")
    place.create()
    return place


@pytest.fixture
def real_prices() -> Path:
    """Daily prices to 2020; their licence keeps them out of this repository."""
    if not REAL_PRICES.exists():
        pytest.skip("the real price file lies beside the repository, not in it, and is not here")
    return REAL_PRICES
