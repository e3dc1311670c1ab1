"""What a watch hears of its object's content, and when it has the content verified."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from export_monitor.application.content_requests import ContentRequests
from export_monitor.domain.content.check import ContentCheck, Replaced
from export_monitor.domain.content.formats import Unverifiable
from export_monitor.domain.content.results import ContentVerdict
from export_monitor.domain.content.target import ContentMessage, ContentTarget
from export_monitor.domain.model import Unavailable
from export_monitor.domain.unexpected import Unexpected

NOW = 1_700_000_000.0
SOUND = ContentVerdict("BAM", 100, 2, 200, None)
SKIPPED = Unverifiable("no format with checksums inside")
PENDING = Unavailable("the content is not verified yet")
DOWN = Unavailable("DynamoDB: down")
ODD = Unexpected(KeyError("odd"))


def target(number: int = 0) -> ContentTarget:
    return ContentTarget("bucket", f"key-{number}", 100, "tag")


@dataclass
class Fakes:
    """The table and the queue; `steps` is what happened, in order."""

    checks: dict[ContentTarget, Any] = field(default_factory=dict)
    unsent: set[str] = field(default_factory=set)
    failing: dict[str, Any] = field(default_factory=dict)
    steps: list[tuple[str, list[str]]] = field(default_factory=list)

    def read_all(self, targets: Sequence[ContentTarget]) -> list[Any]:
        return [self.checks.get(one, ContentCheck()) for one in targets]

    def forget_replaced(self, targets: Sequence[ContentTarget], now: float) -> list[Any]:
        return self._step("forget", targets)

    def note_requests(self, targets: Sequence[ContentTarget], now: float) -> list[Any]:
        return self._step("note", targets)

    def send_all(self, bodies: Sequence[str]) -> list[str]:
        if isinstance(self.failing.get("send"), Exception):
            raise self.failing["send"]
        self.steps.append(("send", list(bodies)))
        return [body for body in bodies if body in self.unsent]

    def _step(self, name: str, targets: Sequence[ContentTarget]) -> list[Any]:
        self.steps.append((name, [one.key for one in targets]))
        return [self.failing.get(name) for _ in targets]

    def answers(self, *targets: ContentTarget) -> list[Any]:
        return ContentRequests(self, self).answers(targets, NOW)


def start(number: int = 0) -> str:
    return ContentMessage(target(number)).to_body()


def test_unknown_version_is_asked_for_before_that_is_recorded() -> None:
    fakes = Fakes()
    assert fakes.answers(target()) == [PENDING]
    assert fakes.steps == [("send", [start()]), ("note", ["key-0"])]


@pytest.mark.parametrize("verdict", [SOUND, SKIPPED])
def test_verdict_is_the_answer(verdict: Any) -> None:
    fakes = Fakes({target(): ContentCheck(verdict=verdict, touched_at=0)})
    assert fakes.answers(target()) == [verdict]
    assert fakes.steps == []


@pytest.mark.parametrize(("touched_at", "is_asked_for"), [(NOW - 3600, False), (NOW - 3601, True), (None, True)])
def test_check_that_nobody_works_on_for_an_hour_is_asked_for_again(
    touched_at: float | None, is_asked_for: bool
) -> None:
    fakes = Fakes({target(): ContentCheck(touched_at=touched_at)})
    assert fakes.answers(target()) == [PENDING]
    assert bool(fakes.steps) is is_asked_for


def test_version_that_is_there_although_it_was_replaced_is_asked_for_again() -> None:
    fakes = Fakes({target(): ContentCheck(verdict=Replaced(), touched_at=NOW)})
    assert fakes.answers(target()) == [PENDING]
    assert fakes.steps == [("forget", ["key-0"]), ("send", [start()]), ("note", ["key-0"])]


def test_answers_are_in_order_and_a_version_is_asked_for_once() -> None:
    fakes = Fakes({target(1): ContentCheck(verdict=SOUND), target(2): DOWN, target(3): ODD})
    answers = fakes.answers(target(0), target(1), target(0), target(2), target(3), target(4))
    assert answers == [PENDING, SOUND, PENDING, DOWN, ODD, PENDING]
    assert fakes.steps == [("send", [start(0), start(4)]), ("note", ["key-0", "key-4"])]


def test_message_that_is_not_sent_is_not_recorded() -> None:
    fakes = Fakes(unsent={start(0)})
    not_sent, pending = fakes.answers(target(0), target(1))
    assert not_sent == Unavailable("SQS did not take the message that asks for the content check")
    assert pending == PENDING
    assert fakes.steps[-1] == ("note", ["key-1"])


def test_version_whose_verdict_cannot_be_forgotten_is_not_asked_for() -> None:
    fakes = Fakes({target(): ContentCheck(verdict=Replaced())}, failing={"forget": DOWN})
    assert fakes.answers(target(), target(1)) == [DOWN, PENDING]
    assert fakes.steps[1:] == [("send", [start(1)]), ("note", ["key-1"])]


def test_failure_to_record_is_the_answer() -> None:
    assert Fakes(failing={"note": DOWN}).answers(target()) == [DOWN]


def test_unexpected_error_concerns_only_the_versions_that_are_asked_for() -> None:
    error = KeyError("odd")
    fakes = Fakes({target(1): ContentCheck(verdict=SOUND)}, failing={"send": error})
    assert fakes.answers(target(0), target(1)) == [Unexpected(error), SOUND]
