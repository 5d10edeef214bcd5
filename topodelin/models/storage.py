"""Model files: weights and card in one safetensors file.

The file is a standard safetensors file; the card lies as JSON under the key "topodelin" of the
header's metadata. Nothing is ever unpickled. A file is a stranger until proven otherwise: the
network is first built without memory (device "meta"), and weights are read only when the names and
shapes in the file are those of the network.
"""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as short

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from topodelin.models.card import ModelCard, SegmentationCard, read_card
from topodelin.models.zoo import MODELS

METADATA_KEY = "topodelin"
BUNDLED = Path(__file__).parent / "bundled"

Card = ModelCard | SegmentationCard


class ModelError(ValueError):
    """A model that cannot be stored or loaded; one line with the file, the fault and the remedy."""


def save_model(
    path: str | os.PathLike[str],
    model: nn.Module,
    card: Card,
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights and card to one file, whole or not at all; an existing file is replaced.

    `dtype` = `torch.float16` halves the file: it stores the kernels so (two or more axes) and keeps
    biases and statistics of the normalisation, which are few and may be tiny, as they are.

    Raises ModelError if the card describes another network, a weight is not finite or does not fit
    the dtype; OSError if the file cannot be written.
    """
    path = Path(path)
    if dtype not in (torch.float16, torch.float32):
        raise ModelError(f"`dtype` must be torch.float32 or torch.float16, got {dtype}")
    expected = _build(path, card)
    if type(expected) is not type(model) or expected.arguments != model.arguments:
        raise ModelError(
            f"{path}: `card` must describe `model`; give it `arguments=model.arguments` and the "
            f"name among {', '.join(MODELS)}"
        )
    tensors = {}
    for name, value in model.state_dict().items():
        kernel = value.is_floating_point() and value.ndim > 1
        stored = value.detach().cpu().to(dtype if kernel else value.dtype).contiguous()
        if not stored.isfinite().all():
            raise ModelError(f"{path}: `{name}` must be finite as {stored.dtype}; not stored")
        tensors[name] = stored
    content = save(tensors, metadata={METADATA_KEY: card.to_json()})
    # Written beside it and renamed, so that a reader never meets half a file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_model(path: str | os.PathLike[str]) -> tuple[nn.Module, Card]:
    """The network of a model file, float32 on the CPU in evaluation mode, and its card.

    Args:
        path: of a model file, or the name of a bundled one (`bundled_models`).

    Raises ModelError for everything that is not a whole model file of a known format and network.
    """
    file = _locate(path)
    if file.stat().st_size == 0:
        raise ModelError(f"{file} is empty (0 bytes); copy or download it again")
    try:
        with safe_open(str(file), framework="pt") as stored:
            card = _read_card(file, stored.metadata())
            model = _build(file, card)
            expected = model.state_dict()
            _check_shapes(
                file, expected, {n: stored.get_slice(n).get_shape() for n in stored.keys()}
            )
            weights = {
                name: _weight(file, name, stored.get_tensor(name), like)
                for name, like in expected.items()
            }
    except SafetensorError as error:
        raise ModelError(
            f"{file} is not a whole model file ({_line(error)}); copy it again, or write it with "
            "`save_model`: pickled files (.pt, .pth) are never loaded"
        ) from None
    model.load_state_dict(weights, assign=True)
    return model.eval(), card


def load_distance_model(path: str | os.PathLike[str]) -> tuple[nn.Module, ModelCard]:
    """[`load_model`][] for those who need a distance map; ModelError for a network of classes."""
    model, card = load_model(path)
    if not isinstance(card, ModelCard):
        told = f"the classes {', '.join(card.classes)}" if card.classes else "intensities"
        raise ModelError(
            f"{path}: the network must predict a distance map, this one predicts {told}; "
            "use it with `topodelin predict`"
        )
    return model, card


def bundled_models() -> list[str]:
    """Names of the models that come with the library, for `load_model`."""
    return sorted(file.stem for file in BUNDLED.glob("*.safetensors"))


def _locate(path: str | os.PathLike[str]) -> Path:
    # A bundled name wins over a file of the same name, so that it means the same in every folder.
    if str(path) in bundled_models():
        return BUNDLED / f"{path}.safetensors"
    file = Path(path)
    if file.is_file():
        return file
    if file.is_dir():
        raise ModelError(f"{file} is a folder; name the .safetensors file in it")
    known = bundled_models()
    raise ModelError(
        f"{file} is neither a file nor a bundled model{_nearest(str(path), known)}; "
        f"bundled: {', '.join(known) or 'none'}"
    )


def _read_card(file: Path, metadata: dict[str, str] | None) -> Card:
    if not metadata or METADATA_KEY not in metadata:
        raise ModelError(
            f"{file} holds weights but no topodelin card; load them into their own network and "
            "write it with `save_model`"
        )
    try:
        return read_card(metadata[METADATA_KEY])
    except ValueError as error:
        raise ModelError(f"{file}: {_line(error)}") from None


def _build(file: Path, card: Card) -> nn.Module:
    """The network that the card describes, without memory for its weights."""
    if card.name not in MODELS:
        raise ModelError(
            f"{file} names an unknown network {short(card.name)}{_nearest(card.name, MODELS)}; "
            f"known: {', '.join(MODELS)}; a newer topodelin may know it"
        )
    try:
        with torch.device("meta"):
            return MODELS[card.name](**card.arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{file}: `arguments` of {card.name!r} do not fit: {_line(error)}"
        ) from None


def _check_shapes(file: Path, expected: dict[str, Tensor], found: dict[str, list[int]]) -> None:
    lacking, surplus = (
        sorted(expected.keys() - found.keys()),
        sorted(found.keys() - expected.keys()),
    )
    if lacking or surplus:
        counts = [f"{len(lacking)} weights missing"] * bool(lacking)
        counts += [f"{len(surplus)} unknown"] * bool(surplus)
        raise ModelError(
            f"{file} does not hold the weights of its network: {', '.join(counts)}, e.g. "
            f"{short((lacking + surplus)[0])}; write it again with `save_model`"
        )
    for name, like in expected.items():
        if list(like.shape) != list(found[name]):
            raise ModelError(
                f"{file}: `{name}` must have shape {tuple(like.shape)}, got "
                f"{tuple(found[name])}; write it again with `save_model`"
            )


def _weight(file: Path, name: str, stored: Tensor, like: Tensor) -> Tensor:
    if stored.is_floating_point() != like.is_floating_point():
        raise ModelError(
            f"{file}: `{name}` must be {like.dtype}, got {stored.dtype}; "
            "write it again with `save_model`"
        )
    if not stored.isfinite().all():
        raise ModelError(f"{file}: `{name}` holds NaN or infinite values; train the model again")
    # A copy: the stored tensor is a view of the file, which may change under us.
    return torch.empty_like(like, device="cpu").copy_(stored)


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f", did you mean {close[0]!r}?" if close else ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
