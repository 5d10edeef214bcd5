"""Changes of how a crop looks and not of what it shows: light, noise, focus, a lost slice."""

import math

import numpy as np

from topodelin.training.config import Intensity

NORMALISED = (-1.0, 2.0)  # range of an image that is normalised by its percentiles


def change_appearance(
    rng: np.random.Generator,
    image: np.ndarray,
    ranges: Intensity,
    *,
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    r"""Other contrast, brightness, gamma, noise and sharpness, float32.

    $$x \to g\,\mathrm{sign}(x') |x'|^\gamma + o + \sigma n, \qquad x' = G_b * x$$

    with one draw of $g, o, \gamma, \sigma, b$ for the crop and of $n \sim N(0, 1)$ for each voxel,
    clipped to `limits`. The Gaussian $G_b$ blurs within each slice. Then, with the probability
    `missing_slice`, one slice becomes 0, the background of a normalised image; never the only one.

    Args:
        rng: drawn from equally often whatever the ranges, so that each has its effect alone.
        image: `(z, y, x)`.
        ranges: see there.
        limits: smallest and largest value that an image can have; None keeps all.
    """
    gain, offset = rng.uniform(*ranges.gain), rng.uniform(*ranges.offset)
    gamma, noise = rng.uniform(*ranges.gamma), rng.uniform(*ranges.noise)
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    blur, lost, where = rng.uniform(*ranges.blur), rng.random(), int(rng.integers(len(image)))

    changed = np.asarray(image, dtype=np.float32)
    if blur > 0:
        changed = _blurred(changed, blur)
    changed = np.sign(changed) * np.abs(changed) ** np.float32(gamma)
    changed = changed * np.float32(gain) + np.float32(offset) + grain * np.float32(noise)
    if limits is not None:
        changed = np.clip(changed, np.float32(limits[0]), np.float32(limits[1]))
    if len(changed) > 1 and lost < ranges.missing_slice:
        changed[where] = 0
    return changed


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Each slice blurred by a Gaussian, up to four standard deviations; borders are continued."""
    import torch
    from kornia.filters import gaussian_blur2d

    size = 2 * math.ceil(4 * sigma) + 1
    slices = torch.from_numpy(np.ascontiguousarray(image))[:, None]
    return gaussian_blur2d(slices, (size, size), (sigma, sigma), "replicate")[:, 0].numpy()
