"""An unexpected error as a value, so that it stays with the export it concerns until one place handles it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Unexpected:
    """An error that no rule covers, caught where it was raised."""

    error: Exception


def attempt(call: Callable[[], Result]) -> Result | Unexpected:
    """What the call returns, or the error it raised."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 -- the other exports of the batch must not notice it
        return Unexpected(error)
