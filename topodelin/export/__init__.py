"""What a run found, in the files of the programs that people proofread with."""

from topodelin.export.finished_run import FinishedRun, open_run
from topodelin.export.napari import export_napari
from topodelin.export.neuroglancer import export_neuroglancer
from topodelin.export.serving import ExportServer

__all__ = ["ExportServer", "FinishedRun", "export_napari", "export_neuroglancer", "open_run"]
