"""What `import logos_core` must not bring along: SDKs, and what only some commands need."""

import subprocess
import sys

import pytest

HEAVY = ("alpaca", "ccxt", "oandapyV20", "pandas", "requests", "asyncio", "loguru", "rich", "cryptography")
LOOK = f"import sys; from logos_core import *; print(*[name for name in {HEAVY!r} if name in sys.modules])"


def in_fresh_process(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_importing_the_core_imports_nothing_heavy():
    """With every name it exports, whether those are imported at once or when they are first used."""
    assert [] == in_fresh_process(LOOK)


@pytest.mark.parametrize("package", ["logos_alpaca", "logos_ccxt", "logos_oanda"])
def test_importing_a_plugin_imports_no_sdk(package):
    """Listing venues imports nothing; opening one imports its package, and the SDK only in its factory."""
    assert [] == in_fresh_process(f"import {package}; {LOOK}")
