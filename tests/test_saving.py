"""Files: what is written can be read, by us and by the safetensors library; damage is noticed and changes nothing."""
import contextlib
import os
from collections import namedtuple

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import adjoint as ad
from adjoint import saving

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16",
          "float32", "float64", "complex64", "complex128"]
Pair = namedtuple("Pair", "kernel bias")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_every_dtype_comes_back(dtype, shape, tmp_path):
    x = ad.cast(ad.constant(np.arange(np.prod(shape, dtype=int)).reshape(shape)), dtype)
    ad.save(tmp_path / "x", x)
    (name, got), = ad.load(tmp_path / "x").items()
    assert name == "value"
    assert got.dtype == dtype
    assert got.shape == shape
    np.testing.assert_array_equal(got.numpy(), x.numpy())


def test_the_library_reads_it_and_we_read_the_library(tmp_path):
    values = {"a": np.ones((2, 3), np.float32), "b": np.arange(5), "c": np.zeros((), np.float16), "d": np.array([True])}
    ad.save(tmp_path / "x", values)
    theirs = safetensors.numpy.load_file(tmp_path / "x")
    assert set(theirs) == set(values)
    for k, v in values.items():
        np.testing.assert_array_equal(theirs[k], v)
        assert theirs[k].dtype == v.dtype
    safetensors.numpy.save_file(values, tmp_path / "y", {"note": "theirs"})
    ours = ad.load(tmp_path / "y")
    for k, v in values.items():
        np.testing.assert_array_equal(ours[k].numpy(), v)


def test_nests_keep_their_structure(tmp_path):
    w, t = ad.Variable([1.0, 2.0], name="w"), ad.constant(3)
    nest = {"layers": [Pair(w, t), (None, 0.1)], "step": 7, "on": True, "array": np.arange(3)}
    ad.save(tmp_path / "x", nest)
    assert sorted(ad.load(tmp_path / "x")) == ["array", "layers/0/bias", "layers/0/kernel", "layers/1/1", "on", "step"]
    w.assign([0.0, 0.0])
    blank = {"layers": [Pair(w, ad.constant(0)), (None, 0.0)], "step": 0, "on": False, "array": np.zeros(3, int)}
    got = ad.load(tmp_path / "x", into=blank)
    assert got["layers"][0].kernel is w
    assert w.tolist() == [1.0, 2.0]
    assert int(got["layers"][0].bias) == 3
    assert got["layers"][1] == (None, 0.1)
    assert got["step"] == 7
    assert got["on"] is True
    np.testing.assert_array_equal(got["array"], np.arange(3))


def test_pending_values_are_computed(tmp_path):
    w = ad.Variable(1.0)
    w.assign_add(1.5)
    ad.save(tmp_path / "x", [w, w * 2.0])
    assert [float(v) for v in ad.load(tmp_path / "x").values()] == [2.5, 5.0]


@pytest.mark.parametrize(("into", "error", "words"), [
    (lambda a, b: [a], ad.ArgumentError, "it also has '1'"),
    (lambda a, b: [a, b, 1.0], ad.ArgumentError, "it lacks '2'"),
    (lambda a, b: {"0": a, "x": b}, ad.ArgumentError, "it lacks 'x'; it also has '1'"),
    (lambda a, b: [a, ad.Variable([1.0])], ad.ShapeError, "'1'.*shape"),
    (lambda a, b: [a, ad.Variable(1)], ad.DtypeError, "'1'.*int32"),
    (lambda a, b: [a, ad.Variable(1.0, name="other")], ad.ArgumentError, "called 'b'.*'other'"),
    (lambda a, b: [a, "b"], ad.DtypeError, "'b'"),
])
def test_what_does_not_fit_changes_nothing(into, error, words, tmp_path):
    a, b = ad.Variable([1.0, 2.0], name="a"), ad.Variable(3.0, name="b")
    ad.save(tmp_path / "x", [a, b])
    a.assign([0.0, 0.0])
    with pytest.raises(error, match=words):
        ad.load(tmp_path / "x", into=into(a, b))
    assert a.tolist() == [0.0, 0.0]


def test_damage_is_noticed(tmp_path):
    path = tmp_path / "x"
    ad.save(path, {"a": np.arange(20.0), "b": np.arange(3)})
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    rng = np.random.default_rng(0)
    cuts = [good[:n] for n in (0, 4, 8, 20, 8 + length, len(good) - 1)] + [good + b"\0"]
    for data in cuts:
        path.write_bytes(data)
        with pytest.raises(ad.ArgumentError, match="not a whole safetensors file"):
            ad.load(path)
    for _ in range(400):                                 # one byte of the header changed: an error of ours, or a file
        data = bytearray(good)
        data[rng.integers(8 + length)] = rng.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(ad.ArgumentError):
            ad.load(path)


@pytest.mark.parametrize("header", [b"[]", b'{"a": 3}',
                                    b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
                                    b'{"a": {"dtype": "F9", "shape": [1], "data_offsets": [0, 4]}}',
                                    b'{"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}}',
                                    b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
                                    b'{"__metadata__": 3}', b"\xff\xfe", b"[" * 100_000])
def test_headers_that_lie(header, tmp_path):
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    with pytest.raises(ad.ArgumentError, match="not a whole"):
        ad.load(tmp_path / "x")


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x"
    ad.save(path, [1.0])
    old = path.read_bytes()
    with pytest.raises(ad.DtypeError, match="'1'"):
        ad.save(path, [1.0, "text"])
    with pytest.raises(ad.ArgumentError, match="twice"):
        ad.save(path, {"a/b": 1.0, "a": {"b": 2.0}})

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(saving.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        ad.save(path, [2.0])
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["x"]
    with pytest.raises(FileNotFoundError):
        ad.load(tmp_path / "none")
