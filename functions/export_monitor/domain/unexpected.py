"""An unexpected error as a value, so that it affects one export only and is handled in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Unexpected:
    """An unexpected error, caught close to where it was raised."""

    error: Exception


def attempt(call: Callable[[], Result]) -> Result | Unexpected:
    """What the call returns, or the error it raised."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 -- it must not affect the other exports of the batch
        return Unexpected(error)
