"""The picture of the demo: what it shows, what it marks as left out, and that its text is text."""

import pytest

from tools.demo_picture import LEFT_OUT, facts, lines_of, shown_part, svg

OUTPUT = """\
Starting ...
template.yaml is deployed; left out: nothing.

  0.6 s  slow            PENDING    next poll in 0.9 s
  0.9 s  no-object       COMPLETED  OBJECT_MISSING, next poll in 1.0 s
  4.2 s  no-object       COMPLETED  published: failed OBJECT_MISSING
 11.8 s  slow            COMPLETED  published: completed

export     file    outcome    reason, code    object              checks
slow       S1.bam  completed                  s3://bucket/S1.bam  7 passed, 1 skipped
no-object  S2.bam  failed     OBJECT_MISSING  -                   failed: exists, a <b> & "c"

The event of slow:
{"specversion": "1.0"}

The e-mail about no-object:
  Subject: Export failed (OBJECT_MISSING): S2.bam

  The export of S2.bam has failed.

Done in 30 s. Everything is in .build/demo:
  .build/demo/events/               every event
"""


def test_event_and_e_mail_are_left_out_with_a_mark_and_everything_else_is_shown() -> None:
    before = OUTPUT.partition("The event")[0].splitlines()
    end = ["Done in 30 s. Everything is in .build/demo:", "  .build/demo/events/               every event"]
    left_out = ["The event of slow:", LEFT_OUT, "", "The e-mail about no-object:", LEFT_OUT, ""]
    assert shown_part(OUTPUT) == [*before, *left_out, *end]


@pytest.mark.parametrize("last", ["The event", "Done in"])
def test_interrupted_demo_makes_no_picture(last: str) -> None:
    with pytest.raises(ValueError, match="has no end"):
        shown_part(OUTPUT.partition(last)[0])


def test_facts_are_those_of_another_run_at_other_times() -> None:
    slower = OUTPUT.replace("  4.2 s", " 12.3 s").replace("in 0.9 s", "in 3.1 s").replace("in 30 s", "in 41 s")
    more_polls = slower.replace("\n\nexport", "\n 12.9 s  slow            RUNNING    next poll in 2.0 s\n\nexport")
    assert facts(more_polls.splitlines()) == facts(OUTPUT.splitlines())


@pytest.mark.parametrize(
    ("end", "other"),
    [("published: completed", "published: failed"), ("OBJECT_MISSING  -", "TIMED_OUT       -"), ("deployed", "not")],
)
def test_facts_differ_if_an_export_ends_differently(end: str, other: str) -> None:
    assert facts(OUTPUT.replace(end, other, 1).splitlines()) != facts(OUTPUT.splitlines())


def test_picture_s_text_is_the_text_itself() -> None:
    assert lines_of(svg(shown_part(OUTPUT))) == shown_part(OUTPUT)


def test_picture_fetches_nothing() -> None:
    picture = svg(shown_part(OUTPUT)).replace("http://www.w3.org/2000/svg", "", 1)
    assert not [word for word in ("http", "url(", "@import", "<script", "<image", "href") if word in picture]
