"""The exact values, computed once and kept in references.npz. Usage: python -m benchmarks.accuracy.reference [NAME ...]

A value is stored as the nearest number of the dtype and the rest in 254ths of a unit in the last place, so that an error
of a fraction of a unit can be told.
"""
from __future__ import annotations

import multiprocessing
import sys
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp, mpf

from . import grids
from .cases import CASES, Case
from .jets import exact

FILE = Path(__file__).with_name("references.npz")
DTYPES = ("float32", "float64")


def arguments(case: Case, dtype: str) -> list[Any]:
    """The case's inputs, rows along the first axis; the same in every run."""
    rng = np.random.Generator(np.random.PCG64([grids.SEED, zlib.crc32(case.name.encode()), DTYPES.index(dtype)]))
    return [np.asarray(x, dtype) for x in case.draw(rng, case.counts[DTYPES.index(dtype)], np.dtype(dtype))]


def rounded(value: Any, dtype: Any) -> tuple[Any, int]:
    """The nearest number of ``dtype`` and the remainder in 254ths of its last place."""
    info = np.finfo(dtype)
    if value == 0:
        return dtype.type(0), 0
    _, e = mp.frexp(value)
    lowest = int(info.minexp) - int(info.nmant)
    exponent = max(int(e) - 1 - int(info.nmant), lowest)
    with mp.workprec(mp.prec + abs(exponent) % 64 + 64):
        scaled = mp.ldexp(value, -exponent)
        whole = mp.nint(scaled)
        rest = int(mp.nint((scaled - whole) * 254))
    if abs(whole) >= mpf(2) ** (int(info.nmant) + 1) and exponent + info.nmant >= info.maxexp - 1:
        return dtype.type(np.inf) * int(mp.sign(value)), 0
    if exponent + info.nmant >= info.maxexp:
        return dtype.type(np.inf) * int(mp.sign(value)), 0
    return np.ldexp(dtype.type(int(whole)), exponent).astype(dtype), max(-127, min(127, rest))


def rows_of(inputs: list[Any]) -> Any:
    """All scalars of each row, in order of the inputs."""
    return np.concatenate([x.reshape(len(x), -1) for x in inputs], axis=1)


def compute(job: tuple[str, str]) -> tuple[str, str, Any, Any]:
    name, dtype_name = job
    case, dtype = CASES[name], np.dtype(dtype_name)
    inputs = arguments(case, dtype_name)
    widths = [int(x[0].size) for x in inputs]
    starts = np.cumsum([0, *widths])
    wrt = [k for n in case.wrt for k in range(starts[n], starts[n + 1])]
    digits = case.digits[DTYPES.index(dtype_name)]
    floor = mpf(2) ** (int(np.finfo(dtype).minexp) - 60)
    size = 1 + len(wrt) + len(wrt) * (len(wrt) + 1) // 2
    near = np.full((len(inputs[0]), size), np.nan, dtype)
    rest = np.zeros(near.shape, np.int8)
    for k, row in enumerate(rows_of(inputs)):
        def call(*scalars: Any) -> Any:
            grouped = [scalars[a] if x.ndim == 1 else scalars[a:b] for x, a, b in zip(inputs, starts, starts[1:])]
            return case.exact(*grouped)

        found = exact(call, [float(v) for v in row], wrt, digits, floor)
        if found is not None:
            with mp.workdps(60):
                for j, value in enumerate(found):
                    near[k, j], rest[k, j] = rounded(value, dtype)
    return name, dtype_name, near, rest


def load() -> dict[str, Any]:
    with np.load(FILE) as kept:
        return dict(kept)


def write(found: dict[str, Any]) -> None:
    """An .npz with LZMA, which is a third smaller than np.savez_compressed."""
    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_LZMA) as archive:
        for key in sorted(found):
            buffer = BytesIO()
            np.save(buffer, found[key])
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), buffer.getvalue(), zipfile.ZIP_LZMA)


def main(names: list[str]) -> None:
    found = load() if FILE.exists() and names else {}
    jobs = [(n, d) for n in names or CASES for d in DTYPES]
    with multiprocessing.Pool() as pool:
        for name, dtype, near, rest in pool.imap_unordered(compute, jobs):
            found[f"{name}.{dtype}.near"], found[f"{name}.{dtype}.rest"] = near, rest
            found[f"{name}.{dtype}.check"] = np.uint32(
                zlib.crc32(b"".join(x.tobytes() for x in arguments(CASES[name], dtype))))
            print(name, dtype, f"{np.isnan(near[:, 0]).sum()} of {len(near)} without a value", flush=True)
    write({k: v for k, v in found.items() if k.rsplit(".", 2)[0] in CASES})
    print(f"{FILE.name}: {FILE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
