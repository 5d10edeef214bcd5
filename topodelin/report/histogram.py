"""The scores of many runs as a picture."""

from collections.abc import Sequence
from pathlib import Path


def write_histogram(
    path: str | Path, scores: Sequence[float], *, name: str, together: float | None = None
) -> None:
    """Every run as a tick under the bars, and the ensemble of the best as a line.

    Args:
        path: of the .png.
        scores: of the runs.
        name: of the score, on the axis.
        together: the score of the ensemble; no line if None.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(scores, bins="auto" if len(scores) > 9 else max(3, len(scores)), color="#7aa6c2")
    axes.plot(
        scores,
        [-0.04] * len(scores),
        "|",
        color="black",
        markersize=9,
        clip_on=False,
        transform=axes.get_xaxis_transform(),
    )
    if together is not None:
        axes.axvline(together, color="#c0392b", label=f"the best together: {together:.3f}")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)  # above the bars
    axes.set_xlabel(f"best {name} of a run")
    axes.tick_params(axis="x", length=0, pad=14)  # below the ticks of the runs
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("runs")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(path), dpi=150)
