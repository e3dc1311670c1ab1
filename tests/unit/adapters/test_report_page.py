"""The report's page, parsed: whatever the rows contain stays text."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given

from export_monitor.adapters import report_page
from export_monitor.adapters.report_page import render
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.model import Group
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.timestamps import format_rfc3339
from tests.unit.builders import NOW
from tests.unit.property.strategies import TEXTS, bounded
from tools.build_function import files_of

COMPLETED = ReportRow(
    "an-export",
    "completed",
    format_rfc3339(NOW),
    file_name="reads.bam",
    size_bytes=1234,
    location="dir/reads.bam",
    s3_uri="s3://bucket/reads.bam",
    etag="etag",
    checksums={"SHA256": "c2hh", "CRC64NVME": "Y3Jj"},
    verification="passed",
    finished_on=format_rfc3339(NOW - 60),
    context={"sample": "s1"},
)
FAILED = ReportRow(
    "another",
    "failed",
    format_rfc3339(NOW),
    reason="OBJECT_MISMATCH",
    message="A check failed.",
    advice="Delete nothing.",
    volume="o/v",
    location="dir/other.bam",
    verification="failed",
    failed_checks=("size", "integrity"),
)
SCRIPT = "<script>alert(1)</script>.bam"
REPORT = WrittenReport("the-report-bucket", "run-42", 1, "")


class Page(HTMLParser):
    """A page's elements with the names of their attributes, its texts, and the values of attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.values, self.inline = [], [], [], {}
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.values += [value for _, value in attrs]
        self._open = tag

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open in ("style", "script"):
            self.inline[self._open] = self.inline.get(self._open, "") + data
        else:
            self.texts.append(data)

    def handle_comment(self, data):
        self.elements.append(("comment", data))


def page_of(*rows, missing=0):
    failed = sum(row.outcome == "failed" for row in rows)
    progress = GroupProgress(Group("run-42", len(rows) + missing), len(rows) - failed, failed, NOW - 3600)
    return "".join(render(progress, NOW, rows, REPORT))


def text_of(*rows, **more):
    return "\n".join(Page(page_of(*rows, **more)).texts)


def hostile(row, text):
    """The row with this text in every place that has one."""
    texts = ("export_id", "reason", "message", "advice", "file_name", "volume", "location", "s3_uri", "etag")
    changes = {name: text for name in texts if getattr(row, name)}
    changes |= {"context": {text: text}} if row.context else {}
    changes |= {"checksums": {text: text}} if row.checksums else {}
    changes |= {"failed_checks": (text,)} if row.failed_checks else {}
    return replace(row, **changes)


@given(TEXTS.filter(bool))
@example(SCRIPT)
@example('" onload="alert(1)')
@example("</title></style></script><!--")
@example("{{ 7 * 7 }}{% raw %}\x00\ud800\u202e]]>&lt;")
@bounded(60)
def test_no_text_adds_an_element_or_an_attribute(text):
    benign = [hostile(row, "benign") for row in (COMPLETED, FAILED)]
    written = page_of(*(hostile(row, text) for row in (COMPLETED, FAILED)))
    assert Page(written).elements == Page(page_of(*benign)).elements
    assert written.encode()


def test_name_with_tags_is_shown_as_it_is():
    page = Page(page_of(replace(COMPLETED, file_name=SCRIPT), replace(FAILED, location=SCRIPT)))
    assert page.texts.count(SCRIPT) == 5
    assert [one[0] for one in page.elements].count("script") == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("evil\u202egnp.exe", "evil⟨U+202E⟩gnp.exe"),
        ("a\x00b\nc\td\x7f", "a␀b␊c␉d␡"),
        ("half \ud83d.bam", "half \ufffd.bam"),
        ("c1\x85", "c1\ufffd"),
        ("👩\u200d🔬 ملف.bam", "👩\u200d🔬 ملف.bam"),
    ],
)
def test_what_a_browser_would_hide_is_shown(name, shown):
    assert shown in Page(page_of(replace(COMPLETED, file_name=name))).texts


def test_policy_allows_exactly_the_page_s_own_style_and_script():
    page = Page(page_of(COMPLETED))
    [policy] = [value for value in page.values if value and value.startswith("default-src")]
    hashes = {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for name, text in page.inline.items()
    }
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes['style']}'",
        f"script-src 'sha256-{hashes['script']}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_page_has_no_handlers_inline_styles_or_outside_parts():
    page = Page(page_of(COMPLETED, FAILED))
    names = {name for one in page.elements for name in one[1:]}
    assert not {name for name in names if name.startswith("on")} | names & {"style", "src", "srcset", "action"}
    assert "url(" not in page.inline["style"]
    assert "@import" not in page.inline["style"]


def test_same_input_gives_the_same_page_whatever_the_order_of_checksums():
    other = replace(COMPLETED, checksums=dict(reversed(list(COMPLETED.checksums.items()))))
    assert page_of(COMPLETED, FAILED) == page_of(other, FAILED)


def test_row_shows_everything_that_is_known():
    found = text_of(COMPLETED)
    for part in ("reads.bam", "an-export", "completed", "1.23 kB", "1,234", "verified", "s3://bucket/reads.bam"):
        assert part in found
    for part in ("ETag etag", "SHA256 c2hh", "CRC64NVME Y3Jj", "2023-11-14 22:12:20", '{"sample":"s1"}'):
        assert part in found


def test_failure_shows_its_cause_advice_checks_and_destination():
    found = text_of(COMPLETED, FAILED)
    for part in ("OBJECT_MISMATCH", "Delete nothing.", "A check failed.", "size, integrity", "o/v", "concluded"):
        assert part in found
    assert found.count("Delete nothing.") == 1


def test_unknown_values_are_left_out():
    bare = ReportRow("bare", "completed", "")
    assert "not verified" in text_of(bare)
    assert "svg" not in {one[0] for one in Page(page_of(bare)).elements}


def test_finish_that_is_no_time_is_shown_as_the_api_says_it():
    assert "yesterday" in text_of(replace(COMPLETED, finished_on="yesterday"))


def test_cause_lists_five_failures_and_the_table_all():
    found = page_of(*(replace(FAILED, export_id=f"export-{number}") for number in range(8)))
    assert "… and 3 more, in the table below" in found
    assert (found.count("export-0"), found.count("export-7")) == (2, 1)


def test_command_to_fetch_the_csv_can_be_copied():
    assert "aws s3 cp s3://the-report-bucket/groups/run-42/report.csv ." in text_of(COMPLETED)


def test_picture_tells_completed_from_failed_by_place_and_in_words():
    page = page_of(COMPLETED, FAILED)
    bars = re.findall(r'<rect class="(above|below)"[^>]* y="([\d.]+)" width="8" height="([\d.]+)"', page)
    [line] = re.findall(r'<line x1="0" y1="([\d.]+)"', page)
    ends = {kind: (float(y), float(y) + float(height)) for kind, y, height in bars}
    assert ends["above"][1] == pytest.approx(float(line))
    assert ends["below"][0] == pytest.approx(float(line))
    assert "1 completed, 0 failed" in page
    assert "failed, below the line" not in page_of(COMPLETED)


def test_template_is_a_file_of_the_artifact():
    assert Path(report_page.__file__).with_name("page.html.jinja") in files_of("export_monitor.adapters.report_page")
