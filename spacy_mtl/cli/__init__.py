"""`python -m spacy mtl …`: one command a file, each a thin function over a plain one."""

import typer
from spacy.cli._util import app

from .. import registry  # noqa: F401  (so that `spacy find-function` sees the registries)

mtl_cli = typer.Typer(name="mtl", help="Multi-task learning with spacy-mtl.", no_args_is_help=True)
app.add_typer(mtl_cli)

from .affinity import affinity_cli  # noqa: E402
from .average import average_cli  # noqa: E402
from .calibrate import calibrate_cli  # noqa: E402
from .co_train import co_train_cli  # noqa: E402
from .compare import compare_cli  # noqa: E402
from .convert import convert_cli  # noqa: E402
from .debug_data import ALLOW_OVERRIDES, debug_data_cli  # noqa: E402
from .distil import distil_cli  # noqa: E402
from .errors import errors_cli  # noqa: E402
from .evaluate import evaluate_cli  # noqa: E402
from .explain import explain_cli  # noqa: E402
from .export_onnx import export_onnx_cli  # noqa: E402
from .extract import extract_cli  # noqa: E402
from .graph import graph_cli  # noqa: E402
from .heads import heads_cli  # noqa: E402
from .init_config import init_config_cli  # noqa: E402
from .merge import merge_cli  # noqa: E402
from .report import report_cli  # noqa: E402
from .serve import serve_cli  # noqa: E402
from .vectors import vectors_cli  # noqa: E402

mtl_cli.command("affinity", context_settings=ALLOW_OVERRIDES)(affinity_cli)
mtl_cli.command("average")(average_cli)
mtl_cli.command("calibrate")(calibrate_cli)
mtl_cli.command("co-train", context_settings=ALLOW_OVERRIDES)(co_train_cli)
mtl_cli.command("compare", context_settings=ALLOW_OVERRIDES)(compare_cli)
mtl_cli.command("convert")(convert_cli)
mtl_cli.command("debug-data", context_settings=ALLOW_OVERRIDES)(debug_data_cli)
mtl_cli.command("distil", context_settings=ALLOW_OVERRIDES)(distil_cli)
mtl_cli.command("errors")(errors_cli)
mtl_cli.command("evaluate")(evaluate_cli)
mtl_cli.command("explain")(explain_cli)
mtl_cli.command("export-onnx")(export_onnx_cli)
mtl_cli.command("extract")(extract_cli)
mtl_cli.command("graph")(graph_cli)
mtl_cli.add_typer(heads_cli)
mtl_cli.command("init-config")(init_config_cli)
mtl_cli.command("merge")(merge_cli)
mtl_cli.command("report")(report_cli)
mtl_cli.command("serve")(serve_cli)
mtl_cli.command("vectors")(vectors_cli)
