"""The site: `sphinx-build -W --keep-going docs build/site`.

Nothing is fetched, neither by the build nor by a reader: scripts, styles and the index
of the search lie in the site, and fonts are those of the reader's system.
"""

import sys
from pathlib import Path

import nbformat
from sphinx.application import Sphinx

import fdl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from docs import (  # noqa: E402
    api_pages,
    command_pages,
    example_pages,
    model_pages,
    notebooks,
    signatures,
)

project = "fdl"
author = "the authors of fdl"
copyright = "the authors of fdl, Apache-2.0"
release = fdl.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["build"]

# Pages are Markdown, links to headings included.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
highlight_language = "text"
smartquotes_action = "qe"  # no dashes, which would change the names of options
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# Docstrings name things in single backticks; those of fdl become links.
default_role = "name"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_attr_annotations = False
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries_show_parents = "hide"

# A reference to something of fdl that the site does not have is an error; types of JAX,
# Flax and others are names without links.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?s)(?!fdl\.).*")]

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "fdl"
html_static_path = ["static"]
html_css_files = ["fdl.css"]
html_show_sphinx = False
html_copy_source = False


def setup(app: Sphinx) -> None:
    """Write the generated pages, and shorten signatures."""
    _write(HERE / "examples.md", example_pages.page())
    for folder, pages in (
        ("reference/api", api_pages.pages()),
        ("reference", command_pages.pages()),
        ("models/tasks", model_pages.pages(HERE / "models" / "tasks")),
    ):
        (HERE / folder).mkdir(exist_ok=True)
        for name, text in pages:
            _write(HERE / folder / name, text.rstrip() + "\n")
    app.add_role("name", signatures.Name())
    app.connect("source-read", _complete_tutorial)
    app.connect("autodoc-process-signature", signatures.shorten)
    app.connect("autodoc-skip-member", signatures.skip)
    app.connect("missing-reference", api_pages.resolve)


def _complete_tutorial(app: Sphinx, name: str, source: list[str]) -> None:
    """Add outputs to a tutorial, and offer it as a notebook."""
    if not name.startswith("tutorials/"):
        return
    page = HERE / f"{name}.md"
    _write(page.with_suffix(".ipynb"), nbformat.writes(notebooks.notebook(page)) + "\n")
    title, rest = notebooks.page_with_outputs(page).split("\n", 1)
    link = f"{{download}}`This page as a notebook <{page.stem}.ipynb>`"
    source[0] = f"{title}\n\n{link}\n{rest}"


def _write(file: Path, text: str) -> None:
    """Write a file unless it says so already: Sphinx reads again what is newer."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
