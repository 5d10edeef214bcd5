"""One HTML page that stands alone: pictures and style inside it, no script, nothing to fetch."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light; }
body { font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0.5rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; }
.verdict { font-size: 1.15rem; border-left: 0.3rem solid #0072b2; padding: 0.3rem 0 0.3rem 0.8rem;
           margin: 0.5rem 0 1rem; }
figure { margin: 1rem 0; } figcaption, .note { color: #444; font-size: 0.9rem; }
img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top;
        padding: 0.25rem 0.9rem 0.25rem 0; border-bottom: 1px solid #ddd; overflow-wrap: normal; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
code { font-family: ui-monospace, monospace; font-size: 0.95em; background: #f2f2f2;
       padding: 0.1em 0.3em; }
dt { font-weight: 600; } dd { margin: 0 0 0.4rem; }
ol.next li { margin-bottom: 0.6rem; }
footer { color: #666; font-size: 0.85rem; margin-top: 3rem; border-top: 1px solid #ddd; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole document. `parts` are HTML already; `title` is plain text."""
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def heading(text: str) -> str:
    """The title that a reader sees, from plain text."""
    return f"<h1>{escape(text)}</h1>"


def section(heading: str, parts: Iterable[str]) -> str:
    """A part of the page under its heading."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n" + "\n".join(parts) + "\n</section>"


def paragraph(text: str, kind: str = "") -> str:
    """Plain text as a paragraph; `kind` names a style."""
    attribute = f' class="{escape(kind)}"' if kind else ""
    return f"<p{attribute}>{escape(text)}</p>"


def figure(png: bytes, description: str, caption: str) -> str:
    """A PNG inside the page. `description` is read out to those who cannot see it."""
    source = "data:image/png;base64," + b64encode(png).decode("ascii")
    return (
        f'<figure>\n<img src="{source}" alt="{escape(description)}">\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int]) -> str:
    """A table of plain text; the columns in `numbers` are set to the right."""
    titles = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = []
    for row in rows:
        first, *rest = row
        cells = "".join(
            f'<td class="number">{escape(cell)}</td>'
            if at in numbers
            else f"<td>{escape(cell)}</td>"
            for at, cell in enumerate(rest, start=1)
        )
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    body = "\n".join(lines)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{titles}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def definitions(items: Iterable[tuple[str, str]]) -> str:
    """Names and what they stand for."""
    pairs = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in items)
    return f"<dl>\n{pairs}\n</dl>"


def commands(items: Iterable[tuple[str, str]]) -> str:
    """Numbered steps: what it does, and the command to type."""
    steps = "\n".join(
        f"<li>{escape(what)}<br><code>{escape(command)}</code></li>" for what, command in items
    )
    return f'<ol class="next">\n{steps}\n</ol>'
