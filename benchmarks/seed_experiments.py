"""The experiments that the presets describe, small enough for one core, on public data.

    python benchmarks/seed_experiments.py --data FOLDER --only isbi_unet2,isbi_dmcn
    python benchmarks/seed_experiments.py --table            the table of docs/reproduce.md
    python benchmarks/seed_experiments.py --pictures DIR     image, labels and prediction

Every experiment is a packaged preset with a few settings changed, which its record names. It is
trained on some slices, its best state is chosen on others, and the record in benchmarks/results/ is
of slices (or stacks) that neither saw. Training goes on where it was stopped. docs/reproduce.md
says where the data come from and how the folder is laid out.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
import yaml
from provenance import ROOT, provenance
from seed_data import DATA, DataSet
from seed_pictures import draw_pictures
from seed_plans import EXPERIMENTS, Experiment
from seed_scores import label_scores, line_scores
from seed_table import RESULTS, table

from topodelin.models import ModelCard, load_model
from topodelin.training import LineReport, TrainingConfig, load_config, train
from topodelin.training.config_data import Entry

PRESETS = ROOT / "topodelin" / "presets"


def run(name: str, data: Path, work: Path) -> dict[str, Any]:
    """Train an experiment, judge it on its test part, and return its record."""
    experiment = EXPERIMENTS[name]
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    config = configuration(experiment, data, work, folder / "run.yaml")
    spent = folder / "cpu_seconds.txt"
    before = float(spent.read_text()) if spent.exists() else 0.0
    start = time.process_time()
    torch.set_num_threads(1)
    result = train(config, run_dir=folder / "run", progress=LineReport(print_now))
    spent.write_text(str(before + time.process_time() - start))
    network, card = load_model(result.model)
    test = [Entry(**e) for e in placed(DATA[experiment.data], "test", data, work)]
    if not test:
        scores = {"validation_loss": -float(result.best_score or 0.0)}
    elif isinstance(card, ModelCard):
        scores = line_scores(network, test, config)
    else:
        scores, kept = label_scores(network, test, config, crf=experiment.crf)
        np.savez_compressed(folder / "prediction.npz", **kept)  # type: ignore[arg-type]
    return {
        "experiment": name,
        "preset": experiment.preset,
        "data": experiment.data,
        "parts": {p: described(e) for p, e in DATA[experiment.data].entries.items()},
        "binned": DATA[experiment.data].binned,
        "changed": dict(experiment.changes),
        "started_from": experiment.start,
        "weights": sum(weight.numel() for weight in network.parameters()),
        "steps": result.steps,
        "cpu_minutes": round(float(spent.read_text()) / 60, 1),
        "scores": {key: round(value, 4) for key, value in scores.items()},
        "published": dict(experiment.published),
        "note": experiment.note,
        "seed": config.seed,
        **provenance(),
    }


def configuration(experiment: Experiment, data: Path, work: Path, file: Path) -> TrainingConfig:
    """The preset with the data and the changes of an experiment, written to a file and read."""
    content = yaml.safe_load((PRESETS / f"{experiment.preset}.yaml").read_text("utf-8"))
    parts = DATA[experiment.data]
    content["data"]["train"] = placed(parts, "train", data, work)
    content["data"]["validation"] = placed(parts, "validation", data, work)
    content["device"], content["threads"] = "cpu", 1
    if parts.task:
        content["task"] = {**content["task"], **parts.task}
    if experiment.start is not None:
        weights = work / experiment.start / "run" / "model.safetensors"
        content["model"]["weights"] = str(weights.resolve())
    for path, value in experiment.changes.items():
        *parents, last = path.split(".")
        place = content
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    file.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return load_config(file)


def placed(parts: DataSet, part: str, data: Path, work: Path) -> list[dict[str, Any]]:
    """The entries of a part with absolute paths, binned where the data set asks for it."""
    files = ("image", "labels", "truth")
    return [
        {
            key: str(prepared(data / value, parts.binned, work)) if key in files else value
            for key, value in entry.items()
        }
        for entry in parts.entries.get(part, [])
    ]


def prepared(file: Path, factor: int, work: Path) -> Path:
    """The file, or a copy of it with smaller slices: the mean of an image, a corner of labels."""
    if factor == 1:
        return file.resolve()
    small = (work / f"{file.stem}_binned{factor}.tif").resolve()
    if not small.exists():
        image = tifffile.imread(file)
        z, y, x = image.shape
        tiles = image.reshape(z, y // factor, factor, x // factor, factor)
        mean = tiles.mean(axis=(2, 4)).round().astype(image.dtype)
        binned = mean if file.stem.endswith("_image") else tiles[:, :, 0, :, 0]
        tifffile.imwrite(small, binned, compression="zlib")
    return small


def described(entries: list[dict[str, Any]]) -> list[str]:
    """Which slices of which file, for the record."""
    return [
        entry["image"] + (" {}-{}".format(*entry["slices"]) if "slices" in entry else "")
        for entry in entries
    ]


def print_now(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="The experiments of the presets, small.")
    parser.add_argument("--data", type=Path, help="folder that holds isbi2012, sbem_mito, ...")
    parser.add_argument("--only", default=",".join(EXPERIMENTS), help="names, comma-separated")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="print the table of the results")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of what was predicted")
    options = parser.parse_args()
    if options.table:
        print(table(options.results, EXPERIMENTS))
        return
    if options.pictures is not None:
        draw_pictures(options.work, options.pictures)
        return
    names = options.only.split(",")
    unknown = set(names) - set(EXPERIMENTS)
    if options.data is None or unknown:
        parser.error(f"unknown: {unknown}" if unknown else "--data is needed to train")
    options.results.mkdir(parents=True, exist_ok=True)
    for name in names:
        record = run(name, options.data, options.work)
        text = json.dumps(record, indent=1) + "\n"
        (options.results / f"{name}.json").write_text(text, "utf-8")
        print(json.dumps({"experiment": name, **record["scores"]}), flush=True)


if __name__ == "__main__":
    main()
