"""Writes docs/dtypes.md from the promotion table itself. Usage: python docs/make_tables.py"""
from __future__ import annotations

from pathlib import Path

from adjoint._dtypes import DTYPES, promote, weak_dtype
from adjoint._errors import DtypeError

SHORT = {"bool": "b1", "bfloat16": "bf16", "complex64": "c64", "complex128": "c128"}


def short(name: str) -> str:
    return SHORT.get(name, name.replace("float", "f").replace("uint", "u").replace("int", "i"))


def cell(a: object, b: object) -> str:
    try:
        return short(promote(a, b).name)  # type: ignore[arg-type]
    except DtypeError:
        return "error"


def page() -> str:
    rows = [
        "# Dtypes and promotion",
        "",
        "float32 is the default for Python floats, int32 for Python integers (int64 where the number needs it), complex64 for "
        "Python complex numbers. A NumPy array keeps its dtype: float64 is never cut to float32 without being asked.",
        "",
        "Two tensors: the wider of two of one kind; with kinds mixed the higher of bool < integer < float < complex, whatever "
        "their widths (float64 with complex64 gives complex128). float16 with bfloat16 gives float32. uint64 has no common "
        "dtype with a signed integer: that raises.",
        "",
        "| | " + " | ".join(short(b.name) for b in DTYPES) + " |",
        "| --- |" + " --- |" * len(DTYPES),
    ]
    rows += [f"| **{short(a.name)}** | " + " | ".join(cell(a, b) for b in DTYPES) + " |" for a in DTYPES]
    rows += [
        "",
        "A Python scalar beside a tensor is weak: it takes the tensor's dtype, or the default of its own kind where the tensor's "
        "kind is lower.",
        "",
        "| tensor | bool | int | float | complex |",
        "| --- | --- | --- | --- | --- |",
    ]
    rows += [f"| **{short(a.name)}** | " + " | ".join(short(weak_dtype(k, a).name) for k in (bool, int, float, complex)) + " |"
             for a in DTYPES]
    rows += [
        "",
        "Under the TensorFlow spelling two tensors of different dtypes do not go together: the operation raises "
        "`tf.errors.InvalidArgumentError`, as in TensorFlow; Python scalars and NumPy arrays take the tensor's dtype.",
        "",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    Path(__file__).with_name("dtypes.md").write_text(page(), encoding="utf-8")
