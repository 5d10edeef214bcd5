"""Tables for people: columns side by side."""

from collections.abc import Sequence


def aligned(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: int = 1,
    below: Sequence[str] = (),
) -> str:
    """The first `words` columns to the left, as wide as their widest cell, the others to the right.

    Args:
        header: a word for each column.
        rows: a cell for each column.
        words: number of columns that hold words.
        below: one text for each row, put in a line of its own under the last column.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if number < words else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
    if below:
        indent = " " * (sum(widths[:-1]) + 2 * len(widths[:-1]))
        pairs = zip(lines[1:], below, strict=True)
        lines[1:] = [line for row, text in pairs for line in (row, f"{indent}{text}")]
    return "\n".join(lines)
