"""Rendered microscopy: what is bright, how noisy it is, and that a seed decides it all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topodelin.annotation.drawings import EMPTY, chain, drawn, straight
from topodelin.annotation import (
    Microscope,
    centreline_mask,
    expected_photons,
    random_neurites,
    render_microscopy,
)
from topodelin.annotation.brightness import path_brightness
from topodelin.annotation.painting import paint_blobs, paint_tubes, smooth_field
from topodelin.graphs import NeuriteGraph

SPACING = (1.0, 0.33, 0.33)
SHAPE = (16, 48, 60)
EXTENT = (16.0, 48 * 0.33, 60 * 0.33)
PLAIN = Microscope(  # a neurite of even brightness, and nothing else
    attenuation_length=1e6,
    photons=100.0,
    neurite_factor=(1.0, 1.0),
    brightness_sigma=0.0,
    gap_share=0.0,
    bouton_density=0.0,
    end_swelling=0.0,
    spine_density=0.0,
    punctum_density=0.0,
    cloud_density=0.0,
    background=0.0,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def line(y: float = 8.0, radius: float = 0.3, z: float = 8.0) -> NeuriteGraph:
    """Straight along x, through and beyond the image."""
    return chain((z, y, -50.0), (z, y, 70.0), radii=radius)


def test_the_centreline_has_the_photons_it_is_told() -> None:
    image = expected_photons(line(24 * 0.33), SHAPE, SPACING, rng(), PLAIN)
    assert image[8, 24, 5:-5] == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("radius", [0.15, 0.5, 1.0])
def test_a_tube_is_as_wide_as_its_disc_and_the_blur(radius: float) -> None:
    # Variances add: a disc's is r²/4 along an axis. Along z the image ends too soon to tell.
    image = expected_photons(line(24 * 0.33, radius), SHAPE, SPACING, rng(), PLAIN)
    profile = image[8, :, 30]
    y = np.arange(48) * 0.33
    centre = (profile * y).sum() / profile.sum()
    variance = (profile * (y - centre) ** 2).sum() / profile.sum()
    assert centre == pytest.approx(24 * 0.33, abs=0.02)
    assert variance == pytest.approx(0.27**2 + radius**2 / 4, rel=0.12)


def test_thick_neurites_are_brighter() -> None:
    both = drawn(
        np.array([[8.0, 4.0, -9.0], [8.0, 4.0, 30.0], [8.0, 12.0, -9.0], [8.0, 12.0, 30.0]]),
        [[0, 1], [2, 3]],
        radii=[0.2, 0.2, 0.8, 0.8],
    )
    image = expected_photons(both, SHAPE, SPACING, rng(), PLAIN)
    assert image[:, 36].max() > 1.5 * image[:, 12].max()


def test_unknown_radii_are_filled_in() -> None:
    known = line(radius=PLAIN.unknown_radius)
    unknown = drawn(known.positions, known.edges)
    np.testing.assert_array_equal(
        expected_photons(unknown, SHAPE, SPACING, rng(), PLAIN),
        expected_photons(known, SHAPE, SPACING, rng(), PLAIN),
    )


def test_light_falls_off_with_depth() -> None:
    upright = chain((-9.0, 8.0, 8.0), (30.0, 8.0, 8.0))
    deep = replace(PLAIN, attenuation_length=10.0)
    image = expected_photons(upright, SHAPE, SPACING, rng(), deep)
    assert image[13, 24, 24] / image[3, 24, 24] == pytest.approx(np.exp(-1), rel=0.02)


def test_a_neurite_just_outside_shines_in_and_a_far_one_does_not() -> None:
    near = expected_photons(line(z=-1.0), SHAPE, SPACING, rng(), PLAIN)
    far = expected_photons(line(z=-30.0), SHAPE, SPACING, rng(), PLAIN)
    assert near[0].max() > 10
    assert near[8:].max() == 0
    assert far.max() == 0


def test_gaps_are_dark_and_as_frequent_and_long_as_told() -> None:
    gappy = replace(PLAIN, gap_share=0.1, gap_length=3.0, gap_brightness=(0.05, 0.05))
    dark = path_brightness(straight(40000, 0.25), rng(1), gappy) < 0.5
    runs = int((np.diff(dark.astype(int)) == 1).sum())
    assert dark.mean() == pytest.approx(0.1, rel=0.15)
    assert dark.sum() * 0.25 / runs == pytest.approx(3.0, rel=0.15)


def test_thick_neurites_have_no_gaps() -> None:
    gappy = replace(PLAIN, gap_share=0.5, gap_neurite_radius=0.8)
    thick, thin = straight(500, 1.0, radii=0.9), straight(500, 1.0, radii=0.7)
    assert path_brightness(thick, rng(), gappy).min() == 1
    assert path_brightness(thin, rng(), gappy).min() < 0.1


def test_brightness_varies_slowly_along_the_path() -> None:
    uneven = replace(PLAIN, brightness_sigma=0.5, brightness_correlation=10.0)
    logarithm = np.log(path_brightness(straight(20000, 0.5), rng(), uneven))
    assert logarithm.std() == pytest.approx(0.5, rel=0.1)
    correlation = np.corrcoef(logarithm[:-20], logarithm[20:])[0, 1]  # 10 µm apart
    assert correlation == pytest.approx(np.exp(-1), abs=0.08)


def test_a_ring_has_a_brightness_everywhere() -> None:
    ring = drawn(np.eye(3), [[0, 1], [1, 2], [2, 0]])
    assert (path_brightness(ring, rng(), Microscope()) > -1).all()


def test_boutons_brighten_thin_neurites_only() -> None:
    beaded = replace(PLAIN, bouton_density=0.3, bouton_gain=(4.0, 4.0))
    thin = expected_photons(line(radius=0.2), SHAPE, SPACING, rng(), beaded)
    thick = expected_photons(line(radius=1.0), SHAPE, SPACING, rng(), beaded)
    assert thin.max() > 250
    assert thick.max() < 120


def test_spines_stand_on_thick_neurites_only() -> None:
    spiny = replace(PLAIN, spine_density=1.0)
    for radius, stands in ((0.2, False), (0.6, True)):
        bare = expected_photons(line(radius=radius), SHAPE, SPACING, rng(), PLAIN)
        image = expected_photons(line(radius=radius), SHAPE, SPACING, rng(), spiny)
        assert ((image - bare).max() > 3) == stands


@pytest.mark.parametrize(
    ("clutter", "least"),
    [({"punctum_density": 5.0}, 5.0), ({"cloud_density": 500.0}, 1.0), ({"background": 2.0}, 1.0)],
)
def test_clutter_lies_where_no_neurite_is(clutter: dict, least: float) -> None:
    image = expected_photons(EMPTY, SHAPE, SPACING, rng(), replace(PLAIN, **clutter))
    assert image.max() > least


def test_an_uneven_background_keeps_its_mean() -> None:
    uneven = replace(PLAIN, background=3.0, background_variation=0.6, background_correlation=4.0)
    image = expected_photons(EMPTY, (60, 150, 150), SPACING, rng(), uneven)
    # About 400 independent places: the mean is known to 3 %. Uncorrected it would be 20 % off.
    assert image.mean() == pytest.approx(3.0, rel=0.1)
    assert image.std() > 1.0


def test_the_noise_is_poisson_times_the_gain() -> None:
    even = replace(
        PLAIN, background=9.0, background_variation=0.0, gain=4.0, read_noise=0.0, bits=16
    )
    image = render_microscopy(EMPTY, (20, 60, 60), SPACING, rng(), even).astype(float)
    assert image.mean() == pytest.approx(36.0, rel=0.01)
    assert image.var() / image.mean() == pytest.approx(4.0, rel=0.03)


def test_read_noise_and_offset_add_up() -> None:
    dark = replace(PLAIN, read_noise=3.0, offset=50.0)
    image = render_microscopy(EMPTY, (20, 60, 60), SPACING, rng(), dark).astype(float)
    assert image.mean() == pytest.approx(50.0, abs=0.1)
    assert image.std() == pytest.approx(3.0, rel=0.03)


def test_smoothing_lowers_the_noise_and_keeps_the_mean() -> None:
    even = replace(PLAIN, background=50.0, background_variation=0.0, gain=1.0)
    sharp = render_microscopy(EMPTY, (20, 60, 60), SPACING, rng(), even).astype(float)
    smooth = render_microscopy(EMPTY, (20, 60, 60), SPACING, rng(), replace(even, smoothing=0.8))
    assert smooth.mean() == pytest.approx(sharp.mean(), rel=0.01)
    assert smooth.std() < 0.6 * sharp.std()


def test_a_cut_background_is_exactly_zero() -> None:
    cleaned = replace(PLAIN, background=1.0, background_cut=60.0)
    image = render_microscopy(line(24 * 0.33), SHAPE, SPACING, rng(), cleaned)
    assert (image[:, :12] == 0).all()
    assert np.median(image[8, 24]) > 0


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_bright_voxels_saturate(bits: int, dtype: type) -> None:
    glaring = replace(PLAIN, photons=1e5, gain=10.0, bits=bits)
    image = render_microscopy(line(), SHAPE, SPACING, rng(), glaring)
    assert image.dtype == dtype
    assert image.max() == np.iinfo(dtype).max


@given(seed=st.integers(0, 2**16))
@settings(max_examples=12)
def test_any_random_stack_renders_and_its_neurites_shine(seed: int) -> None:
    graph = random_neurites(rng(seed), EXTENT, trees=(2, 4))
    image = render_microscopy(graph, SHAPE, SPACING, rng(seed), Microscope.random(rng(seed)))
    mask = centreline_mask(graph, SHAPE, SPACING)
    assert image.shape == SHAPE
    assert image.dtype == np.uint8
    assert not mask.any() or image[mask].mean() > image[~mask].mean()


@pytest.mark.parametrize("preset", [Microscope.two_photon(), Microscope.confocal()])
def test_a_seed_always_renders_the_same_stack(preset: Microscope) -> None:
    first = render_microscopy(line(), SHAPE, SPACING, rng(5), preset)
    np.testing.assert_array_equal(first, render_microscopy(line(), SHAPE, SPACING, rng(5), preset))
    assert (first != render_microscopy(line(), SHAPE, SPACING, rng(6), preset)).any()


@pytest.mark.parametrize("graph", [EMPTY, line(z=-99.0)])
def test_stacks_without_neurites_hold_only_clutter(graph: NeuriteGraph) -> None:
    image = render_microscopy(graph, SHAPE, SPACING, rng(), Microscope())
    assert image.shape == SHAPE
    assert 0 < image.mean() < 20


def test_an_image_without_voxels_is_empty() -> None:
    assert render_microscopy(line(), (0, 5, 5), SPACING, rng(), Microscope()).shape == (0, 5, 5)


def test_light_is_conserved_by_painting() -> None:
    image = np.zeros((20, 40, 40), np.float32)
    ends = np.array([[[8.0, 5.0, 5.0], [11.0, 8.0, 7.0]]])
    paint_tubes(
        image,
        np.array(SPACING),
        np.zeros(3, np.int64),
        ends,
        np.array([[0.5, 0.9]]),
        np.array([[2.0, 4.0]]),
    )
    length = np.sqrt(9 + 9 + 4)
    assert image.sum() * np.prod(SPACING) == pytest.approx(3 * length, rel=1e-3)


def test_a_blob_has_its_peak_at_its_centre_and_is_cut_at_the_border() -> None:
    image = np.zeros((5, 9, 9), np.float32)
    paint_blobs(
        image, np.ones(3), np.array([[2.0, 4.0, 0.0]]), np.full((1, 3), 1.5), np.array([7.0])
    )
    assert image[2, 4, 0] == image.max() == 7.0
    assert image[2, 4, 3] == pytest.approx(7 * np.exp(-2))
    assert image[2, 4, 6] == 0


def test_a_smooth_field_has_unit_variance_and_its_correlation() -> None:
    field = smooth_field((40, 200, 200), (1.0, 0.5, 0.5), 4.0, rng())
    assert field.mean() == pytest.approx(0.0, abs=0.1)
    assert field.std() == pytest.approx(1.0, rel=0.05)
    assert (field[:, :, 8:] * field[:, :, :-8]).mean() == pytest.approx(np.exp(-1), abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bits": 12}, "`bits` must be 8 or 16, got 12"),
        ({"gain": 0.0}, "`gain` must be positive"),
        ({"photons": -1.0}, "`photons` must be finite and not negative"),
        ({"bouton_gain": (4.0, 2.0)}, r"`bouton_gain` must be .* range \(lowest, highest\)"),
        ({"gap_share": 1.0}, "`gap_share` must be below 1"),
        ({"punctum_row": 0.5}, "`punctum_row` must be at least 1"),
    ],
)
def test_a_wrong_number_is_named(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Microscope(**arguments)


def test_a_halo_lights_what_lies_far_above_a_neurite_and_spares_its_brightness() -> None:
    shape, spacing = (41, 41, 60), (1.0, 0.33, 0.33)
    sharp, hazy = (
        expected_photons(line(20 * 0.33, z=20.0), shape, spacing, rng(), each)[:, 20, 30]
        for each in (PLAIN, replace(PLAIN, halo=0.2, halo_sigma=3.2))
    )
    assert sharp[26] < 0.001 * sharp[20]
    assert hazy[26] / hazy[20] == pytest.approx(0.2 / 1.2 * np.exp(-(6**2) / 2 / 3.2**2), rel=0.1)
    assert hazy[20] == pytest.approx(sharp[20], rel=0.05)
