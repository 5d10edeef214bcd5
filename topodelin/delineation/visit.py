"""What is done with one cube of a search: predict it, store its distances, say where to go next."""

from collections.abc import Mapping
from dataclasses import dataclass

from topodelin.delineation.prediction import CubePredictor
from topodelin.volumes import Box, Index, OmeZarrWriter, Volume


class StoreUnwritable(OSError):
    """A distance map could not be stored; nothing of the image is to blame."""


@dataclass(frozen=True)
class Visit:
    """What the search has to know of a cube; its distances are on disk.

    Args:
        cube: place in the lattice.
        foreground: number of foreground voxels.
        directions: those in which the foreground reaches the border of the cube, and how sure that
            is, from 0 to 1.
        blank: the image is the same everywhere in and around the cube, and the network sees no
            neurite in that; nothing was stored.
    """

    cube: Index
    foreground: int
    directions: Mapping[Index, float]
    blank: bool = False


@dataclass(frozen=True, eq=False)
class CubeVisit:
    """Visits a cube, in whichever process; the process must reach image and distance map by path.

    A chunk is written by the one who predicted it, whole, and then by nobody else unless with the
    same bytes.
    """

    predictor: CubePredictor
    distance_map: OmeZarrWriter

    def __call__(self, cube: Index) -> Visit:
        """Predict and store one cube.

        Raises:
            ValueError: the image or the prediction holds NaN or infinity there.
            OSError: the image cannot be read there.
            StoreUnwritable: the distance map cannot be written.
        """
        found = self.predictor(cube)
        if found.blank and not found.foreground:
            return Visit(cube, 0, {}, blank=True)
        core = self.predictor.lattice.core(cube)
        try:
            self.distance_map.write(core, found.distance)
        except OSError as error:
            raise StoreUnwritable(
                f"{self.distance_map.path} cannot be written ({error.strerror or error}); what is "
                "done so far is safe: make room and start the same command again"
            ) from error
        return Visit(cube, found.foreground, found.directions)

    def to(self, device: str) -> None:
        """Put the network on a device."""
        self.predictor.to(device)

    def check(self) -> None:
        """Refuse to begin where image or distance map cannot be reached.

        Raises:
            OSError, ValueError: names the path.
        """
        check_readable(self.predictor.volume)
        if not self.distance_map.path.is_dir():
            raise OSError(
                f"{self.distance_map.path} cannot be seen by a worker; the folder of the run must "
                "lie on a file system that all workers share"
            )


def check_readable(volume: Volume) -> None:
    """Read a few voxels that could be read when the run began.

    Raises:
        OSError, ValueError: they cannot be read any more.
    """
    volume.read(Box((0, 0, 0), (8, 8, 8)).clip(volume.shape))
