"""The mean field of a fully connected random field, against sums over all pairs of voxels."""

import math
import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from topodelin.refinement import CRFParameters, dense_crf
from topodelin.refinement.pairwise_kernel import intensity_features

FIBSEM = CRFParameters.fibsem().compatibility
PLAIN: dict[str, Any] = {
    "theta_alpha": 1.0,
    "theta_beta": 1.0,
    "theta_gamma": 1.0,
    "compatibility": 1.0,
    "smoothness": 1.0,
}


def plain(**changes: Any) -> dict[str, Any]:
    return PLAIN | changes


def case(*shape: int, classes: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random probabilities and a random image that is not rounded to grey levels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(classes, *shape, generator=generator, dtype=torch.float64)
    return logits.softmax(0), torch.rand(shape, generator=generator, dtype=torch.float64)


def over_all_pairs(
    p: Tensor,
    image: Tensor,
    *,
    theta_alpha: float,
    theta_beta: float,
    theta_gamma: float,
    compatibility: Any,
    smoothness: float,
    steps: int = 10,
    normalization: str = "symmetric",
    include_self: bool = True,
    spacing: tuple[float, ...] | None = None,
) -> Tensor:
    """The definition, written down."""
    place = torch.ones_like(image).nonzero() * torch.tensor(spacing or (1.0,) * image.ndim).to(
        image
    )
    apart = (place[:, None] - place).square().sum(-1)
    unlike = (image.reshape(-1, 1) - image.reshape(-1)).square()
    potts = 1 - torch.eye(len(p), dtype=torch.float64)
    terms = [
        (
            torch.tensor(compatibility, dtype=torch.float64),
            torch.exp(-apart / (2 * theta_alpha**2) - unlike / (2 * theta_beta**2)),
        ),
        (smoothness * potts, torch.exp(-apart / (2 * theta_gamma**2))),
    ]
    messages = []
    for cost, kernel in terms:
        row = kernel.sum(1)
        scaled = kernel / (row[:, None] * row).sqrt() if normalization == "symmetric" else kernel
        messages.append((cost, scaled if include_self else scaled - torch.diag(scaled.diag())))
    log_p = p.flatten(1).log()
    q = p.flatten(1)
    for _ in range(steps):
        energy = -log_p
        for cost, kernel in messages:
            energy = energy + cost @ q @ kernel
        q = torch.softmax(-energy, 0)
    return q.view_as(p)


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("normalization", ["symmetric", "none"])
@pytest.mark.parametrize("theta_beta", [1.0, 0.2, 0.05])
@pytest.mark.parametrize(
    ("shape", "theta_alpha"), [((32, 31), 1.0), ((10, 10, 10), 1.0), ((8, 9, 14), 4.0)]
)
def test_a_thousand_voxels_agree_with_all_their_pairs(
    shape: tuple[int, ...],
    theta_alpha: float,
    theta_beta: float,
    normalization: str,
    include_self: bool,
) -> None:
    numbers: dict[str, Any] = {
        "theta_alpha": theta_alpha,
        "theta_beta": theta_beta,
        "theta_gamma": 1.0,
        "compatibility": FIBSEM,
        "smoothness": 1.0,
        "normalization": normalization,
        "include_self": include_self,
    }
    p, image = case(*shape)
    expected = over_all_pairs(p, image, **numbers)
    refined = dense_crf(p, image, **numbers)
    assert (refined.argmax(0) != p.argmax(0)).any()
    torch.testing.assert_close(refined, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("theta", [1.0, 5.0])
def test_single_precision_agrees_as_well(theta: float) -> None:
    numbers = plain(theta_alpha=theta, theta_beta=0.2, compatibility=FIBSEM)
    p, image = case(10, 10, 10)
    refined = dense_crf(p.float(), image.float(), **numbers)
    assert refined.dtype == torch.float32
    torch.testing.assert_close(
        refined.double(), over_all_pairs(p, image, **numbers), atol=1e-4, rtol=0
    )


def test_a_wide_kernel_on_a_long_image_agrees() -> None:
    numbers = plain(theta_alpha=20.0, theta_gamma=6.0, compatibility=FIBSEM)
    p, image = case(4, 250)
    expected = over_all_pairs(p, image, **numbers)
    torch.testing.assert_close(dense_crf(p, image, **numbers), expected, atol=1e-4, rtol=0)


def test_widths_are_in_the_unit_of_the_spacing() -> None:
    numbers = plain(theta_alpha=12.0, theta_gamma=8.0, compatibility=FIBSEM)
    p, image = case(6, 8, 9)
    spacing = (30.0, 8.0, 4.0)
    expected = over_all_pairs(p, image, **numbers, spacing=spacing)
    refined = dense_crf(p, image, **numbers, spacing=spacing)
    torch.testing.assert_close(refined, expected, atol=1e-4, rtol=0)
    assert (refined - dense_crf(p, image, **numbers)).abs().max() > 0.01


def test_two_voxels_by_hand() -> None:
    # p = (0.9, 0.1) and (0.4, 0.6), the same grey, a distance of 1, so k = e^(-1/2) in both
    # terms. The cost of a class is 2k times the other voxel's probability of the other class.
    p = torch.tensor([[0.9, 0.4], [0.1, 0.6]], dtype=torch.float64)
    image = torch.full((2,), 0.5, dtype=torch.float64)
    k = math.exp(-1 / 2)
    weights = 0.4 * math.exp(-2 * k * 0.1), 0.6 * math.exp(-2 * k * 0.9)
    refined = dense_crf(p, image, **PLAIN, steps=1, normalization="none", include_self=False)
    assert refined[0, 1].item() == pytest.approx(weights[0] / sum(weights), abs=1e-6)


def test_a_lone_voxel_gives_way_to_its_like_and_not_to_another_grey() -> None:
    # . . . .      probabilities of class 1 are 0.4 except 0.6 at the voxel marked
    # . x . .
    # . . . .
    p1 = torch.full((3, 4), 0.4)
    p1[1, 1] = 0.6
    p = torch.stack([1 - p1, p1])
    flat = torch.full((3, 4), 0.5)
    bright = flat.clone()
    bright[1, 1] = 1.0
    numbers = plain(theta_beta=0.1, smoothness=0.0, compatibility=2.0)
    assert dense_crf(p, flat, **numbers)[1, 1, 1] < 0.5
    assert dense_crf(p, bright, **numbers)[1, 1, 1] > 0.5


def test_no_step_and_no_cost_leave_the_probabilities() -> None:
    p, image = case(5, 6)
    torch.testing.assert_close(dense_crf(p, image, **PLAIN, steps=0), p)
    free = plain(compatibility=0.0, smoothness=0.0)
    torch.testing.assert_close(dense_crf(p, image, **free), p)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**16), axis=st.sampled_from([0, 1, 2]))
def test_mirrors_and_the_order_of_the_classes_change_nothing(seed: int, axis: int) -> None:
    p, image = case(4, 5, 6, classes=3, seed=seed)
    refined = dense_crf(p, image, **PLAIN)
    mirrored = dense_crf(p.flip(axis + 1), image.flip(axis), **PLAIN).flip(axis + 1)
    torch.testing.assert_close(mirrored, refined)
    torch.testing.assert_close(dense_crf(p.flip(0), image, **PLAIN).flip(0), refined)
    torch.testing.assert_close(refined.sum(0), torch.ones_like(image))


def test_a_class_of_probability_0_keeps_it() -> None:
    p = torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])
    refined = dense_crf(p, torch.zeros(3), **plain(compatibility=50.0))
    assert refined[1, 0] == 0 and refined[0, 2] == 0
    assert refined.isfinite().all()


def test_gradient_matches_finite_differences() -> None:
    p, image = case(3, 4, classes=2)

    def refined(logits: Tensor) -> Tensor:
        return dense_crf(logits.softmax(0), image, **PLAIN, steps=2)

    assert torch.autograd.gradcheck(refined, [p.log().requires_grad_()])


def test_a_gradient_may_follow_inference_of_the_same_size() -> None:
    p, image = case(3, 11, classes=2)
    with torch.inference_mode():
        dense_crf(p, image, **plain(theta_alpha=1.25))
    p.requires_grad_()
    dense_crf(p, image, **plain(theta_alpha=1.25))[0].sum().backward()
    assert p.grad is not None and p.grad.abs().max() > 0


def test_what_was_passed_in_is_not_changed() -> None:
    p, image = case(4, 5)
    before = p.clone(), image.clone()
    dense_crf(p, image, **PLAIN)
    assert torch.equal(p, before[0]) and torch.equal(image, before[1])


def test_half_precision_is_computed_in_single() -> None:
    p, image = (part.half() for part in case(9, 9))
    refined = dense_crf(p, image, **plain(compatibility=FIBSEM, theta_beta=0.05))
    single = dense_crf(p.float(), image.float(), **plain(compatibility=FIBSEM, theta_beta=0.05))
    torch.testing.assert_close(refined, single.half(), atol=0, rtol=0)


@given(theta=st.floats(0.002, 3), seed=st.integers(0, 2**16))
@settings(max_examples=8)
def test_products_of_intensity_features_are_the_kernel_between_any_greys(
    theta: float, seed: int
) -> None:
    image = torch.rand(40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    features = intensity_features(image, theta, 1e-6)
    kernel = torch.exp(-(image[:, None] - image).square() / (2 * theta**2))
    torch.testing.assert_close(features.T @ features, kernel, atol=1e-5, rtol=0)


P, IMAGE = case(3, 4, classes=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probabilities": P / 2}, "`probabilities` must add up to 1 over the classes, got"),
        ({"probabilities": P.log()}, "`probabilities` must lie in [0, 1] and hold no NaN"),
        ({"probabilities": P * float("nan")}, "hold no NaN, got nan to nan"),
        ({"probabilities": P[0, 0]}, "`probabilities` must have axes (classes, *space)"),
        ({"image": IMAGE.T}, "`image` must have the space of `probabilities`, (3, 4), got shape"),
        ({"image": 255 * IMAGE}, "`image` must lie in [0, 1]"),
        ({"image": IMAGE * float("nan")}, "`image` must lie in [0, 1] and hold no NaN"),
        ({"compatibility": [[0, 1]]}, "`compatibility` must be a number or a square matrix"),
        ({"compatibility": [[0, 1], [1]]}, "`compatibility` must be a number or a square matrix"),
        ({"compatibility": [[0, 1], [2, 0]]}, "`compatibility` must be symmetric"),
        ({"smoothness": torch.eye(3)}, "one row and column for each of the 2 classes, got shape"),
        ({"smoothness": float("inf")}, "`smoothness` must be finite"),
        ({"theta_alpha": 0.0}, "`theta_alpha` must be a number above 0, got 0.0"),
        ({"theta_beta": float("nan")}, "`theta_beta` must be a number above 0, got nan"),
        ({"steps": -1}, "`steps` must be a whole number of 0 or more, got -1"),
        ({"normalization": "rows"}, '`normalization` must be "symmetric" or "none", got \'rows\''),
        ({"spacing": (1.0,)}, "`spacing` must be 2 numbers above 0"),
        ({"tolerance": 0.0}, "`tolerance` must lie in [1e-12, 1)"),
    ],
)
def test_bad_input_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"probabilities": P, "image": IMAGE} | PLAIN | changes
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        dense_crf(arguments.pop("probabilities"), arguments.pop("image"), **arguments)
    assert "\n" not in str(raised.value)
