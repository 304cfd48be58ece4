"""How messages travel: embedded, every node of the workspace is in this process.

Only the transport differs between a laptop and organisations over HTTP; the messages, and what
each node checks about them, are the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from bridleway.errors import BridlewayError, Fault, from_json
from bridleway.node.messages import Message

ERROR = "error"


class Party(Protocol):
    """Whoever can receive a message."""

    def receive(self, message: Message) -> Message:
        """Answer a message; an error is a message of kind `error`."""


class Transport(Protocol):
    """Carries a message to its recipient and brings the answer back."""

    def send(self, message: Message) -> Message:
        """Send one message; raises the error that the recipient answered with."""

    def send_all(self, messages: Sequence[Message]) -> list[Message]:
        """Send messages at the same time; answers in the same order."""


class Embedded:
    """All nodes in one process. Observers see every message (tests record them)."""

    def __init__(self, parties: Mapping[str, Party], threads: int = 2) -> None:
        self._parties = parties
        self._observers: list[Callable[[Message], None]] = []
        self._threads = threads

    @contextlib.contextmanager
    def observed_by(self, observer: Callable[[Message], None]) -> Iterator[None]:
        """Show every message and answer to the observer inside the block."""
        self._observers.append(observer)
        try:
            yield
        finally:
            self._observers.remove(observer)

    def send(self, message: Message) -> Message:
        """Send one message; raises the error that the recipient answered with."""
        party = self._parties.get(message.recipient)
        if party is None:
            raise Fault(
                f"The node '{message.recipient}' cannot be reached.", "Check the trust list."
            )
        for observer in self._observers:
            observer(message)
        answer = party.receive(message)
        for observer in self._observers:
            observer(answer)
        if answer.kind == ERROR:
            raise from_json(dict(answer.body))
        return answer

    def send_all(self, messages: Sequence[Message]) -> list[Message]:
        """Send messages at the same time; raises the first error in their order."""
        if len(messages) <= 1:
            return [self.send(message) for message in messages]
        try:
            with ThreadPoolExecutor(max_workers=self._threads) as pool:
                waiting = [pool.submit(self.send, message) for message in messages]
                failed = [future.exception() for future in waiting]
        except RuntimeError:  # what Python says when the machine gives no more threads
            raise Fault(
                "The machine has no room for another thread.", "Try again when it is less busy."
            ) from None
        for error in failed:
            if isinstance(error, BridlewayError):
                raise error
            if error is not None:
                raise Fault("A node failed.", "See that node's log.") from error
        return [future.result() for future in waiting]
