"""Quality of the bundled network on a folder of real stacks with their tracings, unattended.

    python benchmarks/quality_stacks.py FOLDER -o OUT --spacing 1.0,0.33,0.33 --truth-unit voxel

Every `NAME.tif` in the folder is delineated without seeds and compared with `NAME.swc`. Prints one
line of JSON for each stack, then the quality over all of them (lengths added, then divided).
"""

import argparse
import json
import time
from pathlib import Path

from provenance import provenance

from topodelin.cli.options import parse_spacing
from topodelin.delineation import default_model, delineate
from topodelin.graphs import CentrelineQuality, centreline_quality, joined, read_swc
from topodelin.models import load_distance_model
from topodelin.volumes import open_volume


def main() -> None:
    parser = argparse.ArgumentParser(description="Quality on real stacks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", default=None)
    parser.add_argument("--spacing", default=None)
    parser.add_argument("--truth-unit", choices=["um", "voxel"], default="um")
    parser.add_argument("--tolerance-um", type=float, default=3.0)
    options = parser.parse_args()
    name = options.model or default_model()
    network, card = load_distance_model(name)
    found: list[CentrelineQuality] = []
    for image in sorted(options.folder.glob("*.tif")):
        start = time.perf_counter()
        volume = open_volume(image, spacing=parse_spacing(options.spacing))
        voxel = volume.spacing if options.truth_unit == "voxel" else None
        truth = read_swc(image.with_suffix(".swc"), unit=options.truth_unit, spacing=voxel)
        run = delineate(volume, options.output / image.stem, network, card, progress=None)
        traced = joined([tree.graph for tree in run.trees])
        result = centreline_quality(truth, traced, tolerance=options.tolerance_um)
        found.append(result)
        row = {
            "stack": image.stem,
            "quality": round(result.quality, 3),
            "completeness": round(result.completeness, 3),
            "correctness": round(result.correctness, 3),
            "truth_um": round(result.truth_length, 1),
            "traced_um": round(result.predicted_length, 1),
            "trees": len(run.trees),
            "cubes": [run.visited, run.total],
            "seconds": round(time.perf_counter() - start, 1),
        }
        print(json.dumps(row), flush=True)
    if not found:
        raise SystemExit(f"error: {options.folder} holds no .tif with a tracing of the same name")
    completeness = sum(r.matched_truth for r in found) / sum(r.truth_length for r in found)
    correctness = sum(r.matched_predicted for r in found) / sum(r.predicted_length for r in found)
    product = completeness * correctness
    quality = product / (completeness + correctness - product) if product else 0.0
    print(
        json.dumps(
            {
                "stacks": len(found),
                "quality": round(quality, 3),
                "completeness": round(completeness, 3),
                "correctness": round(correctness, 3),
                "tolerance_um": options.tolerance_um,
                "model": name,
                **provenance(),
            }
        )
    )


if __name__ == "__main__":
    main()
