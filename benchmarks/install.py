"""Environments for the peers, one each."""
from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from .harness import PEERS, interpreter

PACKAGES = {"tensorflow": ["tensorflow-cpu"], "torch": ["torch==2.13.0", "numpy"], "jax": ["jax", "jaxlib"]}
# PyTorch's builds without CUDA are found here; where the address can't be reached, the package index has to do.
_CPU = ["--extra-index-url", "https://download.pytorch.org/whl/cpu", "--retries", "1"]


def install(folder: Path) -> int:
    """Make what is missing of DIR/tensorflow, DIR/torch and DIR/jax; how many failed."""
    failed = 0
    for library in PEERS:
        place = folder / library
        if interpreter(place) is None:
            print(f"{library}: making {place}", flush=True)
            venv.create(place, with_pip=True)
        python = interpreter(place)
        command = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES[library]]
        tries = [[*command, *_CPU], command] if library == "torch" and sys.platform == "linux" else [command]
        if all(subprocess.run(one).returncode for one in tries):
            print(f"{library}: pip failed", file=sys.stderr)
            failed += 1
    return failed
