"""One run of each shipped policy over the whole shared sample, for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.fhir.support import SAMPLE, Made, ran


def _whole(name: str, factory: pytest.TempPathFactory) -> Made:
    if not SAMPLE.is_dir():
        pytest.skip("the shared sample is not here")
    return ran(SAMPLE, factory.mktemp(name) / "out", name)


@pytest.fixture(scope="session")
def analytics(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The sample under `analytics`."""
    return _whole("analytics", tmp_path_factory)


@pytest.fixture(scope="session")
def safe_harbor(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The sample under `safe-harbor`."""
    return _whole("safe-harbor", tmp_path_factory)


@pytest.fixture(scope="session", params=["analytics", "safe-harbor"])
def shipped(request: pytest.FixtureRequest) -> Made:
    """The sample under each shipped policy."""
    found = request.getfixturevalue(request.param.replace("-", "_"))
    assert isinstance(found, Made)
    return found
