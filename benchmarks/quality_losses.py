"""Learning experiment: the same small network, data and budget under different losses.

    python benchmarks/quality_losses.py OUT --seeds 5          train, judge, print the table
    python benchmarks/quality_losses.py OUT --rows mse,l3d     some rows only
    python benchmarks/quality_losses.py OUT --table            only the table of what is there

Every row goes on from a common warm start (mean squared error) and adds its terms, whose weight
keeps the norm of their gradient at `rho` times that of the first term. The network learns from
degraded annotations and is judged against the exact graphs of other volumes; the threshold of each
network is the one of best quality on validation volumes. The folder keeps the weights and the
judgement of every network, so a stopped experiment goes on where it was.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from provenance import provenance
from rendered_crops import D_MAX, SPACING, Rendered, draw, render
from safetensors.torch import load_file, save_file
from torch import nn

from topodelin.graphs import (
    NeuriteGraph,
    apls,
    centreline_quality,
    expected_run_length,
    find_errors,
    graph_from_mask,
)
from topodelin.losses import LOSSES, ConnLoss, GradientBalance, MSELoss, SnakeLoss, WeightedSum
from topodelin.losses.weighted_sum import Weight
from topodelin.models import UNet, predict_distance_map

Terms = dict[str, tuple[nn.Module, Weight]]
TOLERANCE_UM = 1.5
THRESHOLDS = (1.5, 2.0, 2.5, 3.0, 4.0)
MIN_BRANCH_UM = 3.0
EQUAL_BRIDGES = 10.0  # per mm, about what the mean squared error makes


@dataclass(frozen=True)
class Scale:
    """How much of everything; `toy` runs in seconds."""

    warm_up: int = 400
    steps: int = 300
    crop: int = 48
    batch: int = 2
    train: int = 24
    train_size: int = 72
    validation: int = 4
    test: int = 12
    size: int = 96
    base: int = 8


TOY = Scale(2, 2, 32, 1, 2, 40, 1, 1, 40, 2)


def with_mse(name: str, **arguments: object) -> Callable[[], Terms]:
    """Mean squared error and one more term of the registry."""
    return lambda: {
        "mse": (MSELoss(), 1.0),
        name: (LOSSES[name](**arguments), GradientBalance(RHO)),
    }


def paper_conn() -> Terms:
    return {"mse": (MSELoss(), 1.0), "conn": (ConnLoss.paper(), GradientBalance(RHO))}


def snake() -> Terms:
    """The published form: in the place of the mean squared error, not beside it."""
    return {"snake": (SnakeLoss.paper(d_max=D_MAX), 1.0)}


def conn_and_spanning_path() -> Terms:
    terms = with_mse("conn", topo=TOPO)() | with_mse("spanning_path", slack=SLACK)()
    halves = {name: (loss, GradientBalance(RHO / 2)) for name, (loss, _) in terms.items()}
    return halves | {"mse": terms["mse"]}


RHO = 4.0  # of 1 and 4 the better on the validation volumes, for l3d and spanning_path, seed 0
SLACK = 2.0  # likewise of 1 and 2, for spanning_path
TOPO = {"d_max": D_MAX}
FINE = {"d_max": D_MAX, "separator_radius": 2.0, "edge_hi": 6.0, "bridge_weight": 1.0}
ROWS: dict[str, Callable[[], Terms]] = {
    "mse": lambda: {"mse": (MSELoss(), 1.0)},
    "l3d_paper": paper_conn,
    "l3d": with_mse("conn", topo=TOPO),
    "l3d_fine": with_mse("conn", topo=FINE),
    "spanning_path": with_mse("spanning_path", slack=SLACK),
    "centre_slack": with_mse("centre_slack", slack=SLACK),
    "cldice": with_mse("cldice"),
    "snake": snake,
    "l3d_and_spanning_path": conn_and_spanning_path,
    "l2d": lambda: {"l2d": (LOSSES["l2d"](topo=TOPO), 1.0)},
    "spanning_path_gap": with_mse("spanning_path", slack=SLACK, merge_weight=0.0),
    "spanning_path_one_span": with_mse("spanning_path", slack=SLACK, spans=20.0),
    "spanning_path_snapped": with_mse("spanning_path", slack=SLACK, snap_radius=2.0),
    "skeleton_recall": with_mse("skeleton_recall"),
}


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    parser = argparse.ArgumentParser(description="Compare losses by what networks learn.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    scale = TOY if options.toy else Scale()
    options.out.mkdir(parents=True, exist_ok=True)
    names = options.rows.split(",")
    if not options.table:
        experiment = Experiment(options.out, scale)
        for seed in range(options.seeds):  # all rows of one seed first: they are compared
            for name in names:
                if options.train_only:
                    experiment.trained(name, seed)
                else:
                    experiment.judge(name, seed)
    rows = table(options.out)
    for row in rows:
        print(json.dumps(row))
    result = {"rows": rows, "tolerance_um": TOLERANCE_UM, "scale": vars(scale), **provenance()}
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}))
    return result


class Experiment:
    """Volumes, warm starts and rows, each made once and kept in a folder."""

    def __init__(self, out: Path, scale: Scale) -> None:
        self.out, self.scale = out, scale
        self.train = [render((1, n), scale.train_size) for n in range(scale.train)]
        self.validation = [render((2, n), scale.size) for n in range(scale.validation)]
        self.test = [render((3, n), scale.size) for n in range(scale.test)]

    def judge(self, name: str, seed: int) -> None:
        """Judge the network of one row and seed, trained if need be, unless that was done."""
        file = self.out / f"{name}-{seed}.json"
        if file.exists():
            return
        result: dict[str, object] = {"row": name, "seed": seed}
        result |= judge(self.trained(name, seed), self.validation, self.test)
        file.write_text(json.dumps(result))
        print(json.dumps(result), flush=True)

    def trained(self, name: str, seed: int) -> nn.Module:
        """The network of one row and seed, from its file where it was trained before."""
        file = self.out / f"{name}-{seed}.safetensors"
        network = new_network(seed, self.scale.base)
        if file.exists():
            network.load_state_dict(load_file(file))
            return network
        warm, full = self.scale.warm_up, self.scale.warm_up + self.scale.steps
        if name == "warm":
            terms, span = ROWS["mse"](), range(warm)
        elif name == "warm_2d":  # projections alone: no annotation of the volume is seen
            terms, span = {"l2d": (LOSSES["l2d"](conn_weight=0.0), 1.0)}, range(warm)
        else:
            network = self.trained("warm_2d" if name.startswith("l2d") else "warm", seed)
            terms, span = ROWS[name](), range(warm, full)
        start = time.perf_counter()
        self._learn(network, WeightedSum(terms), seed, span)
        seconds = time.perf_counter() - start
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, file)
        print(json.dumps({"trained": name, "seed": seed, "seconds": round(seconds, 1)}), flush=True)
        return network

    def _learn(self, network: nn.Module, loss: WeightedSum, seed: int, span: range) -> None:
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(network.parameters())
        network.train()
        for step in span:
            done = (step - span.start) / len(span)
            rate = 2e-3 if span.start == 0 else 1e-3 * 0.5 * (1 + math.cos(math.pi * done))
            optimizer.param_groups[0]["lr"] = rate * min(1.0, (step - span.start + 1) / 20)
            image, annotation = draw(self.train, (4, seed, step), self.scale.crop, self.scale.batch)
            loss.step = step
            with torch.autocast("cpu", dtype=torch.bfloat16):
                prediction = network(image.to(memory_format=torch.channels_last_3d))
            value = loss(prediction.float(), annotation)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()


def new_network(seed: int, base: int) -> nn.Module:
    torch.manual_seed(seed)
    network = UNet(dims=3, base=base, poolings=2)
    last = [weight for name, weight in network.named_parameters() if name.endswith("bias")][-1]
    nn.init.constant_(last, D_MAX)
    return network


def judge(
    network: nn.Module, validation: Sequence[Rendered], test: Sequence[Rendered]
) -> dict[str, object]:
    """Everything that is measured, at every threshold, on the validation and the test volumes."""
    network.eval()
    return {"validation": at_thresholds(network, validation), "test": at_thresholds(network, test)}


def at_thresholds(network: nn.Module, volumes: Sequence[Rendered]) -> dict[str, dict[str, float]]:
    maps = [distances(network, volume) for volume in volumes]
    found = {}
    for threshold in THRESHOLDS:
        pairs = zip(volumes, maps, strict=True)
        found[f"{threshold:g}"] = pooled([score(v, traced(m, threshold)) for v, m in pairs])
    return found


def pooled(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Counts divided by the whole length of the truth, the mean of everything else."""
    means = {key: float(np.nanmean([each[key] for each in scores])) for key in scores[0]}
    truth_mm = means.pop("truth_um") / 1000
    for kind in ("gap", "bridge"):
        means[f"{kind}s_per_mm"] = means.pop(f"{kind}s") / truth_mm
    return {key: round(value, 4) for key, value in means.items()}


def distances(network: nn.Module, volume: Rendered) -> np.ndarray:
    return predict_distance_map(network, volume.image, d_max=D_MAX)


def traced(distances: np.ndarray, threshold: float) -> NeuriteGraph:
    mask = distances < threshold
    if mask.mean() > 0.25:
        return NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    return graph_from_mask(mask, SPACING, min_branch_um=MIN_BRANCH_UM)


def score(volume: Rendered, predicted: NeuriteGraph) -> dict[str, float]:
    """Everything that is measured of one volume."""
    matched = centreline_quality(volume.truth, predicted, tolerance=TOLERANCE_UM)
    errors = find_errors(volume.truth, predicted, tolerance=TOLERANCE_UM)
    runs = expected_run_length(volume.truth, predicted, tolerance=TOLERANCE_UM)
    paths = apls(volume.truth, predicted, tolerance=TOLERANCE_UM, interval=5.0)
    return {
        "quality": matched.quality,
        "completeness": matched.completeness,
        "correctness": matched.correctness,
        "truth_um": errors.truth_length,
        "gaps": float(errors.count("gap")),
        "bridges": float(errors.count("bridge")),
        "run_length_um": runs.expected_run_length,
        "normalised_run_length": runs.normalised,
        "apls": paths.similarity,
    }


def table(out: Path) -> list[Mapping[str, object]]:
    """Means over the seeds of every row, each with half the width of its 95 % interval.

    `..._over_mse` is the mean difference to the row `mse` of the same seed.
    """
    results: dict[str, dict[int, dict[str, float]]] = {}
    for file in sorted(out.glob("*-*.json")):
        result = json.loads(file.read_text())
        results.setdefault(result["row"], {})[result["seed"]] = chosen(result)
    rows = []
    for name, found in results.items():
        row: dict[str, object] = {"row": name, "seeds": len(found)}
        for key in next(iter(found.values())):
            row[key] = mean_and_interval([scores[key] for scores in found.values()])
        same = results.get("mse", {})
        for key in ("quality", "run_length_um") if name != "mse" and same else ():
            pairs = [(found[seed][key], same[seed][key]) for seed in found if seed in same]
            row[f"{key}_over_mse"] = mean_and_interval([a - b for a, b in pairs])
        rows.append(row)
    return rows


def chosen(result: Mapping[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """The test scores at the threshold of the best APLS on the validation volumes.

    And `gaps_at_equal_bridges`: the gaps per mm where the threshold lets `EQUAL_BRIDGES` pass, on
    the line through the neighbouring thresholds; at the nearest threshold where none does.
    """
    validation, test = result["validation"], result["test"]
    best = max(validation, key=lambda key: validation[key]["apls"])
    points = sorted((each["bridges_per_mm"], each["gaps_per_mm"]) for each in test.values())
    bridges, gaps = zip(*points, strict=True)
    equal = float(np.interp(EQUAL_BRIDGES, bridges, gaps))
    return {"threshold": float(best), **test[best], "gaps_at_equal_bridges": equal}


def mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of Student's 95 % interval."""
    from scipy.stats import t

    count = len(values)
    half = t.ppf(0.975, count - 1) * np.std(values, ddof=1) / math.sqrt(count) if count > 1 else 0
    return round(float(np.mean(values)), 4), round(float(half), 4)


if __name__ == "__main__":
    main()
