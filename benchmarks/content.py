"""Measures the content check next to other programs that read a whole file, and prints what it costs at scale.

    PYTHONPATH=functions python -m benchmarks.content [--megabytes 200] [--repetitions 5]

Each program reads a BAM, a bgzipped VCF and a CRAM 3.0 in a process of its own, in turns; the best CPU time counts, so
that other work on the machine matters less. Python's start and imports are not included. `bgzip` and `samtools` are
measured if they are installed, and htslib as pysam ships it. Data repeats after about 8 MB, which changes neither the
blocks' sizes nor the work for each.
"""

import argparse
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pysam
from pysam.version import __samtools_version__

from benchmarks.__main__ import this_machine
from benchmarks.results import Figure, Section, Target, table
from export_monitor.domain.content.formats import FIRST_BYTES, Format, Kind, Unverifiable, recognise
from export_monitor.domain.content.inflating import inflate_libraries
from export_monitor.domain.content.plan import Part, plan_parts
from export_monitor.domain.content.verifier import PartVerifier

CHUNK_BYTES = 1 << 20
GET_BYTES = 8 << 20
SAMPLE_BYTES = 8_000_000
FILES = ("reads.bam", "calls.vcf.gz", "reads.cram")
BEST = inflate_libraries()[0].__name__

# Assumed: list prices of us-east-1, the memory that comes with one vCPU, and what one worker reads from S3.
DOLLARS_PER_GB_SECOND = 0.0000133334
DOLLARS_PER_GET = 0.40 / 1_000_000
WORKER_GB = 1769 / 1024
WORKER_BYTES_PER_SECOND = 75 * 1024**2
START_SECONDS = 2.0
PART_BYTES = 4 << 30


def verify(path: Path, library: str) -> None:
    """Verify the whole file with this inflate library, in chunks as a worker reads them."""
    with path.open("rb") as file:
        content_format = recognise(file.read(FIRST_BYTES), path.name)
        if isinstance(content_format, Unverifiable):
            raise TypeError(content_format.reason)
        size = path.stat().st_size
        part = Part(0, content_format.first_unit, size, is_proven=True)
        verifier = PartVerifier(content_format, size, part, import_module(library))
        file.seek(part.start)
        while verifier.result is None:
            verifier.feed(file.read(CHUNK_BYTES))
    if verifier.result.fault:
        raise ValueError(verifier.result.fault)


def _python_gzip(path: Path) -> None:
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass


def _htslib_bgzf(path: Path) -> None:
    with pysam.BGZFile(str(path), "r", None) as file:
        while file.read(1 << 20):
            pass


def _samtools_count(path: Path) -> None:
    pysam.view("-c", str(path))


def _samtools_decode(path: Path) -> None:
    pysam.view("-o", os.devnull, str(path), catch_stdout=False)


_SAMTOOLS = f"samtools {__samtools_version__}"
_IN_PYTHON: Mapping[str, Callable[[Path], None]] = {
    "Python's gzip": _python_gzip,
    f"htslib's BGZF, {_SAMTOOLS} in pysam": _htslib_bgzf,
    f"view -c, {_SAMTOOLS} in pysam": _samtools_count,
    f"view, {_SAMTOOLS} in pysam": _samtools_decode,
}
_COMMANDS = {"bgzip --test": ("bgzip", "--test"), "samtools view -c": ("samtools", "view", "-c")}


@dataclass(frozen=True, slots=True)
class Run:
    """One program that read one file: CPU seconds and, of a program in Python, its process's memory in bytes."""

    cpu: float
    memory_before: int = 0
    memory_peak: int = 0


def measured_run(program: str, path: Path) -> Run:
    """Run a program in a process of its own."""
    command = _COMMANDS.get(program)
    if command is None:
        arguments = [sys.executable, "-m", "benchmarks.content", "--run", program, "--path", str(path)]
        answer = subprocess.run(arguments, check=True, capture_output=True).stdout  # noqa: S603 -- ours
        return Run(**json.loads(answer.splitlines()[-1]))
    before = os.times()
    subprocess.run([*command, str(path)], check=True, capture_output=True)  # noqa: S603 -- found on the PATH
    after = os.times()
    return Run(after.children_user + after.children_system - before.children_user - before.children_system)


def run(program: str, path: Path) -> None:
    """Run one of the programs in this process and print what it took."""
    cpu, memory = time.process_time(), memory_bytes("VmRSS")
    if program in _IN_PYTHON:
        _IN_PYTHON[program](path)
    else:
        verify(path, program)
    print(json.dumps(asdict(Run(time.process_time() - cpu, memory, memory_bytes("VmHWM")))))


def memory_bytes(field: str) -> int:
    """A figure of this process, in bytes: VmRSS is its memory now, VmHWM the most it was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def others(path: Path) -> Iterator[tuple[str, Target | None]]:
    """The other programs that read this file and are installed, with our target next to each."""
    if path.suffix == ".cram":
        targets = {"samtools view -c": Target(0.1), f"view -c, {_SAMTOOLS} in pysam": Target(0.1)}
        programs = [*targets, f"view, {_SAMTOOLS} in pysam"]
    else:
        programs = ["bgzip --test", f"htslib's BGZF, {_SAMTOOLS} in pysam", "Python's gzip"]
        programs += ["samtools view -c"] * (path.suffix == ".bam")
        targets = dict.fromkeys(programs, Target(0.667))
    for name in programs:
        if name not in _COMMANDS or shutil.which(_COMMANDS[name][0]):
            yield name, targets.get(name)


def section(path: Path, repetitions: int) -> tuple[Section, float]:
    """The app next to each other program and inflate library, and its CPU seconds for a GB."""
    libraries = [library.__name__ for library in inflate_libraries()]
    compared = {**dict.fromkeys(libraries), **dict(others(path))}
    runs: dict[str, list[Run]] = {name: [] for name in compared}
    for _ in range(repetitions):
        for name, measured in runs.items():
            measured.append(measured_run(name, path))
    megabytes = path.stat().st_size / 1e6
    cpu = {name: min(one.cpu for one in measured) * 1e5 / megabytes for name, measured in runs.items()}
    figures = [
        Figure(f"CPU time for 100 MB, next to {name}", "ms", cpu[name], cpu[BEST], target)
        for name, target in compared.items()
        if name != BEST
    ]
    peak = max(runs[BEST], key=lambda one: one.memory_peak)
    memory = (peak.memory_before / 1e6, peak.memory_peak / 1e6, Target(200, of_other=False))
    figures.append(Figure("memory, next to the process before it reads", "MB", *memory))
    return Section(f"other readers of {path.name}, {megabytes:.0f} MB", "other", tuple(figures)), cpu[BEST] / 100


def make_files(folder: Path, size: int) -> Iterator[Path]:
    """Write the three files, each at least this long."""
    sample_bytes = min(SAMPLE_BYTES, size)
    chance = random.Random(1)  # noqa: S311 -- the same files each time
    for name in FILES:
        path = folder / name
        (_write_calls if name == "calls.vcf.gz" else _write_reads)(path, sample_bytes, chance)
        _repeat(path, size)
        yield path


def _write_reads(path: Path, sample_bytes: int, chance: random.Random) -> None:
    header = {"HD": {"VN": "1.6"}, "SQ": [{"LN": 250_000_000, "SN": "chr1"}]}
    options = [b"version=3.0", b"no_ref=1"] if path.suffix == ".cram" else []
    mode = "wc" if options else "wb"
    qualities = bytes(33 + min(40, quality) for quality in range(2, 66)) * 4
    with pysam.AlignmentFile(str(path), mode, header=header, format_options=options) as out:  # type: ignore[arg-type] # bytes, whatever its stubs say
        for number in range(sample_bytes // 130):
            read = pysam.AlignedSegment(out.header)
            read.query_name, read.flag, read.mapping_quality = f"run:7:{number % 9}:{number}", 0, 60
            read.query_sequence = chance.randbytes(150).translate(b"ACGT" * 64).decode()
            read.reference_id, read.reference_start, read.cigartuples = 0, number * 50, [(0, 150)]
            read.query_qualities = pysam.qualitystring_to_array(chance.randbytes(150).translate(qualities).decode())
            out.write(read)


def _write_calls(path: Path, sample_bytes: int, chance: random.Random) -> None:
    header = pysam.VariantHeader()
    header.contigs.add("chr1", length=250_000_000)
    lines = [
        f"chr1\t{number * 37}\t.\t{chance.choice('ACGT')}\tT\t{chance.randrange(999)}\tPASS\tDP={chance.randrange(99)};"
        f"AF=0.{chance.randrange(999)}\tGT:AD\t0/1:{chance.randrange(50)},{chance.randrange(50)}\n"
        for number in range(sample_bytes // 20)
    ]
    with pysam.BGZFile(str(path), "w", None) as out:
        out.write(str(header).encode())
        out.write("".join(lines).encode())


def _repeat(path: Path, size: int) -> None:
    """Repeat the blocks or containers between the first, with the header, and the end-of-file marker."""
    content = path.read_bytes()
    first = recognise(content[:FIRST_BYTES], path.name)
    if isinstance(first, Unverifiable):
        raise TypeError(first.reason)
    start = _end_of_unit(content, first, first.first_unit)
    end = len(content) - (38 if first.kind is Kind.CRAM else 28)
    with path.open("wb") as file:
        file.write(content[:start])
        for _ in range(-(-size // (end - start))):
            file.write(content[start:end])
        file.write(content[end:])


def _end_of_unit(content: bytes, content_format: Format, at: int) -> int:
    verifier = PartVerifier(content_format, len(content), Part(0, at, at + 1, is_proven=True))
    verifier.feed(content[at:])
    if verifier.result is None:
        raise ValueError("the file is incomplete")
    return verifier.result.end


def paper_model(cpu_seconds_per_gb: Mapping[str, float]) -> list[str]:
    """Minutes and dollars for objects of three sizes with 1, 4 and 16 workers, as the lines of a page."""
    measured = ", ".join(f"{name} {seconds:.1f} CPU seconds a GB" for name, seconds in cpu_seconds_per_gb.items())
    assumed = (
        f"a worker of {WORKER_GB:.2f} GB (one vCPU) reads and verifies {WORKER_BYTES_PER_SECOND >> 20} MiB/s, each "
        f"part of {PART_BYTES >> 30} GiB takes {START_SECONDS:g} s to start, a GB-second costs {DOLLARS_PER_GB_SECOND} "
        f"dollars, 1,000 GETs of {GET_BYTES >> 20} MiB cost {DOLLARS_PER_GET * 1000:.4f}, the bucket is in the region"
    )
    head = "| Object | parts | 1 worker | 4 workers | 16 workers | dollars |"
    rows = [_row(name, size) for name, size in (("1 GB", 10**9), ("100 GB", 10**11), ("1 TB", 10**12))]
    return [f"Measured here: {measured}.", f"Assumed: {assumed}.", "", head, "| --- | ---: |" + " ---: |" * 4, *rows]


def _row(name: str, size: int) -> str:
    parts = plan_parts(size, PART_BYTES, Format(Kind.BGZF, "BAM", demands_eof_marker=True))
    if isinstance(parts, Unverifiable):
        raise TypeError(parts.reason)
    seconds = [START_SECONDS + (part.stop - part.start) / WORKER_BYTES_PER_SECOND for part in parts]
    # At most three more requests for each part.
    gets = size / GET_BYTES + 3 * len(parts)
    dollars = sum(seconds) * WORKER_GB * DOLLARS_PER_GB_SECOND + gets * DOLLARS_PER_GET
    minutes = [_makespan(seconds, workers) / 60 for workers in (1, 4, 16)]
    return f"| {name} | {len(parts)} | " + " | ".join(f"{one:.1f} min" for one in minutes) + f" | {dollars:.4f} |"


def _makespan(seconds: list[float], workers: int) -> float:
    """When the last of these parts is done, if each goes to the worker that is free first."""
    free_at = [0.0] * workers
    for duration in seconds:
        free_at.sort()
        free_at[0] += duration
    return max(free_at)


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200, help="the least size of each file")
    parser.add_argument("--repetitions", type=int, default=5, help="the best counts")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run, options.path)
        return
    print(f"{this_machine()}, {BEST}", flush=True)
    cpu = {}
    with TemporaryDirectory() as folder:
        for path in make_files(Path(folder), options.megabytes * 1_000_000):
            measured, cpu[path.name] = section(path, options.repetitions)
            print("\n" + "\n".join(table(measured)), flush=True)
            path.unlink()
    print("\n" + "\n".join(paper_model(cpu)))


if __name__ == "__main__":
    main()
