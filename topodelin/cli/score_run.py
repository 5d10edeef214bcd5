"""From the options of `topodelin score` to its answer, for one pair or for two folders of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topodelin import __version__
from topodelin.cli.score_also import check_names
from topodelin.cli.score_files import Tracing, is_folder_of_files, is_volume, pairs, read_pair
from topodelin.cli.score_folder import Folder
from topodelin.cli.score_options import ScoreOptions
from topodelin.cli.score_outputs import (
    outputs_in_folders,
    outputs_of_pair,
    refuse_to_replace,
    write_outputs,
)
from topodelin.cli.score_verdict import Verdict, judge


@dataclass(frozen=True, eq=False)
class Answer:
    """The result, what was asked for, and one line for each doubt."""

    options: ScoreOptions
    result: Verdict | Folder
    doubts: tuple[str, ...]

    def as_json(self) -> str:
        """For programs; null where a number is undefined."""
        asked = self.options
        content: dict[str, Any] = {
            "truth": asked.truth,
            "traced": asked.traced,
            "truth_unit": asked.units["truth"] or "as in the file",
            "traced_unit": asked.units["traced"] or "as in the file",
            "spacing": asked.voxel,
            "tolerance_um": asked.tolerance_um,
            **self.result.as_dict(),
            "warnings": list(self.doubts),
            "topodelin": __version__,
        }
        return json.dumps(content, indent=2, allow_nan=False)

    def table(self) -> str:
        """For people."""
        return self.result.table()


def answer(options: ScoreOptions) -> Answer:
    """Measure what was asked for and write the files that go with it."""
    check_names(options.also_names)
    folders = is_folder_of_files(options.truth) and is_folder_of_files(options.traced)
    if folders and not options.union:
        return _of_folders(options)
    _check_spacing(options)
    return _of_pair(options)


def _of_pair(options: ScoreOptions) -> Answer:
    outputs = outputs_of_pair(options)
    truth, traced = read_pair(options.truth, options.traced, options)
    inputs = [Path(side.path) for side in (truth, traced)]
    inputs += [file for side in (truth, traced) if isinstance(side, Tracing) for file in side.files]
    refuse_to_replace(inputs, [outputs])
    verdict = judge(truth, traced, options)
    write_outputs(outputs, verdict, options)
    return Answer(options, verdict, verdict.doubts)


def _of_folders(options: ScoreOptions) -> Answer:
    found, alone = pairs(options.truth, options.traced)
    outputs = outputs_in_folders(options, [name for name, _, _ in found])
    refuse_to_replace([path for _, *both in found for path in both], outputs.values())
    result, doubts = Folder(), []
    for name, truth, traced in found:
        verdict = judge(*read_pair(str(truth), str(traced), options), options)
        result.add(name, verdict)
        write_outputs(outputs[name], verdict, options)
        doubts += [f"{name}: {doubt}" for doubt in verdict.doubts]
    doubts += [f"{path} has no partner of the same stem and is left out" for path in alone]
    return Answer(options, result, tuple(doubts))


def _check_spacing(options: ScoreOptions) -> None:
    """A voxel size that nothing would be done with is a mistake about the unit."""
    if options.voxel is None or "voxel" in options.units.values():
        return
    if not any(is_volume(path) for path in (options.truth, options.traced)):
        raise ValueError(
            "`--spacing` has no meaning without files in voxels; add --unit voxel, "
            "or --truth-unit voxel if only the truth is in voxels"
        )
