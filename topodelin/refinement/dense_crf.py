r"""Class probabilities made to agree between voxels that are close and look alike.

Every pair of voxels of the image is joined (a fully connected conditional random field):

$$E(x) = \sum_i -\ln p_i(x_i) + \sum_{i<j} \Bigl[
    \mu_1(x_i, x_j) \exp\Bigl(-\frac{\|c_i - c_j\|^2}{2\theta_\alpha^2}
        - \frac{(I_i - I_j)^2}{2\theta_\beta^2}\Bigr)
    + \mu_2(x_i, x_j) \exp\Bigl(-\frac{\|c_i - c_j\|^2}{2\theta_\gamma^2}\Bigr)\Bigr]$$

Mean field replaces the labelling by independent probabilities $Q$ of the voxels and repeats
$Q \leftarrow \mathrm{softmax}(\ln p - \mu_1 K_1 Q - \mu_2 K_2 Q)$ for all voxels at once, from
$Q = p$. The sums over all pairs are those of [`PairwiseKernel`][].

References:
    P. Krähenbühl, V. Koltun. Efficient inference in fully connected CRFs with Gaussian edge
    potentials. NIPS 2011. arXiv:1210.5644. (Theirs filters on a permutohedral lattice.)
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from topodelin.refinement.crf_checks import (
    check_images,
    check_numbers,
    check_spacing,
    class_matrix,
)
from topodelin.refinement.gaussian_blur import GaussianBlur
from topodelin.refinement.pairwise_kernel import PairwiseKernel, intensity_features

Matrix = Sequence[Sequence[float]] | np.ndarray | Tensor


def dense_crf(
    probabilities: Tensor,
    image: Tensor,
    *,
    theta_alpha: float,
    theta_beta: float,
    theta_gamma: float,
    compatibility: Matrix | float,
    smoothness: Matrix | float,
    steps: int = 10,
    normalization: str = "symmetric",
    include_self: bool = True,
    spacing: Sequence[float] | None = None,
    tolerance: float = 1e-7,
) -> Tensor:
    r"""$Q$ after some steps of mean field; it adds up to 1 at every voxel.

    Args:
        probabilities: $p$ of a network, `(classes, *space)`, adding up to 1 at every voxel. A class
            of probability 0 keeps it.
        image: $I$, `(*space)`, intensities in [0, 1].
        theta_alpha: $\theta_\alpha$, how far voxels of like intensity reach: in voxels, or in the
            unit of `spacing`.
        theta_beta: $\theta_\beta$, how unlike they may be, in units of intensity.
        theta_gamma: $\theta_\gamma$, how far any two voxels reach, as $\theta_\alpha$.
        compatibility: $\mu_1$, the cost of each pair of classes, symmetric; one number for all
            pairs of different classes (Potts).
        smoothness: $\mu_2$, likewise.
        steps: of mean field.
        normalization: of the kernels, "symmetric" or "none"; see [`PairwiseKernel`][].
        include_self: whether a voxel is its own neighbour. The energy above says no; with
            "symmetric" the usual implementations say yes.
        spacing: size of a voxel along each axis.
        tolerance: how far the intensity kernel of two voxels may be from its formula. A smaller
            one takes more blurs: 6 for `theta_beta` = 1, 13 for 0.2, 40 for 0.05 at 1e-7.

    Half precision is computed in single. Differentiable in `probabilities` where these are above 0.

    Raises:
        ValueError: for values out of range, NaN, and shapes that do not belong together.
    """
    check_images(probabilities, image)
    check_numbers(
        theta_alpha=theta_alpha,
        theta_beta=theta_beta,
        theta_gamma=theta_gamma,
        steps=steps,
        normalization=normalization,
        tolerance=tolerance,
    )
    check_spacing(spacing, image.ndim)
    dtype = torch.promote_types(probabilities.dtype, torch.float32)
    log_p, image = probabilities.to(dtype).log(), image.to(probabilities.device, dtype)
    space = tuple(spacing or (1.0,) * image.ndim)

    def kernel(features: Tensor, theta: float) -> PairwiseKernel:
        sigmas = [theta / step for step in space]
        blur = GaussianBlur(image.shape, sigmas, dtype=dtype, device=image.device)
        return PairwiseKernel(
            features, blur, normalization=normalization, include_self=include_self
        )

    bilateral = kernel(intensity_features(image, theta_beta, tolerance), theta_alpha)
    spatial = kernel(torch.ones_like(image)[None], theta_gamma)
    mu_1 = class_matrix(compatibility, len(probabilities), "compatibility").to(log_p)
    mu_2 = class_matrix(smoothness, len(probabilities), "smoothness").to(log_p)
    q = log_p.softmax(0)
    for _ in range(steps):
        cost = torch.tensordot(mu_1, bilateral(q), 1) + torch.tensordot(mu_2, spatial(q), 1)
        q = (log_p - cost).softmax(0)
    return q.to(probabilities.dtype)
