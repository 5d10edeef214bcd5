import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from topodelin.annotation.overlay import grey_overlay, rgb_overlay, sharpen
from topodelin.volumes import IntensityRange

RANGE = IntensityRange(100, 300)
IMAGES = arrays(np.uint16, (2, 3, 4), elements=st.integers(0, 400))
MAPS = arrays(np.float32, (2, 3, 4), elements=st.floats(0, 12, width=32))
CLIPS = st.floats(0.5, 12)
POWERS = st.floats(0.25, 4)


def test_the_recipe_by_hand() -> None:
    distance = np.array([0.0, 1.5, 3.0, 6.0, 9.0])
    np.testing.assert_allclose(
        sharpen(distance, clip=6, power=2), [1, 0.5625, 0.25, 0, 0], rtol=1e-6
    )
    image = np.array([50, 100, 200, 300, 900])  # becomes 0, 0, 0.5, 1, 1
    mixed = np.array([1, 0.5625, 0.75, 1, 1]) / 2
    grey = grey_overlay(image, distance, intensity=RANGE)
    assert grey.dtype == "uint8" and grey.tolist() == np.rint(255 * mixed).tolist()
    deep = grey_overlay(image, distance, intensity=RANGE, dtype="uint16")
    assert deep.dtype == "uint16" and deep.tolist() == np.rint(65535 * mixed).tolist()


def test_colours_hold_the_image_the_prediction_and_the_image() -> None:
    red, green, blue = rgb_overlay(np.array([300, 200]), np.array([9, 0]), intensity=RANGE)
    assert red.tolist() == blue.tolist() == [255, 128] and green.tolist() == [0, 255]


@given(image=IMAGES, near=MAPS, more=MAPS, clip=CLIPS, power=POWERS)
def test_closer_to_the_centreline_is_never_darker(
    image: np.ndarray, near: np.ndarray, more: np.ndarray, clip: float, power: float
) -> None:
    close = grey_overlay(image, near, intensity=RANGE, clip=clip, power=power)
    far = grey_overlay(image, near + more, intensity=RANGE, clip=clip, power=power)
    assert (close >= far).all()


@given(image=IMAGES, more=IMAGES, distance=MAPS)
def test_a_brighter_image_is_never_darker(
    image: np.ndarray, more: np.ndarray, distance: np.ndarray
) -> None:
    dim = grey_overlay(image, distance, intensity=RANGE, dtype="uint16")
    bright = grey_overlay(image + more, distance, intensity=RANGE, dtype="uint16")
    assert (bright >= dim).all()


@given(distance=MAPS, clip=CLIPS, power=POWERS, more=st.floats(1, 3))
def test_a_wider_clip_widens_and_a_higher_power_narrows(
    distance: np.ndarray, clip: float, power: float, more: float
) -> None:
    glow = sharpen(distance, clip=clip, power=power)
    assert (sharpen(distance, clip=clip * more, power=power) >= glow - 1e-6).all()
    assert (sharpen(distance, clip=clip, power=power * more) <= glow + 1e-6).all()
    assert glow.min() >= 0 and glow.max() <= 1
    assert (glow[distance == 0] == 1).all() and (glow[distance >= clip] == 0).all()


@given(image=IMAGES, distance=MAPS)
def test_boxes_agree_with_the_whole(image: np.ndarray, distance: np.ndarray) -> None:
    part = np.s_[:1, 1:, 2:]
    for overlay in (grey_overlay, rgb_overlay):
        whole = overlay(image, distance, intensity=RANGE)
        piece = overlay(image[part], distance[part], intensity=RANGE)
        np.testing.assert_array_equal(whole[(..., *part)], piece)


@given(image=IMAGES, distance=MAPS)
def test_without_weight_the_image_is_left_alone(image: np.ndarray, distance: np.ndarray) -> None:
    alone = grey_overlay(image, distance, intensity=RANGE, factor=0)
    shown = np.rint(255 * np.clip((image - 100.0) / 200, 0, 1))
    assert np.abs(alone - shown).max() <= 1


@given(image=IMAGES, distance=MAPS)
def test_the_weight_of_a_neurite_grows_with_the_factor(
    image: np.ndarray, distance: np.ndarray
) -> None:
    dark = np.zeros_like(image)
    weak = grey_overlay(dark, distance, intensity=RANGE, factor=0.5)
    assert (grey_overlay(dark, distance, intensity=RANGE, factor=2) >= weak).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"clip": 0}, "`clip`"),
        ({"power": -1}, "`power`"),
        ({"factor": -1}, "`factor`"),
        ({"dtype": "int16"}, "`dtype`"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        grey_overlay(np.zeros(2), np.zeros(2), intensity=RANGE, **arguments)
