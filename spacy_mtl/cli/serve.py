"""`python -m spacy mtl serve`: trained pipelines over HTTP."""

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, setup_gpu
from spacy.language import Language
from spacy.util import load_model
from wasabi import msg

from ..serving.limits import Limits

DEFAULTS = Limits()


def serve_cli(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package")],
    other: Annotated[
        str | None, typer.Argument(metavar="[MODEL_B]", help="Second pipeline, to see both side by side")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to bind to; 0.0.0.0 lets other machines in")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Port, or 0 for any free one")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", envvar="SPACY_MTL_TOKEN", help="Token that requests must carry (the variable hides it from ps)"
        ),
    ] = None,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", help="Name that requests may use for this server; may be repeated"),
    ] = None,
    max_body: Annotated[
        int, typer.Option(min=1, help="Maximum number of bytes of a request's body")
    ] = DEFAULTS.max_body,
    max_texts: Annotated[int, typer.Option(min=1, help="Maximum number of texts in a request")] = DEFAULTS.max_texts,
    max_characters: Annotated[
        int, typer.Option(min=1, help="Maximum number of characters of a text")
    ] = DEFAULTS.max_characters,
    max_explained: Annotated[
        int, typer.Option(min=1, help="Maximum number of characters of a text to explain")
    ] = DEFAULTS.max_explained,
    max_queue: Annotated[int, typer.Option(min=1, help="Maximum number of texts that wait")] = DEFAULTS.max_queue,
    max_requests: Annotated[
        int, typer.Option(min=1, help="Maximum number of requests in progress")
    ] = DEFAULTS.max_requests,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for a body to arrive, and again for its answer")
    ] = DEFAULTS.timeout,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Maximum number of texts that are read together")
    ] = DEFAULTS.batch_size,
    batch_delay: Annotated[
        float, typer.Option(min=0.0, help="Milliseconds that a text waits for others to be read with")
    ] = 1000 * DEFAULTS.batch_delay,
    code: Annotated[
        Path | None, typer.Option("--code", "-c", help="Python file with functions that the pipelines need")
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU")] = -1,
) -> None:
    """Serve one or two trained pipelines over HTTP: a page to try them in, and a JSON API.

    The page shows what each head finds in a text, how sure it is, and which words led to it. The API takes texts in
    batches; texts of requests that come at the same time are read together. /docs describes it, /metrics counts for
    Prometheus, and /health says that the server is up.

    The server is bound to this machine unless --host says otherwise. It speaks HTTP without encryption: where others
    reach it, set a token, and put a proxy with TLS in front. SIGTERM and Ctrl+C stop it once all requests are answered.

    The command needs the extra serve: pip install 'spacy-mtl[serve]'

    \b
    Examples (each after: python -m spacy mtl serve):
      training/model-best
      training/model-best training/other/model-best --port 9000
      training/model-best --host 0.0.0.0 --allowed-host nlp.example.org
    """
    try:
        from ..serving.server import serve
    except ImportError as error:
        msg.fail("fastapi and uvicorn are needed", f"{error}: pip install 'spacy-mtl[serve]'", exits=1)
    import_code(code)

    def load(name: str) -> Language:
        setup_gpu(gpu_id, silent=True)
        return load_model(name)

    try:
        limits = Limits(
            max_body=max_body,
            max_texts=max_texts,
            max_characters=max_characters,
            max_explained=max_explained,
            max_queue=max_queue,
            max_requests=max_requests,
            timeout=timeout,
            batch_size=batch_size,
            batch_delay=batch_delay / 1000,
        )
        models = [model] if other is None else [model, other]
        serve(models, load, host=host, port=port, limits=limits, token=token or None, allowed_hosts=allowed_hosts or ())
    except (ValueError, OSError) as error:
        msg.fail("The pipeline was not served", str(error), exits=1)
