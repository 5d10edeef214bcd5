"""SWC files: one node a line, `id type x y z radius parent`.

The format stores `x y z`; everything else in the library is `(z, y, x)` in µm. The conversion is
made by the reader and the writers of this folder and nowhere else.
"""

from topodelin.graphs.swc.checking import check_swc
from topodelin.graphs.swc.eswc import write_eswc
from topodelin.graphs.swc.fixing import SwcChange, fix_swc
from topodelin.graphs.swc.reading import read_swc
from topodelin.graphs.swc.rows import SwcError, SwcProblem
from topodelin.graphs.swc.writing import write_swc

__all__ = [
    "SwcChange",
    "SwcError",
    "SwcProblem",
    "check_swc",
    "fix_swc",
    "read_swc",
    "write_eswc",
    "write_swc",
]
