"""What holds for every test of the core."""

from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True, scope="session")
def _processes_keep_their_bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let each file be compiled once per run, not once per process that a test starts: an SDK alone takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.getbasetemp() / "bytecode"))
        yield


@pytest.fixture(autouse=True)
def _retries_do_not_wait():
    """Let stamina's pauses take no time; the number of tries stays the one that was asked for."""
    stamina.set_testing(True, attempts=20, cap=True)
    yield
    stamina.set_testing(False)
