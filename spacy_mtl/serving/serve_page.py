"""The pages of a server: the one to try pipelines in, and the one that describes the API."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from ..report.templating import asset, render

# Files that the pages load, with their types. They are one file each, so that the pages run no script of their own.
STATIC = {
    "report.css": "text/css; charset=utf-8",
    "graph.css": "text/css; charset=utf-8",
    "explain.css": "text/css; charset=utf-8",
    "serve.css": "text/css; charset=utf-8",
    "serve.js": "text/javascript; charset=utf-8",
    "serve_forms.js": "text/javascript; charset=utf-8",
    "serve_tree.js": "text/javascript; charset=utf-8",
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


def api_page(schema: Mapping[str, Any], *, base: str, needs_token: bool) -> str:
    """The page that describes the API.

    schema (Mapping[str, Any]): As OpenAPI.
    base (str): The address of the server.
    """
    return render(
        "serve_api.html",
        schema=schema,
        base=base,
        needs_token=needs_token,
        code=mark_code,
        type_of=type_of,
        example_of=example_of,
    )


def mark_code(text: str) -> Markup:
    """Mark what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def type_of(field: Mapping[str, Any]) -> str:
    """The type of a field of a body."""
    kinds = [one["type"] for one in field.get("anyOf", [field]) if one["type"] != "null"]
    return f"array of {field['items']['type']}s" if kinds == ["array"] else " or ".join(kinds)


def example_of(body: Mapping[str, Any]) -> str:
    """A body with the example of each field that is needed."""
    fields = body["properties"]
    return json.dumps({name: fields[name]["examples"][0] for name in body["required"]})
