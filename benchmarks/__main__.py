"""`make bench`: everything side by side in one run, printed as tables, and written into a page where one is named.

It measures and judges nothing: it ends with 0 whatever the figures are, since they are those of this machine now.
"""

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import detection_lag, measuring, sections, variants
from benchmarks.figures import Section, replaced, table
from benchmarks.plot import svg
from benchmarks.stand_in import StandIn


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exports", type=int, default=100, help="in a round; the targets are those of 100")
    parser.add_argument("--repetitions", type=int, default=5, help="of which the medians are shown")
    parser.add_argument("--watched", type=int, nargs="+", default=[10, 100, 1000, 10_000], help="growing numbers")
    parser.add_argument("--publish", type=Path, metavar="PAGE", help="write the tables between this page's markers too")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="and draw the first table into this file")
    options = parser.parse_args()
    machine = this_machine()
    print(machine, flush=True)
    measured, operations = measure(options.exports, options.repetitions, options.watched)
    tables = "\n\n".join("\n".join(table(section)) for section in measured)
    print(f"\n{tables}\n\nRequests by operation")
    print("\n".join(operations))
    if options.publish:
        page = options.publish.read_text()
        options.publish.write_text(replaced(page, f"{tables}\n\n`make bench` on {machine}."))
    if options.plot:
        options.plot.write_text(svg(measured[0], machine))


def measure(exports: int, repetitions: int, watched: list[int]) -> tuple[list[Section], list[str]]:
    """All sections, and each variant's requests by operation."""
    app, naive, floor, client = variants.app(), variants.naive(), variants.floor(), variants.official_client()
    functions = (naive, app, floor)
    with StandIn() as stand_in:
        cold = measuring.cold(stand_in, functions, repetitions)
        kinds = dict.fromkeys(functions, measuring.KINDS)
        warm = measuring.warm(stand_in, {**kinds, client: ("running",)}, exports, repetitions)
        growth = measuring.growth(stand_in, app, watched)
    sizes = {variant.name: variants.zipped_bytes(variant) for variant in functions}
    measured = [
        sections.warm_section(warm, cold, sizes, exports),
        sections.client_section(warm, exports),
        *sections.growth_sections(growth),
        *sections.lag_sections(detection_lag.rows()),
    ]
    return measured, sections.operations(warm, exports)


def this_machine() -> str:
    """The class of the machine, the Python and the day."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    today = datetime.now(UTC).date().isoformat()
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {today}"


if __name__ == "__main__":
    main()
