"""Images in all forms that they are given in, and what is said of those that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rfgraph
from rfgraph import Analysis
from rfgraph.errors import QueryError
from rfgraph.measure.images import NOISE, Images, Layout, images_of
from rfgraph.measure.pictures import resized
from tests.graphs import model

Image = pytest.importorskip("PIL.Image")

RNG = np.random.default_rng(0)


def conv(shape: str = "1,3,6,8", kernel: tuple[int, ...] = (3, 3)) -> Analysis:
    weights = {"W": np.ones((1, int(shape.split(",")[1]), *kernel), np.float32)}
    return rfgraph.analyze(model("y = Conv (x, W)", f"float[{shape}] x", initializers=weights))


def channels_last() -> Analysis:
    body = "h = Transpose <perm = [0, 3, 1, 2]> (x)\n y = Conv (h, W)"
    weights = {"W": np.ones((1, 3, 3, 3), np.float32)}
    return rfgraph.analyze(model(body, "float[1,6,8,3] x", initializers=weights))


def taken(analysis: Analysis, given: Any = None, dtype: Any = np.float32, **options: Any) -> Images:
    return images_of(analysis, "x", np.dtype(dtype), given, **options)


def photo(size: tuple[int, int] = (6, 8)) -> np.ndarray:
    return RNG.integers(0, 256, (*size, 3), np.uint8)


# ---------------------------------------------------------------- layouts


@pytest.mark.parametrize(
    ("analysis", "expected"),
    [
        (conv, Layout(0, 1, (2, 3))),
        (channels_last, Layout(0, 3, (1, 2))),
        (lambda: conv("1,1,50", (5,)), Layout(0, 1, (2,))),
        (lambda: conv("1,2,5,6,7", (3, 3, 3)), Layout(0, 1, (2, 3, 4))),
    ],
)
def test_what_the_axes_are(analysis: Callable[[], Analysis], expected: Layout) -> None:
    assert Layout.of(analysis(), "x") == expected


def test_a_layout_may_be_given() -> None:
    assert Layout.of(conv(), "x", "nhwc") == Layout(0, 3, (1, 2))
    with pytest.raises(QueryError, match="has 3 axes, and input 'x' has 4"):
        Layout.of(conv(), "x", "HWC")
    for wrong in ("N?HW", "NCHH", "NC", ""):
        with pytest.raises(QueryError, match="not a layout"):
            Layout.parsed(wrong)


def test_axes_that_may_both_be_channels() -> None:
    body = "s = Constant <value_ints = [1, 12, 6, 8]> ()\n h = Reshape (x, s)\n y = Conv (h, W)"
    weights = {"W": np.ones((1, 12, 3, 3), np.float32)}
    analysis = rfgraph.analyze(model(body, "float[1,3,4,6,8] x", initializers=weights))
    with pytest.raises(QueryError, match=r"1 and 2 may \(say it with layout="):
        Layout.of(analysis, "x")


# ---------------------------------------------------------------- where images are from


def test_a_folder(tmp_path: Path) -> None:
    """In the order of names; what is no image is no matter."""
    wanted = [photo() for _ in range(3)]
    for name, image in zip(("c.png", "a.PNG", "b.bmp"), wanted, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    (tmp_path / "README.txt").write_text("nothing")
    (tmp_path / "inner.png").mkdir()
    images = taken(conv(), tmp_path)
    assert [Path(images.name(k)).name for k in range(len(images))] == ["a.PNG", "b.bmp", "c.png"]
    for image, pixels in zip(images, (wanted[1], wanted[2], wanted[0]), strict=True):
        assert image.dtype == np.float32
        assert np.allclose(image, pixels.transpose(2, 0, 1)[None] / 255)
    assert not images.is_noise
    assert repr(images) == f"<3 images: {tmp_path}>"


ARRAYS: list[tuple[str, Callable[[np.ndarray], np.ndarray]]] = [
    ("as the input takes them", lambda a: a),
    ("a row of the batch each", lambda a: a[:, None]),
    ("channels last", lambda a: a.transpose(0, 2, 3, 1)),
]


@pytest.mark.parametrize(("name", "given"), ARRAYS)
@pytest.mark.parametrize("analysis", [conv, channels_last])
def test_arrays(
    name: str, given: Callable[[np.ndarray], np.ndarray], analysis: Callable[[], Analysis]
) -> None:
    arrays = RNG.random((4, 3, 6, 8), np.float32)
    images = taken(analysis(), given(arrays))
    assert len(images) == 4
    expected = arrays if analysis is conv else arrays.transpose(0, 2, 3, 1)
    assert np.array_equal(np.concatenate(list(images)), expected)


@pytest.mark.parametrize("kind", ["npy", "npz", "named", "zarr", "group"])
def test_files_of_arrays(kind: str, tmp_path: Path) -> None:
    arrays = RNG.random((4, 3, 6, 8), np.float32)
    path = tmp_path / f"images.{'npz' if kind == 'named' else kind}"
    if kind == "npy":
        np.save(path, arrays)
    elif kind == "npz":
        np.savez(path, arrays)
    elif kind == "named":
        np.savez(path, x=arrays, labels=np.zeros(4))
    else:
        zarr = pytest.importorskip("zarr")
        if kind == "zarr":
            zarr.save_array(str(path), arrays)
        else:
            zarr.open_group(str(path), mode="w").create_array("pictures", data=arrays)
    images = taken(conv(), str(path))
    assert np.array_equal(np.concatenate(list(images)), arrays)
    assert np.array_equal(images[-1], arrays[3:])
    assert len(taken(conv(), path, most=2)) == 2


def test_arrays_that_are_worked_out_later() -> None:
    array = pytest.importorskip("dask.array")
    arrays = RNG.random((4, 3, 6, 8), np.float32)
    images = taken(conv(), array.from_array(arrays, chunks=2) * 2)
    assert np.array_equal(np.concatenate(images[1:3]), 2 * arrays[1:3])


def test_any_iterable(tmp_path: Path) -> None:
    """Of one that has no end so many as are asked for; each item may be in another form."""
    first, second, third = (photo() for _ in range(3))
    Image.fromarray(first).save(tmp_path / "first.png")
    np.save(tmp_path / "third.npy", third)

    def forever() -> Any:
        yield tmp_path / "first.png"
        yield Image.fromarray(second)
        while True:
            yield tmp_path / "third.npy"

    images = taken(conv(), forever(), most=3)
    expected = np.stack([first, second, third]).transpose(0, 3, 1, 2) / 255
    assert np.allclose(np.concatenate(list(images)), expected)


def test_a_data_set() -> None:
    """What has items by number, as those of torch have: read when they are asked for."""
    read = []

    class Photos:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, number: int) -> np.ndarray:
            read.append(number)
            return np.full((3, 6, 8), number, np.float32)

    images = taken(conv(), Photos(), most=3)
    assert (len(images), read) == (3, [])
    assert (images[2] == 2).all()
    assert read == [2]
    for item in ((np.ones((3, 6, 8)), 1), {"image": 1}, None):
        with pytest.raises(QueryError, match=r"is no image \(give the images alone\)"):
            taken(conv(), [item])[0]
    with pytest.raises(QueryError, match="int holds no images"):
        taken(conv(), 3)


def test_one_image(tmp_path: Path) -> None:
    Image.fromarray(photo()).save(tmp_path / "a.png")
    assert len(taken(conv(), tmp_path / "a.png")) == 1
    assert len(taken(conv(), Image.fromarray(photo()))) == 1
    assert len(taken(conv(), photo())) == 1


def test_signals_and_tokens() -> None:
    signals = RNG.random((5, 50), np.float32)
    assert np.array_equal(taken(conv("1,1,50", (5,)), signals)[3][0, 0], signals[3])
    body = "h = Gather (table, x)\n m = ReduceMean <axes = [1]> (h)\n y = Mul (m, m)"
    table = {"table": np.ones((10, 4), np.float32)}
    analysis = rfgraph.analyze(model(body, "int64[1,7] x", initializers=table))
    rows = RNG.integers(0, 10, (3, 7))
    images = taken(analysis, rows, np.int64)
    assert images[2].dtype == np.int64
    assert np.array_equal(np.concatenate(list(images)), rows)


def test_deep_and_grey_pictures(tmp_path: Path) -> None:
    deep = RNG.integers(0, 1 << 16, (6, 8), np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    (image,) = taken(conv("1,1,6,8"), tmp_path)
    assert np.allclose(image[0, 0], deep / 65535, atol=1e-6)
    colours = taken(conv(), Image.fromarray(photo()).convert("L"))[0]
    assert np.array_equal(colours[0, 0], colours[0, 2])


# ---------------------------------------------------------------- how they are made to fit


def test_mean_and_deviation() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    image = photo()
    (found,) = taken(conv(), image, mean=mean, std=std)
    expected = (image / 255 - np.array(mean)) / np.array(std)
    assert np.allclose(found[0], expected.transpose(2, 0, 1), atol=1e-6)
    (found,) = taken(channels_last(), image, mean=mean, std=std)
    assert np.allclose(found[0], expected, atol=1e-6)
    (found,) = taken(conv(), image, scale=1.0, mean=128, std=2)
    assert np.allclose(found[0], (image.transpose(2, 0, 1) - 128.0) / 2)


def test_whole_numbers_stay_as_they_are() -> None:
    image = photo()
    analysis = rfgraph.analyze(
        model(
            "h = Cast <to = 1> (x)\n y = Conv (h, W)",
            "uint8[1,3,6,8] x",
            initializers={"W": np.ones((1, 3, 3, 3), np.float32)},
        )
    )
    (found,) = taken(analysis, image, np.uint8)
    assert found.dtype == np.uint8
    assert np.array_equal(found[0], image.transpose(2, 0, 1))
    assert taken(analysis, image, np.uint8, mean=300)[0].max() == 0


@pytest.mark.parametrize("how", ["stretch", "not_larger", "not_smaller"])
@pytest.mark.parametrize("size", [(20, 31), (5, 7), (40, 8)])
def test_sizes_as_onnx_resizes(how: Any, size: tuple[int, int]) -> None:
    """ONNX's reference, Resize and CenterCropPad, which keeps the element before the middle."""
    from onnx.reference import ReferenceEvaluator

    down, across = (np.linspace(0, 1, n, dtype=np.float32) for n in size)
    image = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1)
    found = resized(image, (12, 9), how)
    text = f"""r = Resize <mode = "linear", antialias = 1, axes = [0, 1],
               keep_aspect_ratio_policy = "{how}"> (x, , , sizes)
               y = CenterCropPad <axes = [0, 1]> (r, sizes)"""
    made = model(text, "float[h,w,c] x, int64[2] sizes", opset=18)
    (expected,) = ReferenceEvaluator(made).run(None, {"x": image, "sizes": np.array([12, 9])})
    assert found.shape == (12, 9, 2)
    # At borders Pillow weighs what is there, and ONNX's reference repeats it; a pixel more or less
    # to one side would make 0.05 and more.
    assert np.abs(found - expected).mean() < (1e-3 if how == "stretch" else 0.02)


def test_files_are_cut_to_size_and_arrays_on_request(tmp_path: Path) -> None:
    large = np.zeros((12, 40, 3), np.uint8)
    large[:, 12:28] = 255
    Image.fromarray(large).save(tmp_path / "a.png")
    (image,) = taken(conv(), tmp_path)
    assert image.min() > 0.8
    (image,) = taken(conv(), large, resize="stretch")
    assert image.min() == 0
    with pytest.raises(QueryError, match=r"12x40 does not fit input 'x', which takes 6x8 \(say"):
        taken(conv(), large)[0]


# ---------------------------------------------------------------- noise


def test_noise_says_so() -> None:
    images = taken(conv("1,3,60,80"), seed=3)
    assert len(images) == NOISE
    assert images.is_noise
    assert "random numbers, seed 3" in images.source
    assert abs(float(images[0].std()) - 1) < 0.02
    assert np.array_equal(images[5], taken(conv("1,3,60,80"), seed=3)[5])
    assert not np.array_equal(images[5], images[6])
    assert not np.array_equal(images[5], taken(conv("1,3,60,80"), seed=4)[5])


def test_noise_of_whole_numbers() -> None:
    assert taken(conv(), dtype=np.uint8, most=8)[0].max() > 200
    assert max(i.max() for i in taken(conv(), dtype=np.int64, below=7)) == 6
    with pytest.raises(QueryError, match=r"give images, or .* vocabulary="):
        taken(conv(), dtype=np.int64)


# ---------------------------------------------------------------- what does not fit


def test_each_error_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    def said(given: Any, analysis: Analysis | None = None, **options: Any) -> str:
        with pytest.raises(QueryError) as caught:
            list(taken(analysis or conv(), given, **options))
        message = str(caught.value)
        assert "\n" not in message
        return message

    empty = tmp_path / "empty"
    empty.mkdir()
    assert said(empty).startswith(f"{empty}: there are no images in this folder (give one with")
    assert said(tmp_path / "none").endswith("none: there is no such file or folder")
    none = tmp_path / "none.npy"
    np.save(none, np.zeros((0, 3, 6, 8), np.float32))
    assert "there are no images" in said(none)
    assert "there are no images" in said([])
    assert "0 images are none" in said(None, most=0)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert said(broken).startswith(f"{broken}: can't be read as an image:")
    broken = tmp_path / "broken.npy"
    broken.write_bytes(b"no array")
    assert said(broken).startswith(f"{broken}: can't be read as an array:")
    np.savez(tmp_path / "two.npz", a=np.ones(3), b=np.ones(3))
    assert "there are 2 arrays, and none is named 'x' (name one" in said(tmp_path / "two.npz")
    np.save(tmp_path / "many.npy", np.ones((4, 5, 6, 8)))
    wrong = said(tmp_path / "many.npy")
    assert "many.npy: an array of shape 4x5x6x8 holds no images for input 'x' of shape" in wrong
    assert wrong.endswith("(give any number of images, each of 3x6x8)")
    Image.fromarray(photo()).save(tmp_path / "a.png")
    wrong = said(tmp_path / "a.png", conv("1,5,6,8"))
    assert "a.png: input 'x' takes 5 channels: a picture has 1, 3 or 4 channels, not 5" in wrong
    wrong = said(tmp_path / "a.png", conv("1,1,50", (5,)))
    assert (
        "a picture does not fit input 'x' of shape 1x1x50, which has no height and width" in wrong
    )
    assert said([photo(), {}]).startswith("image 1 of what was given: dict is no image")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number(value: float, tmp_path: Path) -> None:
    image = np.ones((3, 6, 8), np.float32)
    image[1, 2, 3] = value
    np.save(tmp_path / "a.npy", image)
    with pytest.raises(
        QueryError, match=r"a\.npy: it holds NaN or infinity \(leave this image out"
    ):
        list(taken(conv(), tmp_path))
    with pytest.raises(QueryError, match="image 1 of an array: it holds NaN"):
        list(taken(conv(), np.stack([np.ones_like(image), image])))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (1, 2)}, "mean: give one number, or one for each of 3 channels"),
        ({"std": 0}, "std: nothing can be divided by 0"),
        ({"std": "wide"}, "std: give a number"),
        ({"mean": np.nan}, "mean: give one number"),
        ({"resize": "larger"}, "resize: there is no 'larger'"),
    ],
)
def test_options_that_make_no_sense(options: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        taken(conv(), photo(), **options)
