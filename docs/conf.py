"""Settings of the site: Sphinx, MyST for Markdown, the theme Furo. `make docs` builds it into site/."""

import shutil
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx

project = "spacy-mtl"
author = "spacy-mtl contributors"
version = release = metadata.version("spacy-mtl")

extensions = ["myst_parser"]
myst_heading_anchors = 4
exclude_patterns = ["benchmarks"]
nitpicky = True
smartquotes = False  # it would turn --option into a dash

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = f"spacy-mtl {version}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"footer_icons": []}


def setup(app: Sphinx) -> None:
    """Copy the pictures that stand in HTML, where Sphinx does not look for them."""
    app.connect("build-finished", copy_images)


def copy_images(app: Sphinx, error: Exception | None) -> None:
    """Copy docs/images into the site."""
    shutil.copytree(Path(app.srcdir) / "images", Path(app.outdir) / "images", dirs_exist_ok=True)
