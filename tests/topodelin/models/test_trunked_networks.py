"""Networks on a residual trunk: published counts, another implementation, and common laws."""

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.nets.flexible_unet import FlexibleUNet
from torch import nn

from topodelin.models.deeplab import DeepLab
from topodelin.models.medicalnet import MedicalNet
from topodelin.models.network import Network
from topodelin.models.resnet_unet import ResNetUNet

SMALL: dict[str, tuple[type[Network], dict[str, Any]]] = {
    "medicalnet": (MedicalNet, {"base": 4, "width": 4}),
    "medicalnet_a": (MedicalNet, {"base": 4, "width": 4, "depth": 18, "shortcut": "A"}),
    "resnet_unet": (ResNetUNet, {"base": 4, "depth": 18, "widths": (8, 8, 8, 4, 4), "repeat": 3}),
    "squeezed": (ResNetUNet, {"base": 4, "depth": 50, "widths": (8, 8, 8, 4, 4), "squeeze": True}),
    "deeplab_r101": (DeepLab, {"base": 4, "width": 8, "fine": 4, "dropout": (0, 0)}),
    "deeplab_drn54": (
        DeepLab,
        {"base": 4, "width": 8, "fine": 4, "dropout": (0, 0), "backbone": "drn54"},
    ),
}
EVERY = pytest.mark.parametrize("name", SMALL)
DIMS = pytest.mark.parametrize("dims", [2, 3])


def small(name: str, dims: int = 2, channels: int = 1, classes: int = 1, **changes) -> Any:
    torch.manual_seed(0)
    network: Any
    network, arguments = SMALL[name]
    return network(dims, channels, classes, **{**arguments, **changes})


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("build", "weights"),
    [
        (lambda: ResNetUNet.distance_3d(depth=10, shortcut="B"), 21_631_121),
        (lambda: ResNetUNet.distance_3d(), 40_261_777),
        (lambda: ResNetUNet.distance_3d(depth=34), 70_571_409),
        (lambda: ResNetUNet.distance_3d(depth=50, shortcut="B"), 67_673_233),
        (lambda: DeepLab(2, 3, 7), 59_340_711),
        (lambda: DeepLab(2, 3, 7, backbone="drn54"), 40_733_463),
        (lambda: DeepLab(2, 1, 7, backbone="drn54", repeat=3), 40_733_463),
    ],
)
def test_a_published_network_has_the_published_number_of_weights(build, weights) -> None:
    with torch.device("meta"):
        assert sum(weight.numel() for weight in build().parameters()) == weights


@pytest.mark.parametrize("channels", [1, 3])
def test_of_a_frozen_unet_only_the_way_up_learns(channels) -> None:
    with torch.device("meta"):
        network = ResNetUNet.frozen_2d(in_channels=channels)
    counts = [(weight.numel(), weight.requires_grad) for weight in network.parameters()]
    assert sum(count for count, _ in counts) == 24_436_369
    assert sum(count for count, learns in counts if learns) == 3_151_697


@pytest.mark.parametrize(
    ("build", "images", "map_size"),
    [
        (lambda: ResNetUNet.frozen_2d(), (2, 1, 512, 512), (512, 512)),
        (lambda: ResNetUNet.distance_3d(), (2, 1, 96, 96, 96), (96, 96, 96)),
        (lambda: DeepLab(2, 3), (2, 3, 572, 572), (572, 572)),
        (lambda: DeepLab(2, 3, backbone="drn54"), (2, 3, 572, 572), (572, 572)),
        (lambda: MedicalNet(depth=34, shortcut="A"), (2, 1, 96, 96, 96), (96, 96, 96)),
    ],
)
def test_a_published_network_maps_the_published_size(build, images, map_size) -> None:
    with torch.device("meta"):
        assert build()(torch.empty(images)).shape == (2, 1, *map_size)


def test_the_distance_unet_computes_what_another_implementation_does() -> None:
    torch.manual_seed(0)
    other = FlexibleUNet(1, 1, "resnet10", spatial_dims=3, decoder_channels=(16, 16, 8, 8, 4))
    for layer in other.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.eps = 1e-5
            layer.register_buffer("running_mean", torch.rand_like(layer.bias) - 0.5)
            layer.register_buffer("running_var", torch.rand_like(layer.bias) + 0.5)
    with torch.device("meta"):
        built = ResNetUNet(3, depth=10, widths=(16, 16, 8, 8, 4), squeeze=True)
    # Their names differ, their order does not.
    names, values = list(built.state_dict()), list(other.state_dict().values())
    built.load_state_dict(dict(zip(names, values, strict=True)), assign=True)
    volume = image(1, 1, 32, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(built.eval()(volume), other.eval()(volume))


@EVERY
@DIMS
def test_every_weight_feels_the_image(name, dims) -> None:
    network = small(name, dims, classes=2)
    size = (64, 96) if dims == 2 else (32, 32, 64)
    mapped = network(image(2, 1, *size))
    assert mapped.shape == (2, 2, *size)
    mapped.square().sum().backward()
    # A bias that a normalisation follows is subtracted again: its gradient is rounding only.
    silent = [
        weight_name
        for weight_name, weight in network.named_parameters()
        if weight.grad is None or (weight.ndim > 1 and not weight.grad.any())
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["medicalnet", "resnet_unet", "deeplab_drn54"])
@settings(max_examples=4)
@given(size=st.tuples(*[st.integers(1, 70)] * 3), dims=st.sampled_from([2, 3]))
def test_the_next_size_is_the_smallest_that_fits(name, size, dims) -> None:
    size = size[:dims]
    with torch.device("meta"):
        network = small(name, dims).eval()
        fitting = network.next_size(size)
        assert network.next_size(fitting) == fitting
        assert network(torch.empty(1, 1, *fitting)).shape[2:] == fitting
    steps = zip(fitting, size, network.divisor, strict=True)
    assert all(s <= f < s + d and f % d == 0 for f, s, d in steps)


@pytest.mark.parametrize(("name", "next_one"), [("medicalnet", 40), ("resnet_unet", 64)])
def test_a_size_that_does_not_fit_is_answered_with_the_next_that_does(name, next_one) -> None:
    with pytest.raises(ValueError, match=rf"next that fits is \({next_one}, {next_one}\)"):
        small(name)(image(1, 1, 33, 34))


@pytest.mark.parametrize(
    ("name", "rates", "strides"),
    [
        ("deeplab_r101", [1, 6, 12, 18], (2, 4, 8, 16, 16)),
        ("deeplab_drn54", [1, 12, 24, 36], (4, 8)),
    ],
)
def test_deeplab_spreads_its_taps_as_published(name, rates, strides) -> None:
    network = small(name, dropout=(0.5, 0.1))
    assert [branch[0].dilation[0] for branch in network.aspp.branches] == rates
    assert network.trunk.strides == strides
    assert [part.p for part in network.head if isinstance(part, nn.Dropout2d)] == [0.5, 0.1]
    if name == "deeplab_r101":
        assert [block.conv2.dilation[0] for block in network.trunk.layer4] == [2, 4, 8]


@pytest.mark.parametrize("name", ["deeplab_r101", "deeplab_drn54"])
def test_deeplab_refuses_to_learn_from_one_image_and_names_the_remedy(name) -> None:
    network = small(name)
    with pytest.raises(ValueError, match="at least two `images`, got 1; take a larger batch"):
        network(image(1, 1, 32, 32))
    assert network.eval()(image(1, 1, 33, 17)).shape == (1, 1, 33, 17)


@pytest.mark.parametrize("name", ["medicalnet", "resnet_unet"])
def test_a_lone_voxel_at_the_bottom_is_refused_in_training_unless_frozen(name) -> None:
    network = small(name)
    lone = image(1, 1, *network.divisor)
    with pytest.raises(ValueError, match="give two `images`, or one of"):
        network(lone)
    assert small(name, frozen=True)(lone).isfinite().all()


@pytest.mark.parametrize("name", ["medicalnet", "resnet_unet"])
def test_a_frozen_trunk_stays_as_it_is_while_the_rest_learns(name) -> None:
    network = small(name, frozen=True).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), weight_decay=0.1)
    network(image(2, 1, 64, 64)).square().sum().backward()
    optimizer.step()
    changed = {
        key.split(".")[0]
        for key, value in network.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert "trunk" not in changed and changed
    assert all(weight.grad is None for weight in network.trunk.parameters())


@pytest.mark.parametrize("name", ["resnet_unet", "deeplab_r101"])
def test_a_grey_image_repeated_is_an_image_of_three_equal_colours(name) -> None:
    grey, colour = small(name, repeat=3).eval(), small(name, channels=3, repeat=1).eval()
    colour.load_state_dict(grey.state_dict())
    one = image(1, 1, 32, 64)
    assert torch.equal(grey(one), colour(one.expand(1, 3, 32, 64)))


def test_every_skip_is_laid_where_its_size_fits() -> None:
    # With the deepest block silenced, the map still feels the stem and layers 1 to 3.
    network = small("resnet_unet").eval()
    for weight in network.up[0].parameters():
        nn.init.zeros_(weight)
    network(image(1, 1, 64, 64)).square().sum().backward()
    trunk = network.trunk
    felt = [
        any(w.grad is not None and bool(w.grad.any()) for w in part.parameters())
        for part in (trunk.conv1, trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)
    ]
    assert felt == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("name", "changes"), [("medicalnet", {}), ("resnet_unet", {"depth": 10}), ("squeezed", {})]
)
def test_nothing_beyond_the_reach_is_felt_and_something_near_it_is(name, changes) -> None:
    network = small(name, **changes).double().eval()
    network.trunk.maxpool = nn.AvgPool2d(3, 2, 1)  # as wide, and no voxel loses to its neighbour
    with torch.no_grad():
        for weight in network.parameters():
            weight.abs_()
    (reach, _), (step, _) = network.reach, network.divisor
    length = network.next_size((2 * int(reach) + 4 * step, 1))[0]
    line = torch.ones(1, 1, length, step).double().requires_grad_()
    mapped = network(line)
    middle = length // 2 // step * step
    widest = 0
    for place in range(middle, middle + step):
        (felt,) = torch.autograd.grad(mapped[0, 0, place, 0], line, retain_graph=True)
        away = (felt[0, 0].sum(dim=1).nonzero() - place).abs().amax()
        widest = max(widest, int(away))
    assert reach - 4 <= widest <= reach


@EVERY
@DIMS
@pytest.mark.parametrize("number", [torch.bfloat16, torch.float16])
def test_half_precision_stays_finite(name, dims, number) -> None:
    network = small(name, dims).eval().to(number)
    with torch.no_grad():
        mapped = network(image(1, 1, *[32] * dims).to(number))
    assert mapped.dtype == number and mapped.isfinite().all()


@EVERY
def test_the_arguments_rebuild_the_network_through_json(name) -> None:
    network = small(name, 3, 2, 3).eval()
    again = type(network)(**json.loads(json.dumps(network.arguments))).eval()
    again.load_state_dict(network.state_dict())
    batch = image(1, 2, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(batch), again(batch))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("medicalnet", {"dims": 4}, "`dims` must be 2 or 3, got 4"),
        ("medicalnet", {"classes": 0}, "`out_channels` must be at least 1, got 0"),
        ("medicalnet", {"width": 0}, "`width` must be at least 1, got 0"),
        ("medicalnet", {"depth": 20}, "`depth` must be one of 10, 18, 34, 50, 101, got 20"),
        ("resnet_unet", {"widths": (8, 8)}, r"`widths` must be 5 numbers .* got \(8, 8\)"),
        ("resnet_unet", {"repeat": 0}, "`repeat` must be at least 1, got 0"),
        ("deeplab_r101", {"fine": 0}, "`fine` must be at least 1, got 0"),
        ("deeplab_r101", {"dropout": (0.5, 1)}, r"`dropout` must be two numbers in \[0, 1\)"),
        ("deeplab_r101", {"rates": (0,)}, "`rates` must be one or more numbers of at least 1"),
    ],
)
def test_an_impossible_architecture_is_refused_by_argument(name, changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        small(name, **changes)
