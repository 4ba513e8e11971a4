"""The pages of a server: the one to try pipelines in, and the one that describes the API."""

from functools import cache
from typing import Any

from ..report.templating import asset, render

# Files that the pages load, with their types. They are one file each, so that the pages run no script of their own.
STATIC = {
    "report.css": "text/css; charset=utf-8",
    "graph.css": "text/css; charset=utf-8",
    "explain.css": "text/css; charset=utf-8",
    "serve.css": "text/css; charset=utf-8",
    "serve.js": "text/javascript; charset=utf-8",
    "graph_style.js": "text/javascript; charset=utf-8",
    "cytoscape.min.js": "text/javascript; charset=utf-8",
}


@cache
def static_file(name: str) -> str:
    """A file that the pages load."""
    return asset(name)


def main_page(*, needs_token: bool) -> str:
    """The page to try pipelines in. needs_token (bool): Whether it has to ask for a token."""
    return render("serve.html", needs_token=needs_token)


def api_page(schema: dict[str, Any]) -> str:
    """The page that describes the API. schema (dict): As OpenAPI."""
    return render("serve_api.html", schema=schema)
