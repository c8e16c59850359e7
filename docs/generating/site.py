"""What mkdocs does differently with the pages: the same files are read in a clone, where the links lead into the code."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
ADDED = {
    "specification.md": "specs/009-adapters/spec.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
"""Pages of the site that stand elsewhere in the repository."""
MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that stand elsewhere."""
    for name, path in ADDED.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_rest: Any) -> str:
    """Show the picture for the diagram, and lead each link to a page of the site or to none."""
    source = ADDED.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    homes = {path: name for name, path in ADDED.items()}
    depth = page.file.src_uri.count("/")

    def led(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        if ":" in target:
            return found[0]
        path = _within(source, target)
        if path in homes:
            return f"[{text}]({'../' * depth}{homes[path]}{anchor})"
        inside = path.removeprefix("docs/")
        if path != inside:
            return f"[{text}]({'../' * depth}{inside}{anchor})"
        if not (ROOT / path).exists():
            return found[0]  # mkdocs says that it leads nowhere
        return text

    return LINK.sub(led, MERMAID.sub(f"![The life of an intent]({'../' * depth}lifecycle.svg)", markdown))


def _within(source: str, target: str) -> str:
    """Return where a link leads, from the repository's root."""
    parts: list[str] = list(Path(source).parent.parts)
    for part in Path(target).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)
