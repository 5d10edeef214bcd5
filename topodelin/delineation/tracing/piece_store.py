"""The cleaned skeletons of a run, and which of their nodes lie in which cube.

A *piece* is a connected part of the skeleton after cycles were cut and short branches pruned,
before gaps are bridged. Pieces lie in a scratch database, so that looking for the pieces around a
place costs the same however large the volume is.
"""

import sqlite3
from functools import lru_cache
from pathlib import Path

import numpy as np

from topodelin.delineation.lattice import Lattice
from topodelin.delineation.tracing.fragments import voxel_keys
from topodelin.delineation.tracing.packing import pack, unpack
from topodelin.delineation.tracing.stitching import SkeletonGraph
from topodelin.volumes import Box, Index

SCHEMA = """
CREATE TABLE pieces (piece INTEGER PRIMARY KEY, nodes BLOB NOT NULL);
CREATE TABLE places (z INTEGER, y INTEGER, x INTEGER, piece INTEGER, keys BLOB NOT NULL);
"""
INDEX = "CREATE INDEX IF NOT EXISTS place ON places (z, y, x, piece)"
KEPT = 512  # cubes whose nodes are held in memory


class PieceStore:
    """Pieces by number, from 0 in the order in which they are added. Begun afresh each time.

    Args:
        path: the sqlite file; one that is there is replaced.
        lattice: of the cubes.
    """

    def __init__(self, path: Path, lattice: Lattice) -> None:
        path.unlink(missing_ok=True)
        self.path, self._lattice, self.count = path, lattice, 0
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")  # a kill leaves nothing worth keeping
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(SCHEMA)
        self._database.execute("BEGIN")
        self._in_cube = lru_cache(maxsize=KEPT)(self._read_cube)

    def __enter__(self) -> "PieceStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self.path.unlink(missing_ok=True)

    def add(self, piece: SkeletonGraph) -> int:
        """Store a piece; its number."""
        number, shape = self.count, self._lattice.shape
        keys = voxel_keys(piece.voxels, shape)
        order = np.argsort(keys)
        renumber = np.argsort(order)
        blob = pack([keys[order], piece.distances[order].astype(np.float32), renumber[piece.edges]])
        self._run("INSERT INTO pieces VALUES (?, ?)", [(number, blob)])
        cubes = piece.voxels // np.array(self._lattice.cube)
        places, index = np.unique(cubes, axis=0, return_inverse=True)
        rows = [
            (*place, number, pack([keys[index.ravel() == row]]))
            for row, place in enumerate(places.tolist())
        ]
        self._run("INSERT INTO places VALUES (?, ?, ?, ?, ?)", rows)
        self.count += 1
        return number

    def finish(self) -> None:
        """Call it once after the last `add` and before the first question."""
        self._database.execute(INDEX)
        self._database.execute("COMMIT")

    def piece(self, number: int) -> SkeletonGraph:
        """One piece; its nodes come in the order of their keys."""
        (blob,) = self._database.execute(
            "SELECT nodes FROM pieces WHERE piece = ?", (number,)
        ).fetchone()
        keys, distances, edges = unpack(blob, ("i8", "f4", "i8"))
        voxels = np.stack(np.unravel_index(keys, self._lattice.shape), axis=1)
        return SkeletonGraph(voxels, distances, edges.reshape(-1, 2))

    def within(self, box: Box) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) voxels of all pieces in a box inside the volume, and (N,) the piece of each."""
        voxels, pieces = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
        for cube in self._lattice.overlapping(box):
            found, owners = self._in_cube(cube)
            inside = ((found >= box.begin) & (found < box.end)).all(axis=1)
            voxels.append(found[inside])
            pieces.append(owners[inside])
        return np.concatenate(voxels), np.concatenate(pieces)

    def _read_cube(self, cube: Index) -> tuple[np.ndarray, np.ndarray]:
        keys, pieces = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for piece, blob in self._database.execute(
            "SELECT piece, keys FROM places WHERE z = ? AND y = ? AND x = ? ORDER BY piece", cube
        ):
            (own,) = unpack(blob, ("i8",))
            keys.append(own)
            pieces.append(np.full(len(own), piece))
        voxels = np.stack(np.unravel_index(np.concatenate(keys), self._lattice.shape), axis=1)
        return voxels, np.concatenate(pieces)

    def _run(self, statement: str, rows: list[tuple]) -> None:
        try:
            self._database.executemany(statement, rows)
        except sqlite3.Error as error:
            raise OSError(
                f"{self.path} cannot be written ({error}); make room and start the same command "
                "again"
            ) from error
