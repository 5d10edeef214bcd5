"""The side of a dask worker: it holds a task and does it with cubes. Imported only with dask."""

from typing import Any

from distributed import WorkerPlugin, get_worker

from topodelin import __version__
from topodelin.delineation.crews.crew import CubeTask
from topodelin.delineation.crews.processes import adopted, sendable
from topodelin.volumes import Index


class TaskHolder(WorkerPlugin):
    """Keeps a task in each worker, unpickled once when the worker joins.

    Args:
        name: under which it is kept.
        version: of topodelin in the coordinator.
        pickled: the task.
        device: where it is put; None leaves it as it is.
    """

    def __init__(self, name: str, version: str, pickled: bytes, device: str | None) -> None:
        self.name, self._version, self._pickled, self._device = name, version, pickled, device

    def setup(self, worker: Any) -> None:
        """Called by dask in a worker that begins.

        Raises:
            ValueError: it runs another version of topodelin.
            Exception: of the `check` of the task.
        """
        check_version(self._version)
        worker.topodelin_tasks = getattr(worker, "topodelin_tasks", {})
        worker.topodelin_tasks[self.name] = adopted(self._pickled, self._device)

    def teardown(self, worker: Any) -> None:
        """Called by dask when the run is over."""
        worker.topodelin_tasks.pop(self.name, None)


def check_version(version: str) -> None:
    """Refuse to work for a coordinator of another version."""
    if version != __version__:
        raise ValueError(
            f"a worker runs topodelin {__version__} and the coordinator {version}; install the "
            "same version on all machines"
        )


def do_held(name: str, cube: Index) -> tuple[str, Any]:
    """Runs in a worker: an error of the task comes back as a value, so that dask tries nothing."""
    task: CubeTask = get_worker().topodelin_tasks[name]  # type: ignore[attr-defined]
    try:
        z, y, x = cube
        return "done", task((z, y, x))
    except Exception as error:
        return "raised", sendable(error)
