"""`make bench`: everything side by side in one run, printed as tables.

It measures and judges nothing: it ends with 0 whatever the figures are, since they are those of this machine now.
"""

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import detection_lag, measuring, sections, variants
from benchmarks.figures import Section, as_json, as_text
from benchmarks.stand_in import StandIn


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exports", type=int, default=100, help="in a round; the targets are those of 100")
    parser.add_argument("--repetitions", type=int, default=5, help="of which the medians are shown")
    parser.add_argument("--watched", type=int, nargs="+", default=[10, 100, 1000, 10_000], help="growing numbers")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    machine = this_machine()
    print(", ".join(machine.values()), flush=True)
    measured, operations = measure(options.exports, options.repetitions, options.watched)
    for section in measured:
        print(f"\n{as_text(section)}")
    print("\nRequests by operation")
    print("\n".join(operations))
    if options.json:
        document: dict[str, Any] = {"machine": machine, "sections": [as_json(section) for section in measured]}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=2) + "\n")


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


def this_machine() -> dict[str, str]:
    """The class of the machine, the Python and the day."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": f"{os.cpu_count()} cores",
        "python": f"Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
    }


if __name__ == "__main__":
    main()
