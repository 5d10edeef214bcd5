"""The fragments of a run in one sqlite file: made once for each state of the distance map."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from topodelin.delineation.tracing.fragments import Fragment
from topodelin.delineation.tracing.packing import pack, unpack
from topodelin.graphs.voxel_edges import voxel_edges
from topodelin.volumes import Box, Index

SCHEMA = """
CREATE TABLE IF NOT EXISTS fragments (
    z INTEGER, y INTEGER, x INTEGER,
    stamp BLOB NOT NULL,
    components INTEGER NOT NULL,
    body BLOB NOT NULL,
    rim BLOB NOT NULL,
    PRIMARY KEY (z, y, x)
) WITHOUT ROWID;
"""
VERSION = 1
RIM = 2  # voxels from the border: those that a voxel of the outermost layer touches
KEPT = 4096  # rims in memory; those of two layers of cubes are read several times


@dataclass(frozen=True, eq=False)
class Rim:
    """What other cubes need to know of a fragment.

    Args:
        keys: (R,) int64 ascending, skeleton voxels within `RIM` voxels of the cube's border.
        components: (R,) int64, the component within the cube that each belongs to, from 0.
        crossings, borders: those of the [`Fragment`][].
    """

    keys: np.ndarray
    components: np.ndarray
    crossings: np.ndarray
    borders: np.ndarray


class FragmentStore:
    """Fragments by cube, each with a stamp of what it was made from.

    Several cubes are stored in one transaction; a kill loses those of the last one at most. A file
    that is damaged or of another version is begun afresh, for it holds nothing that cannot be made
    again.

    Args:
        path: the sqlite file; created when absent, with its folder.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        try:
            self._database = self._open()
        except sqlite3.DatabaseError:
            path.unlink()
            self._database = self._open()
        self.rim = lru_cache(maxsize=KEPT)(self._rim)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = OFF")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError("another version")
            database.execute(SCHEMA)
            database.execute(f"PRAGMA user_version = {VERSION}")
        except BaseException:
            database.close()
            raise
        return database

    def __enter__(self) -> "FragmentStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def stamps(self) -> dict[Index, bytes]:
        """Of what each stored fragment was made from."""
        rows = self._database.execute("SELECT z, y, x, stamp FROM fragments")
        return {(z, y, x): stamp for z, y, x, stamp in rows}

    def put(self, made: Iterable[tuple[Index, bytes, Fragment, Box]], shape: Index) -> None:
        """Store `(cube, stamp, fragment, core)`; all of them or none."""
        rows = [
            (*cube, stamp, *_packed(fragment, core, shape)) for cube, stamp, fragment, core in made
        ]
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                "INSERT OR REPLACE INTO fragments VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._database.execute("ROLLBACK")
            raise OSError(
                f"{self.path} cannot be written ({error}); what is done so far is safe: "
                "make room and start the same command again"
            ) from error
        self.rim.cache_clear()

    def keep_only(self, cubes: frozenset[Index]) -> None:
        """Forget the fragments of all other cubes."""
        gone = [cube for cube, _ in self.cubes() if cube not in cubes]
        self._database.executemany("DELETE FROM fragments WHERE z = ? AND y = ? AND x = ?", gone)
        self.rim.cache_clear()

    def cubes(self) -> Iterator[tuple[Index, int]]:
        """`(cube, number of components)` of every fragment, in (z, y, x) order."""
        rows = self._database.execute(
            "SELECT z, y, x, components FROM fragments ORDER BY z, y, x"
        ).fetchall()
        yield from (((z, y, x), count) for z, y, x, count in rows)

    def body(self, cube: Index) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keys (ascending), distances and components of a cube's skeleton voxels."""
        keys, distances, components = unpack(self._one("body", cube) or b"", ("i8", "f4", "i8"))
        return keys, distances, components

    def _rim(self, cube: Index) -> Rim | None:
        data = self._one("rim", cube)
        if data is None:
            return None
        keys, components, crossings, borders = unpack(data, ("i8", "i8", "i8", "i8"))
        return Rim(keys, components, crossings.reshape(-1, 2), borders.reshape(-1, 2))

    def _one(self, column: str, cube: Index) -> bytes | None:
        row = self._database.execute(
            f"SELECT {column} FROM fragments WHERE z = ? AND y = ? AND x = ?", cube
        ).fetchone()
        return None if row is None else row[0]


def _packed(fragment: Fragment, core: Box, shape: Index) -> tuple[int, bytes, bytes]:
    voxels = np.stack(np.unravel_index(fragment.keys, shape), axis=1)
    edges, count = voxel_edges(voxels), len(voxels)
    links = coo_array((np.ones(len(edges)), tuple(edges.T)), shape=(count, count))
    number, labels = connected_components(links, directed=False) if count else (0, voxels[:, 0])
    components = labels.astype(np.int64)
    inner = core.grow(-RIM)
    deep = ((voxels >= inner.begin) & (voxels < inner.end)).all(axis=1)
    body = pack([fragment.keys, fragment.distances.astype(np.float32), components])
    rim = [fragment.keys[~deep], components[~deep], fragment.crossings, fragment.borders]
    return number, body, pack([array.astype(np.int64) for array in rim])
