"""The command: python -m benchmarks."""
from __future__ import annotations

import argparse
import os
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from . import harness, imports, install, machine, table
from .rows import rows

EXTRA = ("starts", "imports", "limits")                  # what is measured beside the rows
STARTS = ("mlp",)                                        # rows whose start is measured in processes of their own


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="adjoint beside TensorFlow, PyTorch and JAX.",
        epilog="Rows: " + ", ".join([*rows(), *EXTRA]) + ". Patterns such as 'mlp*' will do.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="what to run (default: all)")
    parser.add_argument("--peers", type=Path, metavar="DIR", default=os.environ.get("ADJOINT_PEERS"),
                        help="where the peers' environments are: DIR/tensorflow, DIR/torch, DIR/jax (default: $ADJOINT_PEERS)")
    parser.add_argument("--install", type=Path, metavar="DIR", help="make these environments with pip, and stop")
    parser.add_argument("--only", metavar="NAMES", help="libraries, with commas between: " + ", ".join(harness.LIBRARIES))
    parser.add_argument("--rounds", type=int, default=9, help="times that each program is sampled (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help="the large rows too")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error(f"--rounds: must be at least 1, got {args.rounds}")
    if args.peers is not None:
        args.peers = Path(args.peers).absolute()
        if not args.peers.is_dir():
            parser.error(f"--peers: no such folder: {args.peers} (python -m benchmarks --install {args.peers} makes it)")
    args.only = args.only.split(",") if args.only else None
    for name in args.only or ():
        if name not in harness.LIBRARIES:
            parser.error(f"--only: no such library: {name} (there are {', '.join(harness.LIBRARIES)})")
    known = [*(name for name, (_, row) in rows().items() if args.full or not row.full), *EXTRA]
    everything = [*rows(), *EXTRA]
    for pattern in args.rows:
        if not any(fnmatchcase(name, pattern) for name in everything):
            parser.error(f"no such row: {pattern} (there are {', '.join(everything)})")
    if args.rows:                                        # a large row that is named needs no --full
        known = [n for n in everything if n in args.rows or n in known and any(fnmatchcase(n, p) for p in args.rows)]
    args.names = known
    return args


def show(tables: list[table.Table], lines: list[str]) -> None:
    if sys.stdout.isatty():
        try:
            from rich.console import Console
        except ImportError:
            pass
        else:
            console = Console()
            for t in tables:
                console.print(table.rich(t))
            console.print("\n".join(lines), highlight=False, markup=False)
            return
    print("\n\n".join([*(table.plain(t) for t in tables), "\n".join(lines)]))


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.install is not None:
        return 1 if install.install(args.install.absolute()) else 0

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif text:
            print(text, file=sys.stderr, flush=True)

    before = machine.load()
    team = harness.workers(args.peers, args.only)
    try:
        say("versions")
        facts = machine.describe(team)
        limits = None
        if "limits" in args.names and "adjoint" in team:
            say("limits")
            limits = team["adjoint"].ask(do="limits")
        results = harness.measure_all([n for n in args.names if n not in EXTRA], team, args.rounds, say)
        starts = {}
        if "starts" in args.names:
            for name in STARTS:
                say(f"starts of {name}")
                starts[name] = harness.measure_starts(name, rows()[name][1], team)
        if limits is not None:                           # the better of two: other work on the machine hides the limit
            again = team["adjoint"].ask(do="limits")
            limits = {what: max(rate, again[what]) for what, rate in limits.items()}
            facts["limits"] = (f"{limits['sgemm'] / 1e9:.0f} GFLOP/s in float32 products, "
                               f"{limits['copy'] / 1e9:.1f} GB/s in copies")
        weights = None
        if "imports" in args.names:
            weights = table.weights(imports.import_times(team, args.rounds, say), imports.installed_sizes(team))
    finally:
        say("")
        for worker in team.values():
            worker.end()
            worker.folder.cleanup()
    after = machine.load()
    if before is not None and after is not None:
        facts["load average"] = f"{before:.1f} before the run, {after:.1f} after it (the run itself is in the second)"
    notes = []
    if before is not None and before > 0.25 * (os.cpu_count() or 1):
        notes.append("**The machine was busy with other work during this run.** What runs in several threads suffers most from "
                     "that: steps of large arrays and matrices are slower here than on a quiet machine, for all libraries.")

    short = [table.times(results, limits)] if results else []
    full = [*short, *([table.spread(results), table.starts(results)] if results else [])]
    if starts:
        made = table.processes(starts, {name: row.title for name, (_, row) in rows().items()})
        short.append(made)
        full.append(made)
    if any(row.full for row, _ in results.values()):
        short.append(table.memory(results))
        full.append(table.memory(results))
    if weights is not None:
        short.append(weights)
        full.append(weights)
    failed = table.failures(results)
    show(short, [*(f"{k}: {v}" for k, v in facts.items()), *notes, *failed])
    if args.write:
        command = " ".join(["python -m benchmarks", *(["--full"] if args.full else []), "--write --peers DIR"])
        target = harness.ROOT / "docs" / "benchmarks.md"
        target.write_text(table.page(facts, notes, full, failed, command), encoding="utf-8")
        print(f"\nwritten: {target}")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
