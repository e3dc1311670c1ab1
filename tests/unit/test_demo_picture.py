"""The picture of the demo: what it shows, what it marks as left out, and that its text is text."""

import pytest

from tools.demo_picture import LEFT_OUT, facts, lines_of, svg, telling_part

FAILED, SLOW, LIES = (
    "DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY",
    "SlowButSound0000000000000000000a",
    "LiesAboutItsObject0000000000000b",
)
OUTPUT = f"""\
Starting AWS's stand-in …
Deployed template.yaml.

announced  {FAILED}  (the documented FAILED example)
announced  Another  (not followed)

  0.6 s  {SLOW}  PENDING    waiting, again in 0.9 s
  0.9 s  {FAILED}  FAILED     failed (EXPORT_FAILED)

What an SQS subscriber of the topic received:

Subject: Export failed (EXPORT_FAILED): output.vcf
{{
  "specversion": "1.0"
}}

{FAILED}   failed:EXPORT_FAILED      the documented FAILED example
{SLOW}   completed                 PENDING, RUNNING, COMPLETED
{LIES}   failed:OBJECT_MISSING     a <b> & "c"
MemberOfARun000000000000000000001  completed                 of the group run-42

Done in 30 s.
"""


def test_telling_lines_are_shown_and_a_mark_ends_each_part_from_which_others_are_left_out() -> None:
    assert telling_part(OUTPUT) == [
        "Starting AWS's stand-in …",
        "Deployed template.yaml.",
        "",
        f"announced  {FAILED}  (the documented FAILED example)",
        LEFT_OUT,
        "",
        f"  0.6 s  {SLOW}  PENDING    waiting, again in 0.9 s",
        f"  0.9 s  {FAILED}  FAILED     failed (EXPORT_FAILED)",
        "",
        "What an SQS subscriber of the topic received:",
        LEFT_OUT,
        "",
        f"{FAILED}   failed:EXPORT_FAILED      the documented FAILED example",
        f"{SLOW}   completed                 PENDING, RUNNING, COMPLETED",
        f'{LIES}   failed:OBJECT_MISSING     a <b> & "c"',
        LEFT_OUT,
    ]


def test_demo_that_broke_off_makes_no_picture() -> None:
    with pytest.raises(ValueError, match=f"no end of {SLOW}, {LIES}"):
        telling_part(OUTPUT.partition("What an SQS")[0])


def test_facts_are_those_of_another_run_at_other_times() -> None:
    slower = OUTPUT.replace("  0.6 s", "  4.7 s").replace("  0.9 s", " 12.3 s").replace("again in 0.9", "again in 3.1")
    assert slower != OUTPUT
    assert facts(slower.splitlines()) == facts(OUTPUT.splitlines())


def test_facts_are_others_where_an_export_ends_otherwise() -> None:
    for end, other in (("FAILED     failed", "COMPLETED  completed"), ("   completed  ", "   failed     ")):
        assert facts(OUTPUT.replace(end, other, 1).splitlines()) != facts(OUTPUT.splitlines())


def test_picture_s_text_is_the_text_itself() -> None:
    assert lines_of(svg(telling_part(OUTPUT))) == telling_part(OUTPUT)


def test_picture_fetches_nothing() -> None:
    picture = svg(telling_part(OUTPUT)).replace("http://www.w3.org/2000/svg", "", 1)
    assert not [word for word in ("http", "url(", "@import", "<script", "<image", "href") if word in picture]
