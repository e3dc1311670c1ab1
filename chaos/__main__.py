"""`python -m chaos`: runs a fault campaign for each seed; exits with 1 if a guarantee was broken."""

import argparse
import sys
from pathlib import Path

from chaos.campaign import Campaign
from chaos.report import judge, lines


def main() -> None:
    """Run the campaigns one after the other and print a report of each."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Fault campaigns on the local stack.")
    parser.add_argument("--seed", type=int, nargs="+", default=[7], help="one campaign for each seed")
    parser.add_argument("--exports", type=int, default=300)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--log", type=Path, help="append the function's log to this file")
    options = parser.parse_args()
    passed = [_run(seed, options.exports, options.workers, options.log) for seed in options.seed]
    sys.exit(not all(passed))


def _run(seed: int, exports: int, workers: int, log: Path | None) -> bool:
    logged: list[str] = []
    run = Campaign(seed, exports, workers, logged.append).run()
    if log is not None:
        with log.open("a") as file:
            file.writelines(f"{line}\n" for line in logged)
    findings = judge(run)
    print("\n".join(lines(run, findings)), end="\n\n", flush=True)
    return findings.passed


if __name__ == "__main__":
    main()
