"""What holds for every test of the core."""

import pytest
import stamina


@pytest.fixture(autouse=True)
def _retries_do_not_wait():
    """Let stamina's pauses take no time; the number of tries stays the one that was asked for."""
    stamina.set_testing(True, attempts=20, cap=True)
    yield
    stamina.set_testing(False)
