"""What a figure depends on: the processor, the load, the versions."""
from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess

from .harness import LIBRARIES, Worker, WorkerFailed


def processor() -> str:
    """The processor's name, as the system tells it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    if platform.system() == "Darwin":
        with contextlib.suppress(OSError):
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()


def widest() -> str:
    """The widest vectors, where Linux tells."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:
        flags = next((line.split() for line in info if line.startswith(("flags", "Features"))), [])
        for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON")):
            if flag in flags:
                return name
    return ""


def load() -> float | None:
    """Processes that wanted to run during the last minute, on average."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def describe(team: dict[str, Worker]) -> dict[str, str]:
    """Machine and versions, line by line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {
        "date": datetime.date.today().isoformat(),
        "processor": ", ".join(part for part in (processor(), f"{cores} cores", widest()) if part),
        "system": f"{platform.system()} {platform.machine()}",
    }
    for library, worker in team.items():
        if library == "adjoint.tensorflow":
            continue
        try:
            versions = worker.ask(do="versions", mode=LIBRARIES[library][0])
        except WorkerFailed as error:
            found[library] = f"failed: {error}"
            continue
        own = versions.pop(library, "?")
        found[library] = f"{own} (" + ", ".join(f"{k} {v}" for k, v in versions.items()) + ")"
    return found
