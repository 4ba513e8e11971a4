"""`python -m spacy mtl explain`: which tokens led to what the heads predict."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from spacy.cli._util import import_code, setup_gpu
from spacy.util import load_model
from wasabi import msg
from wasabi.util import color, supports_ansi

from ..explanations.explain import explain, explain_targets
from ..explanations.explanation import Explanation
from ..explanations.side_by_side import make_explanation_page, terminal_lines
from ..protocols.cannot_explain import CannotExplain
from ..report.page import check_output, save_page

COLORS = {"for": "green", "against": "red", "note": "grey"}


def explain_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")],
    text: Annotated[str, typer.Argument(help="Text whose predictions are explained")],
    head: Annotated[str | None, typer.Option("--head", help="Explain this head alone")] = None,
    method: Annotated[
        str, typer.Option("--method", help="integrated_gradients, gradient_x_input, occlusion or attention")
    ] = "integrated_gradients",
    target: Annotated[
        str | None, typer.Option("--target", help="What to explain, such as PlayMusic, artist[2:4] or NOUN[3]")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Maximum number of targets of a head")] = 10,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="HTML file to write as well")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")] = False,
    component: Annotated[
        str | None, typer.Option("--component", help="Component of the heads, if several have heads")
    ] = None,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipeline needs")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU")] = -1,
) -> None:
    """Show which tokens led to what the heads predict in a text.

    Without --head, the first prediction of each head is explained, all heads side by side. With --head alone, all that
    the head predicts. --target also takes what the head did not predict, such as another class.

    Numbers are in the unit of the target, mostly nats of log-odds: what a token adds for the target, or with a minus
    takes away from it. The table is coloured in a terminal and plain in a pipe, or if NO_COLOR is set.

    \b
    Examples (each after: python -m spacy mtl explain):
      training/model-best "play some jazz by miles davis"
      training/model-best "play some jazz by miles davis" --head slots --target "artist[4:6]"
      training/model-best "play some jazz by miles davis" --method occlusion --output explained.html
    """
    import_code(code)
    setup_gpu(gpu_id, silent=True)
    settings: dict[str, Any] = {"method": method, "component": component}
    try:
        if output is not None:
            check_output(output)
        nlp = load_model(model)
    except (ValueError, OSError) as error:
        msg.fail("Nothing was explained", str(error), exits=1)
    try:
        # another error is a fault of the pipeline, and its trace says where
        found = explain_text(nlp, text, head, target, limit, settings)
        if output is not None:
            save_page(make_explanation_page(found, model=Path(model).name), output)
    except (CannotExplain, OSError) as error:
        msg.fail("Nothing was explained", str(error), exits=1)
    if as_json:
        print(json.dumps([explanation.as_dict() for explanation in found], indent=2, ensure_ascii=False))
    else:
        for line in terminal_lines(found, paint):
            print(line)
    if output is not None and not as_json:
        msg.good("Wrote the page", str(output))


def explain_text(
    nlp: Any, text: str, head: str | None, target: str | None, limit: int, settings: dict[str, Any]
) -> list[Explanation]:
    """Explain a target, all that a head predicts, or the first prediction of each head."""
    if head is None:
        found = explain(nlp, text, None, target=target, **settings)
        if not found:
            raise CannotExplain(
                "no head that the method can explain has found anything in this text; name --head and --target"
            )
        return list(found.values())
    names: Sequence[str | None] = [target]
    if target is None:
        listed = explain_targets(nlp, text, component=settings["component"]).get(head, [])
        names = listed[:limit] or names
    return [explain(nlp, text, head, target=name, **settings) for name in names]


def paint(text: str, kind: str) -> str:
    """Colour the text if this is a terminal."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or not supports_ansi():
        return text
    return str(color(text, fg=COLORS.get(kind), bold=kind == "head"))
