"""The documentation site: ``make docs`` builds it into docs/_build/html."""

from __future__ import annotations

import ast
import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from docutils.nodes import Element, Node, TextElement
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

# autodoc imports Airflow, which sets up its home: not the reader's own.
os.environ["AIRFLOW_HOME"] = _home = tempfile.mkdtemp(prefix="revor-docs-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from airflow_provider_revor import __version__  # noqa: E402

project = "airflow-provider-revor"
author = "The airflow-provider-revor authors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build", "snippets"]
nitpicky = True
# The names of Airflow and of Python: their sites are not asked, so that the build needs no network.
nitpick_ignore_regex = [
    (r"py:.*", r"(airflow|asyncio|requests)\..*"),
    (r"py:exc", r"(Airflow\w+|ValueError|OSError|TimeoutError)"),
]

myst_enable_extensions = ["colon_fence", "deflist", "smartquotes"]
myst_heading_anchors = 4
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = f"airflow-provider-revor {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
# The reference is its own index; the generated one does not fit its page.
html_use_index = False
html_domain_indices = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f6f54", "color-brand-content": "#1f6f54"},
    "dark_css_variables": {"color-brand-primary": "#7fd1b0", "color-brand-content": "#7fd1b0"},
}


# Docstrings name internals, too, which have no page and so no link. A name that is nowhere is a mistake.
OURS = {
    node.name if isinstance(node, ast.ClassDef) else node.id
    for path in (ROOT / "airflow_provider_revor").rglob("*.py")
    for statement in ast.parse(path.read_text(encoding="utf-8")).body
    for node in (ast.walk(statement) if isinstance(statement, ast.Assign) else [statement])
    if isinstance(node, ast.ClassDef) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
}


def resolve_short_name(app: Sphinx, env: BuildEnvironment, node: Element, contnode: TextElement) -> Node | None:
    """Link ``RevorValueError`` in a ``:raises:`` field to the class of that name, whichever module has it."""
    target = node.get("reftarget", "").lstrip(".")
    if node.get("refdomain") != "py" or not target:
        return None
    domain: Any = env.get_domain("py")
    found = {name for name in domain.objects if name.endswith(f".{target}")}
    if len(found) != 1:
        return contnode if not found and target in OURS else None
    entry = domain.objects[found.pop()]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode)


def setup(app: Sphinx) -> None:
    """Connect what this file adds to Sphinx."""
    app.connect("missing-reference", resolve_short_name)
