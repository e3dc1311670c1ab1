"""From when on messages are hidden at a common instant."""

from export_monitor.domain.crowding import CROWDED_POLLS_PER_MINUTE, Crowding


def test_crowd_is_twenty_messages_kept_within_a_minute() -> None:
    crowding = Crowding()
    assert not crowding.is_crowded(0)
    crowding.add(0, CROWDED_POLLS_PER_MINUTE - 1)
    assert not crowding.is_crowded(59)
    crowding.add(59, 1)
    assert crowding.is_crowded(59)
    assert not crowding.is_crowded(60)
