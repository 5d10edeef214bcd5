"""Pictures of a tracing and the single-file HTML report."""

from topodelin.report.coverage import Coverage
from topodelin.report.projections import Projections, maximum_projections
from topodelin.report.report import write_report
from topodelin.report.stretches import Stretch, stretches

__all__ = [
    "Coverage",
    "Projections",
    "Stretch",
    "maximum_projections",
    "stretches",
    "write_report",
]
