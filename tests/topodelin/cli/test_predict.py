"""`topodelin predict` from the command line."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from typer.testing import CliRunner

from topodelin.cli import app as command_line
from topodelin.cli import verbs  # noqa: F401  (registers the verbs)
from topodelin.cli.app import main
from topodelin.models import (
    ModelCard,
    Network,
    SegmentationCard,
    UNet,
    predict_probabilities,
    predict_tiled,
    save_model,
)
from topodelin.models.centre_voxel import CentreVoxelNet
from topodelin.prediction import predict
from topodelin.volumes import open_images, open_volume

SPACING = (0.05, 0.004, 0.004)
CLASSES = ("ground", "disc", "rim")
CRF = "{theta_alpha: 3, theta_beta: 0.1, theta_gamma: 2, compatibility: 1, smoothness: 1, steps: 2}"


def stack(shape: tuple[int, ...] = (5, 21, 26)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


def network(seed: int = 0, **changes: Any) -> UNet:
    torch.manual_seed(seed)
    return UNet(**{"dims": 2, "base": 2, "poolings": 1, "out_channels": 3, **changes}).eval()


def stored(path: Path, model: Network, **changes: Any) -> Path:
    given = {"spacing": SPACING, "cube": (1, 8, 8), "margin": (0, 4, 4), "classes": CLASSES}
    given |= {"normalisation": "range", **changes}
    kind = ModelCard if "d_max" in changes else SegmentationCard
    if kind is ModelCard:
        del given["classes"], given["normalisation"]
    name = type(model).__name__.lower()
    save_model(path, model, kind(name=name, arguments=dict(model.arguments), **given))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return stored(tmp_path / "model.safetensors", network())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    np.save(tmp_path / "stack.npy", stack())
    return tmp_path / "stack.npy"


def called(*words: object, spacing: str = "0.05,0.004,0.004") -> Any:
    line = ["predict", *map(str, words), "--spacing", spacing]
    return CliRunner().invoke(command_line, line, catch_exceptions=False)


def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *words: object) -> str:
    monkeypatch.setattr(sys, "argv", ["topodelin", "predict", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    *progress, line = captured.err.splitlines()
    assert stop.value.code == 2 and not captured.out
    assert line.startswith("error: ") and all(said.endswith(" slices") for said in progress)
    return line


def expected(*models: Network, of: np.ndarray | None = None, **how: Any) -> np.ndarray:
    """Probabilities straight from the library."""
    values = (stack() if of is None else of) / np.float32(255)
    how = {"tile": 8, "margin": 4, "blend": "linear", **how}
    return np.mean([predict_probabilities(m, values, **how) for m in models], axis=0)


def test_classes_of_a_stack_and_their_table(model: Path, image: Path, tmp_path: Path) -> None:
    done = called(model, image, "-o", tmp_path / "out.tif", "--picture", tmp_path / "out.png")
    assert done.exit_code == 0
    classes = expected(network()).argmax(0)
    result = open_volume(tmp_path / "out.tif")
    assert result.dtype == np.uint8 and result.spacing == SPACING
    np.testing.assert_array_equal(result.data[...], classes)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [(row[1], int(row[2].replace(",", ""))) for row in rows] == [
        (name, np.count_nonzero(classes == k)) for k, name in enumerate(CLASSES)
    ]
    assert done.stderr.splitlines()[-1] == "5 of 5 slices"
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size[0] == 1600
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", [".tif", ".ome.zarr"])
def test_probabilities_of_an_ensemble_are_the_mean(
    suffix: str, image: Path, tmp_path: Path
) -> None:
    models = [network(seed) for seed in (0, 1)]
    files = [stored(tmp_path / f"{k}.safetensors", m) for k, m in enumerate(models)]
    out = tmp_path / f"out{suffix}"
    assert called(*files, image, "-o", out, "--output", "probabilities").exit_code == 0
    result = open_volume(out)
    assert result.spacing == SPACING and result.dtype == np.float32
    np.testing.assert_allclose(result.data[...], expected(*models), atol=1e-6)


def test_half_precision_goes_into_an_ome_zarr(model: Path, image: Path, tmp_path: Path) -> None:
    words = ("--output", "probabilities", "--precision", "float16")
    assert called(model, image, "-o", tmp_path / "out.ome.zarr", *words).exit_code == 0
    result = open_volume(tmp_path / "out.ome.zarr")
    assert result.dtype == np.float16
    np.testing.assert_allclose(result.data[...], expected(network()), atol=1e-3)


def test_a_volume_larger_than_its_tiles_is_read_in_layers(image: Path, tmp_path: Path) -> None:
    given = network(dims=3)
    file = stored(tmp_path / "m.safetensors", given, cube=(2, 8, 8), margin=(2, 4, 4))
    words = ("--output", "probabilities", "--tile", "4,8,12", "--margin", "2")
    assert called(file, image, "-o", tmp_path / "out.tif", *words).exit_code == 0
    np.testing.assert_allclose(
        open_volume(tmp_path / "out.tif").data[...],
        expected(given, tile=(4, 8, 12), margin=2),
        atol=1e-6,
    )


def test_a_distance_map_comes_by_default_from_its_card(image: Path, tmp_path: Path) -> None:
    given = network(dims=3, out_channels=1)
    file = stored(tmp_path / "m.safetensors", given, d_max=0.5, threshold=0.2, percentiles=(0, 100))
    words = (file, image, "-o", tmp_path / "out.tif", "--picture", tmp_path / "out.png")
    done = called(*words, "--blend", "none")
    assert done.exit_code == 0 and done.stdout == f"{tmp_path / 'out.tif'}: distance\n"
    seen = (stack() - np.float32(stack().min())) / np.float32(np.ptp(stack()))
    told = predict_tiled(given, seen, d_max=0.5, tile=(2, 8, 8), margin=(0, 4, 4))
    np.testing.assert_allclose(open_volume(tmp_path / "out.tif").data[...], told, atol=1e-5)
    assert (tmp_path / "out.png").stat().st_size > 1000


def test_a_network_without_padding_takes_any_cube_of_a_card(image: Path, tmp_path: Path) -> None:
    given = network(padding="valid", norm="none")
    file = stored(tmp_path / "m.safetensors", given, cube=(1, 7, 9), margin=(0, 0, 0))
    assert called(file, image, "-o", tmp_path / "out.tif").exit_code == 0
    told = open_volume(tmp_path / "out.tif").data[...]
    np.testing.assert_array_equal(told, expected(given, margin=0).argmax(0))


def test_the_middle_of_every_cube_is_judged(image: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = CentreVoxelNet("3layer", out_channels=3).eval()
    file = stored(tmp_path / "m.safetensors", given, cube=(1, 1, 1), margin=(0, 0, 0))
    assert called(file, image, "-o", tmp_path / "out.tif").exit_code == 0
    told = open_volume(tmp_path / "out.tif").data[...]
    np.testing.assert_array_equal(told, expected(given, tile=32, margin=0).argmax(0))


def test_one_grey_png_is_enough_for_a_network_of_images(model: Path, tmp_path: Path) -> None:
    plane = stack()[0]
    Image.fromarray(plane).save(tmp_path / "plane.png")
    assert called(model, tmp_path / "plane.png", "-o", tmp_path / "out.tif").exit_code == 0
    told = tifffile.imread(tmp_path / "out.tif")
    np.testing.assert_array_equal(told, expected(network(), of=plane[None]).argmax(0)[0])


def test_an_image_of_another_spacing_is_resampled_and_the_result_is_on_its_own_grid(
    tmp_path: Path,
) -> None:
    # A network that repeats its image: class 1 where it is bright. Every pixel is doubled.
    given = UNet(2, base=1, poolings=1, out_channels=1, norm="none")
    with torch.no_grad():
        for name, weight in given.named_parameters():
            weight.zero_()
            if weight.shape[-2:] == (3, 3):
                weight[0, 0, 1, 1] = 1  # of the image, or of the skip
            if name.startswith("head"):
                weight.fill_(20 if weight.ndim > 1 else -10)
    file = stored(tmp_path / "m.safetensors", given, classes=("dark", "bright"))
    fine = np.zeros((3, 24, 33), np.uint8)
    fine[:, 6:15, 10:27] = 255
    np.save(tmp_path / "fine.npy", fine)
    out = tmp_path / "out.tif"
    done = called(file, tmp_path / "fine.npy", "-o", out, spacing="0.03,0.002,0.002")
    assert "resampled from 0.03, 0.002, 0.002 to 0.03, 0.004, 0.004 µm" in done.stdout
    told = open_volume(out)
    assert told.shape == fine.shape and told.spacing == (0.03, 0.002, 0.002)
    wrong = told.data[...] != (fine > 0)
    inside = np.zeros_like(wrong)
    inside[:, 8:13, 12:25] = True
    outside = np.ones_like(wrong)
    outside[:, 4:17, 8:29] = False
    assert not wrong[inside | outside].any()
    assert not list(tmp_path.glob(".*"))


def test_a_spacing_within_five_per_cent_is_left_as_it_is(
    model: Path, image: Path, tmp_path: Path
) -> None:
    done = called(model, image, "-o", tmp_path / "a.tif", spacing="9,0.00419,0.00381")
    assert "resampled" not in done.stdout
    np.testing.assert_array_equal(
        open_volume(tmp_path / "a.tif").data[...], expected(network()).argmax(0)
    )


@pytest.mark.parametrize("extent", ["slices", "volume"])
def test_a_conditional_random_field_refines_the_probabilities(
    extent: str, model: Path, image: Path, tmp_path: Path
) -> None:
    from topodelin.refinement.dense_crf import dense_crf

    (tmp_path / "crf.yaml").write_text(CRF)
    words = ("--crf", tmp_path / "crf.yaml", "--crf-extent", extent, "--output", "probabilities")
    assert called(model, image, "-o", tmp_path / "out.tif", *words).exit_code == 0
    before, grey = (
        torch.from_numpy(expected(network())),
        torch.from_numpy(stack() / np.float32(255)),
    )
    how = {"theta_alpha": 3, "theta_beta": 0.1, "theta_gamma": 2, "steps": 2}
    how |= {"compatibility": 1, "smoothness": 1}
    if extent == "volume":
        after = dense_crf(before, grey, **how)
    else:
        pairs = zip(before.unbind(1), grey, strict=True)
        after = torch.stack([dense_crf(p.contiguous(), g, **how) for p, g in pairs], 1)
    assert (after - before).abs().max() > 0.01
    told = open_volume(tmp_path / "out.tif").data[...]
    np.testing.assert_allclose(told, after.numpy(), atol=1e-5)


def test_a_result_is_replaced_only_when_asked_and_only_when_complete(
    model: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    for out in (tmp_path / "out.tif", tmp_path / "out.ome.zarr"):
        words = (model, image, "-o", out)
        assert called(*words).exit_code == 0
        before = open_images(out, spacing=SPACING).data[...]
        assert "exists; give another name, or --overwrite" in refusal(
            monkeypatch, capsys, *words, "--spacing", "1,1,1"
        )
        bad = np.load(image).astype(np.float32)
        bad[4, 3, 3] = np.nan  # the last slice
        np.save(tmp_path / "bad.npy", bad)
        words = (model, tmp_path / "bad.npy", "-o", out, "--overwrite", "--spacing", "1,.004,.004")
        refused = refusal(monkeypatch, capsys, *words)
        assert "NaN" in refused
        np.testing.assert_array_equal(open_images(out, spacing=SPACING).data[...], before)
        np.save(tmp_path / "other.npy", 255 - stack())
        assert called(model, tmp_path / "other.npy", "-o", out, "--overwrite").exit_code == 0
        assert (open_images(out, spacing=SPACING).data[...] != before).any()
    assert not list(tmp_path.glob(".*"))


def test_bad_input_is_one_line(
    model: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    out = tmp_path / "out.tif"
    distance = stored(tmp_path / "d.safetensors", network(out_channels=1), d_max=6, threshold=2)
    other = stored(tmp_path / "o.safetensors", network(), classes=("ground", "rim", "disc"))
    short = stored(tmp_path / "s.safetensors", network(), classes=("ground", "disc"))
    grey = stored(tmp_path / "g.safetensors", network(), classes=())
    np.save(tmp_path / "colour.npy", stack((3, 2, 8, 8)))
    (tmp_path / "crf.yaml").write_text("{theta: 3}")
    space = ("--spacing", "0.05,0.004,0.004")

    def said(*words: object) -> str:
        return refusal(monkeypatch, capsys, *words)

    assert "neither a file nor a bundled model" in said("no.safetensors", image, "-o", out, *space)
    assert "no.npy: does not exist" in said(model, tmp_path / "no.npy", "-o", out, *space)
    assert "--spacing z,y,x" in said(model, image, "-o", out)
    assert "must tell the same" in said(model, other, image, "-o", out, *space)
    assert "must tell the same" in said(model, distance, image, "-o", out, *space)
    assert "names 2 classes and the network has 3" in said(short, image, "-o", out, *space)
    assert "predicts intensities" in said(grey, image, "-o", out, *space)
    assert "must have one channel" in said(model, tmp_path / "colour.npy", "-o", out, *space)
    assert "must end in .tif" in said(model, image, "-o", tmp_path / "out.jpg", *space)
    assert "create it first" in said(model, image, "-o", tmp_path / "no" / "out.tif", *space)
    words = (model, image, "-o", out, *space)
    assert "`output` must be one of" in said(*words, "--output", "labels")
    assert "`output` must be classes or prob" in said(*words, "--output", "distance")
    assert "`--tile` must be one whole" in said(*words, "--tile", "8,8")
    assert "`tile` must be from 1" in said(*words, "--tile", "0")
    assert "`blend` must be one of" in said(*words, "--blend", "soft")
    assert "'theta' is unknown; known are" in said(*words, "--crf", tmp_path / "crf.yaml")
    assert "TIFF has no values of type float16" in said(
        *words, "--output", "probabilities", "--precision", "float16"
    )
    assert "must end in .png" in said(*words, "--picture", tmp_path / "out.gif")
    assert "is the image itself" in said(model, image, "-o", image, *space)
    assert "cannot be used here" in said(*words, "--device", "cuda:99")
    assert not out.exists() and not list(tmp_path.glob(".*"))


def test_an_image_smaller_than_the_network_takes_is_refused(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from topodelin.prediction import Member

    given = network()
    given.least = (32, 32)
    card = SegmentationCard("unet", {}, SPACING, (1, 8, 8), (0, 4, 4), CLASSES)
    volume = open_images(image, spacing=SPACING)
    with pytest.raises(ValueError, match=r"stack.npy: has \(21, 26\).*at least \(32, 32\)"):
        predict(volume, [Member("m", given, card)], tmp_path / "out.tif")
