r"""How strongly every voxel pulls at every other, as a few Gaussian blurs.

The weight of two voxels falls with the distance in space and with the difference of intensity:

$$k_{ij} = \exp\Bigl(-\frac{\|c_i - c_j\|^2}{2\theta_\alpha^2}
    - \frac{(I_i - I_j)^2}{2\theta_\beta^2}\Bigr)$$

Intensity is a single number in [0, 1], so the second factor is a smooth function on a square and
has few features: $\exp(-(s - t)^2 / 2\theta_\beta^2) \approx \sum_r f_r(s)\, f_r(t)$, from the
eigenvectors of its table on 256 grey levels. Then
$K q = \sum_r f_r \odot G (f_r \odot q)$ with a spatial blur $G$: no lattice, no pair of voxels.

References:
    C. Williams, M. Seeger. Using the Nyström method to speed up kernel machines. NIPS 2000.
    (Values between two grey levels.)
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from topodelin.refinement.gaussian_blur import GaussianBlur, gaussian_factor

GREY_LEVELS = 256
WIDEST_STEP = 0.4  # between grey levels, in units of theta_beta
AT_ONCE = 2**14  # intensities


def intensity_features(
    image: Float[Tensor, "*space"], theta_beta: float, tolerance: float
) -> Float[Tensor, " rank *space"]:
    r"""$f_r$ of every voxel; products of two voxels add up to their kernel within `tolerance`.

    The image lies in [0, 1]. It need not be rounded: values between two grey levels are as good,
    which takes more levels than 256 where $\theta_\beta$ is below a hundredth.
    """
    levels = max(GREY_LEVELS, math.ceil(1 / (WIDEST_STEP * theta_beta)) + 1)
    at = torch.linspace(0, 1, levels, dtype=torch.float64) / theta_beta
    factor = gaussian_factor(at, tolerance)
    extend = factor / factor.square().sum(0)  # eigenvectors over the root of their eigenvalue
    values, which = image.detach().to("cpu", torch.float64).unique(return_inverse=True)
    table = torch.cat(
        [
            torch.exp(-(some[:, None] / theta_beta - at).square() / 2) @ extend
            for some in values.split(AT_ONCE)
        ]
    )
    return table.T.to(image)[:, which.to(image.device)]


class PairwiseKernel:
    r"""The sum over all voxels, $q \mapsto K q$.

    Args:
        features: $f_r$; a single one of ones leaves the spatial Gaussian alone.
        blur: $G$.
        normalization: "symmetric" puts $D^{-1/2} K D^{-1/2}$ for $K$, with the row sums $D = K 1$
            (of the kernel with its diagonal); "none" leaves $K$ as it is.
        include_self: whether a voxel counts among its own neighbours; if not, the diagonal is
            taken out after the normalisation.
    """

    def __init__(
        self,
        features: Float[Tensor, " rank *space"],
        blur: GaussianBlur,
        *,
        normalization: str,
        include_self: bool,
    ) -> None:
        self.blur = blur
        self.features = features
        self.left_out = torch.zeros_like(features[0])
        own = torch.ones_like(features[0])
        if normalization == "symmetric":
            root = self(own[None])[0].clamp(min=1).rsqrt()  # a voxel counts 1 for itself
            self.features = features * root
            own = root.square()
        if not include_self:
            self.left_out = own

    def __call__(self, q: Float[Tensor, " channel *space"]) -> Float[Tensor, " channel *space"]:
        total = -self.left_out * q
        for feature in self.features:
            total = total.addcmul_(feature, self.blur(feature * q))
        return total
