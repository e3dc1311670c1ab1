"""The benchmark's logic: the stub server's responses, ratios, targets and the published tables."""

from collections.abc import Iterator

import pytest
import requests

from benchmarks import TOKEN
from benchmarks.results import BEGIN, END, Figure, Section, Target, replaced, table
from benchmarks.runner import Cold, Growth, Measured, Warm
from benchmarks.sections import growth_sections, rounds_sections, warm_section
from benchmarks.stub_server import Counts, StubServer


@pytest.fixture(scope="module")
def running() -> Iterator[StubServer]:
    with StubServer() as stub:
        yield stub


@pytest.fixture
def stub(running):
    running.begin(0.0)
    return running


def test_unknown_request_is_an_error(stub):
    ask(stub, "GET", "/projects/p")
    with pytest.raises(ValueError, match="GET /projects"):
        stub.counts()


def test_counts_can_be_reset(stub):
    ask(stub, "GET", "/files/f")
    stub.begin(0.0)
    assert stub.counts() == Counts({})


def ask(stub, method, path, token=TOKEN, **more):
    with requests.Session() as session:
        session.trust_env = False
        url = f"http://{stub.address}/v2{path}"
        return session.request(method, url, headers={"X-SBG-Auth-Token": token}, timeout=10, **more)


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        pytest.param(Target(0.5), True, id="just the share"),
        pytest.param(Target(0.49), False, id="more than the share"),
        pytest.param(Target(50, of_other=False), True, id="just the number"),
        pytest.param(Target(49, of_other=False), False, id="more than the number"),
        pytest.param(None, None, id="no target"),
    ],
)
def test_target_is_met_up_to_its_limit(target, is_met):
    assert Figure("f", "ms", other=100, app=50, target=target).is_met is is_met


def test_ratio_is_of_the_other():
    assert Figure("f", "ms", other=200, app=50).ratio == 0.25


def test_there_is_no_ratio_to_zero():
    figure = Figure("f", "requests", other=0, app=10, target=Target(10, of_other=False))
    assert (figure.ratio, figure.is_met) == (None, True)


def test_table_shows_each_figure_with_its_target():
    figures = (
        Figure("requests", "requests", 100, 1, Target(1, of_other=False)),
        Figure("time", "ms", 200, 150, Target(0.5)),
    )
    assert table(Section("a snail", "snail", figures)) == [
        "| Compared with a snail |    snail | this app | ratio |   at most |    met |",
        "| ---                   |     ---: |     ---: |  ---: |      ---: |   ---: |",
        "| requests              |      100 |        1 | 0.010 |         1 |    yes |",
        "| time                  | 200.0 ms | 150.0 ms | 0.750 | 0.5 of it | **no** |",
    ]


def measured(requests_by_operation, seconds):
    return Measured(Counts(requests_by_operation), seconds, seconds)


def warm(name, seconds):
    operations = {"api GET export": 100} if name == "baseline" else {"api POST exports in bulk": 1, "sqs Hide": 10}
    return Warm(dict.fromkeys(("running", "completed", "failed", "bam"), measured(operations, seconds)), seconds * 1e8)


def section(exports=100):
    seconds = {"baseline": 1.0, "app": 0.4}
    return warm_section(
        {name: warm(name, taken) for name, taken in seconds.items()},
        {name: Cold(taken, taken, taken) for name, taken in seconds.items()},
        {name: int(taken * 1e6) for name, taken in seconds.items()},
        exports,
    )


def test_requests_to_the_api_and_to_aws_are_counted_separately():
    figures = {figure.name: figure for figure in section().figures}
    api, aws = figures["requests to the API, 100 unfinished"], figures["requests to AWS, 100 unfinished"]
    assert ((api.other, api.app), (aws.other, aws.app)) == ((100, 1), (0, 10))


def test_each_target_of_a_hundred_exports_has_its_figure():
    met = {figure.name: figure.is_met for figure in section().figures if figure.target}
    assert met == {
        "requests to the API, 100 unfinished": True,
        "requests to the API, 100 completed": True,
        "requests to the API, 100 failed": True,
        "requests to the API, 100 completed BAMs": True,
        "requests to AWS, 100 unfinished": True,
        "requests to AWS, 100 completed": True,
        "requests to AWS, 100 failed": True,
        "requests to AWS, 100 completed BAMs": True,
        "CPU time, 100 unfinished": False,
        "CPU time, 100 completed": True,
        "CPU time, 100 failed": True,
        "time, 100 completed, 15 ms a call": False,
        "cold start, CPU time": True,
        "cold start, time": True,
        "peak memory": True,
        "artifact, zipped": True,
    }


def test_rounds_of_another_size_have_no_targets():
    assert not [figure for figure in section(10).figures if figure.target and "10 " in figure.name]


def test_growth_is_compared_with_ten_and_with_a_hundred():
    sections = growth_sections(
        [Growth(n, cpu, 0.01, 0.1) for n, cpu in ((10, 4.0), (100, 1.0), (1000, 1.0), (5000, 2.0))]
    )
    assert [one.other for one in sections] == ["10", "100"]
    assert [[figure.is_met for figure in one.figures] for one in sections] == [[True] * 3, [False, True, True]]


def test_rounds_are_compared_with_those_before_time_slots():
    quiet, crowded, bursts = rounds_sections(polls=1000, burst=200)
    assert quiet.figures[0].other > 19
    assert quiet.figures[0].is_met
    assert [figure.name for figure in crowded.figures if figure.target and figure.unit == "number"] == [
        "100,000: rounds in 5 minutes",
        "100,000: requests to the API in 5 minutes",
        "1,000,000: requests to the API in 5 minutes",
    ]
    assert all(figure.other > 0 and figure.app > 0 for one in (quiet, crowded, bursts) for figure in one.figures)


def test_publishing_keeps_the_rest_of_the_page():
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n"
    assert replaced(page, "new") == f"# Title\n\n{BEGIN}\nnew\n{END}\n\nThe end.\n"
    assert replaced(replaced(page, "new"), "old") == page


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("no markers", id="none"),
        pytest.param(BEGIN, id="no end"),
        pytest.param(f"{END}{BEGIN}", id="wrong order"),
        pytest.param(f"{BEGIN}{END}{BEGIN}{END}", id="twice"),
    ],
)
def test_page_without_its_two_markers_is_an_error(page):
    with pytest.raises(ValueError, match="once each"):
        replaced(page, "new")
