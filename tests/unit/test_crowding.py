"""From when on messages are hidden at a common instant."""

from export_monitor.domain.crowding import CROWDED_POLLS_PER_MINUTE, Crowding


def test_crowd_is_twenty_messages_kept_within_a_minute() -> None:
    crowding = Crowding()
    assert not crowding.add(0, CROWDED_POLLS_PER_MINUTE - 1)
    assert crowding.add(59, 1)
    assert not crowding.add(60, 1)
    assert crowding.add(61, CROWDED_POLLS_PER_MINUTE)
