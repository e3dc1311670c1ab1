"""`make bench`: measures all variants in one run and prints tables; `--publish` also writes them into a page.

The exit status is 0 even if a target is missed: the results depend on the machine.
"""

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import detection_lag, report, runner, sections, variants
from benchmarks.results import Section, replaced, table
from benchmarks.stub_server import StubServer


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exports", type=int, default=100, help="exports per round; the targets apply to 100")
    parser.add_argument("--repetitions", type=int, default=5, help="the tables show the median")
    parser.add_argument(
        "--watched", type=int, nargs="+", default=[10, 100, 1000, 10_000], help="numbers of watched exports, ascending"
    )
    parser.add_argument(
        "--publish", type=Path, metavar="PAGE", help="also write the tables between the markers of this page"
    )
    options = parser.parse_args()
    machine = this_machine()
    print(machine, flush=True)
    measured = measure(options.exports, options.repetitions, options.watched)
    tables = "\n\n".join("\n".join(table(section)) for section in measured)
    print(f"\n{tables}")
    if options.publish:
        page = options.publish.read_text()
        options.publish.write_text(replaced(page, f"{tables}\n\n`make bench` on {machine}."))


def measure(exports: int, repetitions: int, watched: list[int]) -> list[Section]:
    """All sections."""
    app, baseline, client = variants.app(), variants.baseline(), variants.official_client()
    functions = (baseline, app)
    with StubServer() as stub:
        cold = runner.cold(stub, functions, repetitions)
        kinds = dict.fromkeys(functions, runner.KINDS)
        warm = runner.warm(stub, {**kinds, client: ("running",)}, exports, repetitions)
        growth = runner.growth(stub, app, watched)
    sizes = {variant.name: variants.zipped_bytes(variant) for variant in functions}
    return [
        sections.warm_section(warm, cold, sizes, exports),
        sections.client_section(warm, exports),
        *sections.growth_sections(growth),
        *sections.lag_sections(detection_lag.rows()),
        *sections.rounds_sections(),
        report.section(max(watched), repetitions),
    ]


def this_machine() -> str:
    """The processor, the Python version and the date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    today = datetime.now(UTC).date().isoformat()
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {today}"


if __name__ == "__main__":
    main()
