"""What an export wrote, and what to do with it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Exported:
    """Files for one program.

    Args:
        folder: holds them all.
        paths: what lies in it, most telling first.
        next_step: what to type or click now.
        notes: what is missing or was changed, one line each.
    """

    folder: Path
    paths: tuple[Path, ...]
    next_step: str
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        files = [f"  {path.relative_to(self.folder)}" for path in self.paths]
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([f"wrote {self.folder}", *files, *notes, f"next: {self.next_step}"])
