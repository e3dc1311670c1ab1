"""`docs/advice.md` and the code's table of advice say the same, word for word and row for row."""

from pathlib import Path

from export_monitor.domain.advice import BY_CODE, BY_REASON, TIMED_OUT_AFTER_COMPLETION, advice
from export_monitor.domain.model import ExportJob
from export_monitor.domain.verdicts import Evidence, Failure, Reason

PAGE = Path(__file__).parents[2] / "docs" / "advice.md"


def rows(heading: str) -> list[tuple[str, str]]:
    """The rows of the table below a heading, its head left out."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
    return [(key, text) for key, text in cells]


def test_page_has_exactly_the_advice_by_code_in_its_order() -> None:
    assert rows("By the API's code") == [(str(code), text) for code, text in BY_CODE.items()]


def test_page_has_exactly_the_advice_by_reason_in_its_order() -> None:
    by_reason = [(f"`{reason}`", text) for reason, text in BY_REASON.items()]
    assert rows("By the reason") == [*by_reason, ("`TIMED_OUT` after COMPLETED", TIMED_OUT_AFTER_COMPLETION)]


def test_every_reason_has_its_advice() -> None:
    assert list(BY_REASON) == list(Reason)


def test_known_code_decides_before_the_reason() -> None:
    assert advice(Failure(Reason.EXPORT_FAILED, "", code=9107), Evidence()) == BY_CODE[9107]
    assert advice(Failure(Reason.EXPORT_FAILED, "", code=1), Evidence()) == BY_REASON[Reason.EXPORT_FAILED]


def test_no_advice_after_completion_says_to_start_again() -> None:
    completed = Evidence(job=ExportJob("a", "COMPLETED", {}))
    for reason in Reason:
        if reason is not Reason.EXPORT_FAILED:
            assert "start it again" not in advice(Failure(reason, ""), completed).lower()
            assert "start the export again" not in advice(Failure(reason, ""), completed).lower()
