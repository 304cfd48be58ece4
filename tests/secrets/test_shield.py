"""An error that reaches a caller carries no frame below it: crash reporters print locals."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

import bridleway.node.workspace as workspace_module
from bridleway.errors import BridlewayError, Fault, Refused
from bridleway.node.shield import shielded
from bridleway.node.workspace import Workspace
from tests.support.place import make_place

MARK = "MARK-Zebedee-0451"


def reported(error: BaseException) -> str:
    """What a crash reporter would print: every frame, every local, every cause."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(report.format())


@shielded
def fails(secret: str, kind: type[Exception]) -> None:
    row = {"name": secret}
    try:
        raise ValueError(f"could not convert {row['name']}")
    except ValueError as error:
        raise kind("A sentence.") from error


@pytest.mark.parametrize("kind", [Refused, ValueError, KeyError])
def test_no_local_and_no_cause_leaves(kind: type[Exception]) -> None:
    """Ours as well as any engine's; what a developer needs, the places, goes along."""
    with pytest.raises(BridlewayError) as caught:
        fails(MARK, kind)
    error = caught.value
    frames = traceback.extract_tb(error.__traceback__)
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # this test's own
    assert MARK not in reported(error) and MARK not in repr(error)
    assert frames[-1].name == "front_door"
    assert "test_shield.py" in "".join(error.__notes__) and "fails" in "".join(error.__notes__)
    assert isinstance(error, Refused if kind is Refused else Fault)


def test_a_password_and_a_row_do_not_leave_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked through the front door with a bad password, and with an engine that quotes a row."""
    place = make_place(tmp_path, people=200)

    def quotes(*_: object, **__: object) -> None:
        raise RuntimeError(f"Could not convert string '{MARK}'")

    def ask() -> None:
        place.ask("SELECT 1", "none", "city/sam-okoro", MARK)

    def breaks() -> None:
        monkeypatch.setattr(workspace_module, "sign_asking", quotes)
        place.unlock("city/sam-okoro", "correct horse battery")
        monkeypatch.setattr(Workspace, "_question", quotes)
        place.ask("x", "none", "city/sam-okoro", MARK)

    for act in (ask, breaks):
        with pytest.raises(BridlewayError) as caught:
            act()
        error = caught.value
        assert error.__traceback__ is not None
        last = error.__traceback__
        while last.tb_next is not None and "front_door" not in last.tb_frame.f_code.co_name:
            last = last.tb_next
        error.__traceback__ = last
        assert MARK not in reported(error)
    place.close()
