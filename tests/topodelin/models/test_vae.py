"""The autoencoder: published counts, its code in learning and in use, and its trunk passed on."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from topodelin.models import load_pretrained
from topodelin.models.centre_voxel import CentreVoxelNet
from topodelin.models.convnext import ConvNeXt3D
from topodelin.models.vae import VAE
from topodelin.training.heads import GaussianDivergence

TINY = {"window": 8, "patch": 2, "depths": (1, 1), "widths": (4, 6), "kernel": 3}


def small(trunk: str = "convnext3d", **changes) -> VAE:
    torch.manual_seed(0)
    own = {"trunk_arguments": TINY} if trunk == "convnext3d" else {}
    return VAE(trunk, **{"latent": 5, "decoder": (6, 4, 3), **own, **changes})


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("arguments", "weights"), [({}, 39_177_713), ({"window": 16, "patch": 2}, 38_895_473)]
)
def test_a_published_network_has_the_published_number_of_weights(arguments, weights) -> None:
    with torch.device("meta"):
        network = VAE(trunk_arguments=arguments)
        assert sum(weight.numel() for weight in network.parameters()) == weights
        cube = torch.empty(2, 1, *(network.side,) * 3)
        told = network(cube)
    assert (told["main"].shape, told["code"].shape) == (cube.shape, (2, 2, 512))


@pytest.mark.parametrize("trunk", ["convnext3d", "3layer"])
def test_every_weight_feels_the_cube(trunk) -> None:
    network = small(trunk, in_channels=2, out_channels=3)
    told = network(image(2, 2, 8, 8, 8))
    assert tuple(told) == network.heads
    assert told["main"].shape == (2, 3, 8, 8, 8)
    (told["main"].square().sum() + told["code"].square().sum()).backward()
    silent = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or (weight.ndim > 1 and not weight.grad.any())
    ]
    assert silent == []


def test_the_reconstruction_teaches_the_variance_while_learning() -> None:
    network = small()
    network(image(2, 1, 8, 8, 8))["main"].square().sum().backward()
    assert network.log_variance.weight.grad is not None
    assert network.log_variance.weight.grad.any()


def test_the_code_is_drawn_with_the_deviation_of_its_variance() -> None:
    network = small(latent=4000)
    with torch.no_grad():
        for layer, value in ((network.mean, 3.0), (network.log_variance, math.log(4))):
            layer.weight.zero_()
            layer.bias.fill_(value)
    network.decoder = nn.Sequential(nn.Flatten())  # so that the code itself comes out
    told = network(image(2, 1, 8, 8, 8))
    codes = told["main"]
    assert codes.mean().item() == pytest.approx(3, abs=0.1)
    assert codes.std().item() == pytest.approx(2, abs=0.1)
    assert told["code"][0, :, 0].tolist() == pytest.approx([3, math.log(4)])
    # Four thousand codes of mean 3 and variance 4: each diverges by (9 + 4 - 1 - log 4) / 2.
    divergence = GaussianDivergence()(told["code"], None)
    assert divergence.item() == pytest.approx(4000 * (12 - math.log(4)) / 2, rel=1e-4)


def test_the_code_is_the_mean_in_use_and_nothing_is_drawn() -> None:
    network, batch = small().eval(), image(2, 1, 8, 8, 8)
    before = torch.get_rng_state()
    told, again = network(batch), network(batch)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(told["main"], again["main"])
    mean = told["code"][:, 0]
    assert torch.equal(told["main"], network.decoder(mean[:, :, None, None, None]))
    torch.testing.assert_close(mean, network.mean(network.trunk(batch).flatten(1)))


def test_learning_draws_anew_every_time() -> None:
    network, batch = small(), image(2, 1, 8, 8, 8)
    assert not torch.equal(network(batch)["main"], network(batch)["main"])


@pytest.mark.parametrize(
    ("trunk", "build"),
    [
        ("convnext3d", lambda: ConvNeXt3D(1, 6, **TINY)),
        ("3layer", lambda: CentreVoxelNet("3layer", 1, 6)),
    ],
)
def test_its_file_starts_a_classifier_without_renaming(trunk, build, tmp_path) -> None:
    network, classifier = small(trunk), build()
    network(image(3, 1, 8, 8, 8))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    found = load_pretrained(classifier, tmp_path / "model.safetensors")
    assert found.absent == ("head.bias", "head.weight")
    assert found.misshapen == ()
    assert not any(name.startswith("trunk.") for name in found.unused)
    batch = image(2, 1, 8, 8, 8, seed=1)
    torch.testing.assert_close(classifier.eval().trunk(batch), network.eval().trunk(batch))


def test_a_cube_is_learnt_by_heart() -> None:
    network, batch = small(latent=8), image(2, 1, 8, 8, 8)
    batch = nn.functional.avg_pool3d(batch, 4).repeat_interleave(4, 2)
    batch = batch.repeat_interleave(4, 3).repeat_interleave(4, 4)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    errors = []
    for _ in range(60):
        told = network(batch)
        error = (told["main"] - batch).square().mean()
        divergence = GaussianDivergence()(told["code"], None)
        optimiser.zero_grad()
        (error + 1e-4 * divergence).backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.3 * errors[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trunk": "5conv"}, "`trunk` must be one of convnext3d, 3layer, .*, got '5conv'"),
        ({"latent": 0}, "`latent` must be at least 1, got 0"),
        ({"decoder": (2, 2)}, "`decoder` must hold one .* from 1 voxel to 8, got 2"),
        ({"decoder": (2, 2, 0)}, "`decoder` must hold one"),
        ({"decoder": None}, "`decoder` must be told for cubes of 8"),
        ({"trunk_arguments": {"plan": "4res"}}, "`trunk_arguments` must leave plan to the network"),
        ({"trunk_arguments": {"norm": "batch"}}, "`trunk_arguments` must be those of 'convnext3d'"),
        ({"trunk_arguments": {"window": 9}}, "`window` must be a multiple of 32"),
        ({"in_channels": 0}, "`in_channels` must be at least 1, got 0"),
    ],
)
def test_an_impossible_autoencoder_is_refused_by_argument(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_a_cube_of_another_size_is_answered_with_the_one_that_fits() -> None:
    with pytest.raises(ValueError, match=r"got \(8, 8, 9\); the next that fits.* is \(8, 8, 8\)"):
        small()(image(1, 1, 8, 8, 9))


def test_the_arguments_rebuild_the_network_through_json() -> None:
    network = small(in_channels=2, out_channels=2)
    again = VAE(**json.loads(json.dumps(network.arguments)))
    assert again.arguments == network.arguments
    again.load_state_dict(network.state_dict())
    batch = image(1, 2, 8, 8, 8)
    assert torch.equal(again.eval()(batch)["main"], network.eval()(batch)["main"])
