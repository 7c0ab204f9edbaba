"""The IDX reader against bytes written by hand, and against what it must refuse."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pixgrad import data
from pixgrad.data.idx import parse_idx, read_labelled
from pixgrad.errors import PixgradError, SourceError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
ARRAYS = st.sampled_from(sorted(CODES)).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)


def idx_bytes(array: np.ndarray) -> bytes:
    """Written from the description of the format, value by value."""
    kind = array.dtype.str[1:]
    head = struct.pack(">BBBB", 0, 0, CODES[kind], array.ndim)
    head += b"".join(struct.pack(">I", length) for length in array.shape)
    letter = {"u1": "B", "i1": "b", "i2": "h", "i4": "i", "f4": "f", "f8": "d"}[kind]
    return head + b"".join(struct.pack(f">{letter}", value) for value in array.ravel().tolist())


@given(array=ARRAYS, packed=st.booleans())
def test_reads_what_was_written(array, packed):
    raw = idx_bytes(array)
    got = parse_idx(gzip.compress(raw) if packed else raw, "some.idx")
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


@given(array=ARRAYS, packed=st.booleans(), where=st.floats(0, 1, exclude_max=True))
def test_any_cut_is_refused_by_name(array, packed, where):
    raw = gzip.compress(idx_bytes(array)) if packed else idx_bytes(array)
    with pytest.raises(SourceError, match=r"^some\.idx: "):
        parse_idx(raw[: int(where * len(raw))], "some.idx")


@given(raw=st.binary(max_size=64))
def test_rubbish_never_escapes_as_another_exception(raw):
    try:
        parse_idx(raw, "some.idx")
    except SourceError as error:
        assert str(error).startswith("some.idx: ")


def write(folder: Path, images, labels, prefix="train") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def test_label_out_of_range_names_file_and_row(tmp_path):
    write(tmp_path, np.zeros((3, 2, 2), "u1"), np.array([0, 9, 10], "u1"))
    with pytest.raises(SourceError, match=r"labels-idx1-ubyte: строка 2: метка 10, .*0…9"):
        read_labelled(
            tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte", 10
        )


def test_counts_must_agree(tmp_path):
    write(tmp_path, np.zeros((3, 2, 2), "u1"), np.zeros(2, "u1"))
    with pytest.raises(SourceError, match="меток 2, а изображений 3"):
        read_labelled(
            tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte", 10
        )


def test_swapped_files_are_noticed(tmp_path):
    write(tmp_path, np.zeros((3, 2, 2), "u1"), np.zeros(3, "u1"))
    with pytest.raises(SourceError, match="ожидались изображения"):
        read_labelled(
            tmp_path / "train-labels-idx1-ubyte", tmp_path / "train-images-idx3-ubyte", 10
        )


@pytest.mark.parametrize(
    ("name", "folder", "origin"),
    [
        ("mnist", "mnist_idx", "data-root"),
        ("mnist", "MNIST/raw", "torchvision"),
        ("fashion", "fashion_idx", "data-root"),
    ],
)
def test_layouts_of_the_data_root(tmp_path, monkeypatch, name, folder, origin):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    x = np.arange(20 * 28 * 28, dtype=np.uint32).astype("u1").reshape(20, 28, 28)
    write(tmp_path / folder, x, np.repeat(np.arange(2, dtype="u1"), 10))
    write(tmp_path / folder, x[:4], np.arange(4, dtype="u1"), "t10k")
    train, held_out = data.load(name), data.load(name, split="validation")
    assert (train.origin, len(train), len(held_out)) == (origin, 16, 4)
    assert np.bincount(held_out.labels).tolist() == [2, 2]
    both = np.concatenate([train.images, held_out.images])
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(x, axis=0))
    np.testing.assert_array_equal(data.load(name, split="test").images, x[:4])


def test_missing_set_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    with pytest.raises(PixgradError) as caught:
        data.load("mnist")
    message = str(caught.value)
    assert str(tmp_path / "mnist_idx") in message
    assert "pixgrad fetch mnist" in message
    assert "\n" not in message


def test_axes_that_numpy_cannot_have():
    raw = bytes([0, 0, 8, 65]) + bytes([0, 0, 0, 1]) * 65 + b"x"
    with pytest.raises(SourceError, match="осей 65"):
        parse_idx(raw, "digits")
