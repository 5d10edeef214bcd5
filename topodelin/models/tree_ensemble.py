r"""A sum of decision trees over filter features, as a network: pixels in, logits of classes out.

    image --[features of every pixel]--> tree 1, tree 2, ...  --[sum of the leaves]--> logits

Single trees, random forests, AdaBoost and gradient boosting differ in how they are grown, not in
how they are evaluated: the leaf that a pixel falls into holds a vector over the classes, and the
vectors of all trees are added. They are shares of a probability $p$ (trees, forests), whose
logarithm is the logit, or logits at once (boosting, whose constant is `offset`):

$$\text{logits} = \log \sum_t v_t \qquad\text{or}\qquad \text{logits} = o + \sum_t v_t$$

References:
    L. Breiman. Random forests. Machine Learning 45, 2001.
    J. Zhu, H. Zou, S. Rosset, T. Hastie. Multi-class AdaBoost. Statistics and Its Interface 2,
    2009.
    J. Friedman. Greedy function approximation: a gradient boosting machine. Annals of Statistics
    29, 2001.

Trees are arrays, so that a file of them is as harmless as one of a network's weights:

    roots      (trees,)       the first node of each tree
    feature    (nodes,)       the feature that a node looks at, counted from 0
    threshold  (nodes,)       a value up to it takes the first branch, a larger one the second
    branches   (nodes, 2)     numbers of nodes, or ~n for leaf n; always after their parent
    leaves     (leaves, classes)
    offset     (classes,)

Nothing of it is learnt by gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Int64
from torch import Tensor, nn

from topodelin.models.filter_features import FEATURES, REACH, check_features, filter_features
from topodelin.models.network import Network

COMBINE = ("probabilities", "logits")
ARRAYS = ("roots", "feature", "threshold", "branches", "leaves", "offset")
LEAST = 1e-30  # a probability of 0 has no logarithm
REMEDY = "the file is damaged, train it again"


@dataclass(frozen=True)
class Trees:
    """The arrays of an ensemble, see above, with what is said of them as a whole.

    Args:
        depth: decisions on the longest way from a root to a leaf.
        combine: "probabilities" or "logits": what the leaves add up to.
    """

    roots: Int32[np.ndarray, " trees"]
    feature: Int32[np.ndarray, " nodes"]
    threshold: Float32[np.ndarray, " nodes"]
    branches: Int32[np.ndarray, "nodes 2"]
    leaves: Float32[np.ndarray, "leaves classes"]
    offset: Float32[np.ndarray, " classes"]
    depth: int
    combine: str


class TreeEnsemble(Network):
    """Decision trees on the filter features of the pixels of an image.

    Without the arrays of `TreeEnsemble.of` it has one leaf, and all classes are alike.

    Args:
        features: what is computed of every pixel, see `FEATURES`.
        out_channels: how many classes.
        trees, nodes, leaves: sizes of the arrays.
        depth, combine: see [`Trees`][].
    """

    roots: Tensor
    feature: Tensor
    threshold: Tensor
    branches: Tensor
    offset: Tensor

    def __init__(
        self,
        features: Sequence[str] = FEATURES,
        out_channels: int = 2,
        *,
        trees: int = 1,
        nodes: int = 0,
        leaves: int = 1,
        depth: int = 0,
        combine: str = "probabilities",
    ) -> None:
        check_features(features)
        if combine not in COMBINE:
            raise ValueError(f"`combine` must be one of {', '.join(COMBINE)}, got {combine!r}")
        sizes = {"trees": trees, "nodes": nodes, "leaves": leaves, "depth": depth}
        for name, size in sizes.items():
            least = 0 if name in ("nodes", "depth") else 1
            if size < least:
                raise ValueError(f"`{name}` must be at least {least}, got {size}")
        super().__init__(
            {
                "features": list(features),
                "out_channels": out_channels,
                **sizes,
                "combine": combine,
            },
            dims=2,
            in_channels=1,
            out_channels=out_channels,
            reach=REACH,
        )
        self.features, self.depth, self.combine = tuple(features), depth, combine
        self.register_buffer("roots", torch.full((trees,), -1, dtype=torch.int32))
        self.register_buffer("feature", torch.zeros(nodes, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(nodes))
        self.register_buffer("branches", torch.full((nodes, 2), -1, dtype=torch.int32))
        self.register_buffer("offset", torch.zeros(out_channels))
        alike = 1 / out_channels if combine == "probabilities" else 0.0
        self.leaves = nn.Parameter(
            torch.full((leaves, out_channels), alike / trees), requires_grad=False
        )

    @classmethod
    def of(cls, trees: Trees, features: Sequence[str] = FEATURES) -> "TreeEnsemble":
        """The network that evaluates these trees on these features."""
        network = cls(
            features,
            trees.leaves.shape[1],
            trees=len(trees.roots),
            nodes=len(trees.feature),
            leaves=len(trees.leaves),
            depth=trees.depth,
            combine=trees.combine,
        )
        for name in ARRAYS:
            getattr(network, name).copy_(torch.from_numpy(getattr(trees, name)))
        return network.eval()

    def forward(
        self, images: Float[Tensor, "batch 1 y x"]
    ) -> Float[Tensor, "batch {self.out_channels} y x"]:
        self.check_images(images)
        self._check_trees()
        features = filter_features(images[:, 0], self.features)
        batch, _, y, x = features.shape
        total = self._total(features.movedim(1, 0).flatten(1))
        logits = total.clamp_min(LEAST).log() if self.combine == "probabilities" else total
        return logits.to(self.leaves.dtype).reshape(batch, y, x, -1).movedim(-1, 1)

    def _total(self, features: Float32[Tensor, "feature pixel"]) -> Float[Tensor, "pixel classes"]:
        """The sum of the leaves that each pixel falls into."""
        exact = torch.float32 if features.device.type == "mps" else torch.float64
        total = self.offset.to(exact).repeat(features.shape[1], 1)
        for root in self.roots.tolist():
            total += self.leaves[self._leaf(root, features)].to(exact)
        return total

    def _leaf(
        self, root: int, features: Float32[Tensor, "feature pixel"]
    ) -> Int64[Tensor, " pixel"]:
        """The number of the leaf of one tree that each pixel falls into."""
        count, device = features.shape[1], features.device
        place = torch.full((count,), root, dtype=torch.int64, device=device)
        going = torch.arange(count if root >= 0 else 0, device=device)
        for _ in range(self.depth):  # fewer pixels in every round, as the first find their leaves
            if not len(going):
                break
            node = place[going]
            larger = features[self.feature[node].long(), going] > self.threshold[node]
            place[going] = self.branches[node, larger.long()].long()
            going = going[place[going] >= 0]
        if len(going):
            raise ValueError(f"`depth` must be that of the trees, got {self.depth}; {REMEDY}")
        return ~place

    def _check_trees(self) -> None:
        """Refuse arrays that point beyond each other, as those of a damaged file may."""
        nodes, leaves = len(self.feature), len(self.leaves)
        limits = {
            "roots": (self.roots, -leaves, nodes),
            "branches": (self.branches, -leaves, nodes),
            "feature": (self.feature, 0, len(self.features)),
        }
        for name, (numbers, low, high) in limits.items():
            if numbers.numel() and not low <= int(numbers.min()) <= int(numbers.max()) < high:
                raise ValueError(
                    f"`{name}` must hold numbers from {low} to {high - 1}, got "
                    f"{int(numbers.min())} to {int(numbers.max())}; {REMEDY}"
                )
