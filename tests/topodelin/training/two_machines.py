"""One of two processes that train together: `python -m ... FOLDER RANK PORT`.

Each scenario is a run in a folder of its own; how it ended here is written to NAME-RANK.txt.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from topodelin.training import load_config, train
from topodelin.training.label_sampler import LabelSampler
from topodelin.training.sampler import Batch

UNET = {"name": "unet", "arguments": {"dims": 2, "base": 4, "poolings": 1, "norm": "none"}}
SEVERAL = {"name": "dmcn", "arguments": {"dims": 2, "base": 2, "branch": 2, "auxiliary": True}}
HEADS = ("main", "auxiliary_2", "auxiliary_4", "auxiliary_8")
Patch = tuple[object, str, object]


def main(folder: Path, rank: int, port: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": str(rank)}
    os.environ |= {"LOCAL_RANK": "0", "WORLD_SIZE": "2"}
    one, zero = rank == 1, rank == 0

    def end(
        name: str,
        *settings: str,
        yaml: str = "run",
        patch: Patch | None = None,
        run: str | None = None,
    ) -> None:
        path = folder / yaml / "run.yaml"
        config = load_config(path, overrides=["nodes=2", "sampling.workers=0", *settings])
        before = getattr(*patch[:2]) if patch else None
        if patch:
            setattr(*patch)
        try:
            said = f"{train(config, run_dir=folder / (run or name)).steps} steps"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            if patch:
                setattr(*patch[:2], before)
        (folder / f"{name}-{rank}.txt").write_text(said)

    def at_step(number: int, act: Callable[[Batch], Batch]) -> Patch:
        draw = LabelSampler.draw

        def patched(self: LabelSampler, step: int, **share: int) -> Batch:
            batch = draw(self, step, **share)
            return act(batch) if step == number else batch

        return LabelSampler, "draw", patched

    def refuse(batch: Batch) -> Batch:
        raise ValueError("a slice cannot be read")

    def ctrl_c(*_: object, **__: object) -> Batch:
        os.kill(os.getpid(), signal.SIGINT)
        return _[0]  # type: ignore[return-value]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "last.safetensors")

    from topodelin.training import run as run_module
    from topodelin.training.tasks import segmentation

    end("together")
    end(
        "dark",
        patch=at_step(2, lambda b: b._replace(image=b.image * float("nan"))) if one else None,
    )
    end("unread", patch=at_step(2, refuse) if one else None)
    end("full", "checkpoint_every=3", patch=(run_module, "save_checkpoint", full) if zero else None)
    end("stopped", patch=at_step(2, ctrl_c) if one else None)
    end("stopped")
    end("apart", patch=at_step(2, ctrl_c), run=f"apart-run-{rank}")
    end("apart", run=f"apart-run-{rank}")
    end("judged", patch=(segmentation, "label_scores", ctrl_c) if zero else None)
    end("still", "stopping.patience=1", "stopping.min_delta=1", "validate_every=2")
    end("heads", yaml="heads")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
