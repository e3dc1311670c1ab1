"""The report's page in a browser: it renders, sorts and searches, and what the rows contain stays text."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from export_monitor.adapters.report_page import render
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.model import Group
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.timestamps import format_rfc3339
from tests.unit.builders import NOW

pytestmark = pytest.mark.once

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCRIPT = "<script>alert(1)</script>.bam"
DESKTOP, PHONE = (1280, 800), (390, 844)
REPORT_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""

# In the page: Playwright's own clicks and selectors take long with many rows.
SORT_AND_SEARCH = """(text) => setTimeout(() => {
  const rows = document.querySelector("tbody").rows;
  const button = document.querySelector("th button");
  const search = document.querySelector("#search");
  const name = (row) => row.querySelector("bdi").textContent;
  const first = [1, 2, 3].map(() => { button.click(); return name(rows[0]); });
  search.value = text;
  search.dispatchEvent(new Event("input"));
  const found = Array.from(rows).filter((row) => !row.hidden).map(name);
  window.results = [first, document.querySelector("#matches").textContent, found];
})"""


def a_row(name, size=None, export_id=None, **more):
    finished_on = format_rfc3339(NOW - 60 * (size or 0) % 3600)
    export_id = export_id or f"id-of-{len(name)}-{size}"
    return ReportRow(
        export_id,
        more.pop("outcome", "completed"),
        format_rfc3339(NOW),
        file_name=name,
        size_bytes=size,
        finished_on=finished_on,
        verification="passed",
        **more,
    )


ROWS = [
    a_row("sample10.bam", 9),
    a_row("sample2.bam", 10_000),
    a_row(SCRIPT, 200, s3_uri=f"s3://bucket/{SCRIPT}", context={"note": '"><img src=x onerror=alert(1)>'}),
    a_row("no size.bam", None),
    a_row("evil\u202emab\x00\ud800", 3, location="x" * 1024, s3_uri="s3://bucket/" + "y" * 1024),
    a_row("z-failed.bam", 5, outcome="failed", reason="EXPORT_FAILED", message="<b>No</b>", location="z" * 1024),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        problem = "there is no chromium, chromium-browser or google-chrome"
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    with sync_playwright() as playwright:
        # Chromium's sandbox refuses root, which CI is.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """The one page of all tests, and everything that it asked for, said or tried to show since it was opened."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests, self.messages, self.dialogs = [], [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.add_init_script(REPORT_VIOLATIONS)

    def open(self, path: Path, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        width, height = size
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(media="null", color_scheme=scheme)
        for kept in (self.requests, self.messages, self.dialogs):
            kept.clear()
        self.page.goto(path.as_uri())

    def names(self) -> list[str]:
        return self.page.eval_on_selector_all(
            "tbody tr",
            "rows => rows.filter(row => row.checkVisibility()).map(row => row.querySelector('bdi').textContent)",
        )

    def sort_by(self, header: str) -> str | None:
        self.page.click(f"th button:text-is('{header}')")
        return self.page.get_attribute(f"th:has(button:text-is('{header}'))", "aria-sort")


def write_page(folder: Path, rows: list[ReportRow]) -> Path:
    failed = sum(row.outcome == "failed" for row in rows)
    progress = GroupProgress(Group("run-42", len(rows)), len(rows) - failed, failed, NOW - 3600)
    path = folder / "report.html"
    report = WrittenReport("reports", "run-42", len(rows), "")
    path.write_text("".join(render(progress, NOW, rows, report)), "utf-8")
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("report"), ROWS)


@pytest.fixture(scope="module")
def the_page(browser: Browser) -> Opened:
    return Opened(browser.new_page())


@pytest.fixture
def opened(the_page: Opened, path: Path) -> Iterator[Opened]:
    the_page.open(path)
    yield the_page
    # Whatever a test did: no script of the data ran, nothing was asked for, and the policy was never broken.
    assert the_page.requests == [the_page.page.url]
    assert (the_page.messages, the_page.dialogs, the_page.page.evaluate("window.violations")) == ([], [], [])


def test_page_says_whether_everything_is_there(opened):
    assert opened.page.inner_text("h1") == "1 of 6 exports failed"
    assert opened.names()[0] == "z-failed.bam"
    assert len(opened.names()) == len(ROWS)


def test_style_is_applied(opened):
    assert opened.page.evaluate("getComputedStyle(document.querySelector('tbody tr')).display") == "grid"


def test_names_with_tags_stay_text(opened):
    assert SCRIPT in opened.names()
    assert opened.page.locator("script").count() == 1
    assert opened.page.locator("img, b:text-is('No')").count() == 0


def test_numbers_sort_as_numbers_and_unknown_ones_come_last(opened):
    known = ["evil⟨U+202E⟩mab␀\ufffd", "z-failed.bam", "sample10.bam", SCRIPT, "sample2.bam"]
    assert opened.sort_by("Size") == "ascending"
    assert opened.names() == [*known, "no size.bam"]
    assert opened.sort_by("Size") == "descending"
    assert opened.names() == [*reversed(known), "no size.bam"]


def test_names_sort_with_their_numbers(opened):
    opened.sort_by("Size")
    assert opened.sort_by("File") == "ascending"
    names = opened.names()
    assert names.index("sample2.bam") + 1 == names.index("sample10.bam")
    assert names[-1] == "z-failed.bam"
    assert opened.page.locator("th[aria-sort]").count() == 1


def test_search_shows_the_rows_with_every_word(opened):
    opened.page.fill("#search", "SAMPLE .bam")
    assert opened.names() == ["sample10.bam", "sample2.bam"]
    assert opened.page.inner_text("#matches") == "2 of 6 match"
    opened.page.fill("#search", "<script>")
    assert opened.names() == [SCRIPT]
    opened.page.fill("#search", "")
    assert len(opened.names()) == len(ROWS)
    assert opened.page.inner_text("#matches") == ""


def test_print_shows_everything_and_no_controls(opened):
    opened.page.fill("#search", "sample2")
    opened.page.emulate_media(media="print")
    assert len(opened.names()) == len(ROWS)
    assert not opened.page.is_visible("#search")
    assert not opened.page.is_visible("th button")
    assert opened.page.evaluate("getComputedStyle(document.querySelector('th'), '::before').content") == '"File"'


def test_row_takes_one_line_on_paper(opened, tmp_path):
    opened.open(write_page(tmp_path, [a_row(f"sample{number}.bam", number) for number in range(250)]))
    # Chromium marks each page of a PDF so.
    pages = opened.page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")
    assert 250 / 40 < pages < 250 / 25


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_page_never_scrolls_sideways(opened, path, size, scheme):
    opened.open(path, size, scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert (
        opened.page.evaluate(
            "Math.max(...Array.from(document.querySelectorAll('bdi, small'), one => one.getBoundingClientRect().right))"
        )
        <= size[0]
    )


def test_dark_mode_follows_the_system(opened, path):
    opened.open(path, scheme="dark")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 22, 28)"


def test_advice_is_seen_at_once_on_a_phone(opened, path):
    opened.open(path, PHONE)
    assert opened.page.evaluate("document.querySelector('.cause p').getBoundingClientRect().top") < PHONE[1]


def test_rows_are_there_without_javascript(browser, path):
    page = browser.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    assert page.locator("tbody tr").count() == len(ROWS)
    assert not page.is_visible("#search")
    page.close()


def test_ten_thousand_rows_are_sorted_again_and_again_and_searched(opened, tmp_path):
    rows = [a_row(f"sample{number}.bam", number, f"export-{number}") for number in range(10_000)]
    opened.open(write_page(tmp_path, rows))
    opened.page.evaluate(SORT_AND_SEARCH, "sample199")
    # Gives up after 30 seconds: rows that are moved one by one take minutes.
    opened.page.wait_for_function("window.results")
    first, matches, found = opened.page.evaluate("window.results")
    assert first == ["sample0.bam", "sample9999.bam", "sample0.bam"]
    assert matches == "11 of 10,000 match"
    assert found == ["sample199.bam", *(f"sample199{number}.bam" for number in range(10))]
