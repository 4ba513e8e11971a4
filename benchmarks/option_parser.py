"""The parser of the benchmarks' scripts, and where the data is: what both folders use."""

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SPACY_MTL_DATA") or ROOT.parent / "shared" / "data")
REQUIRED = object()


def parser_maker(options: Mapping[str, Mapping[str, Any]]) -> Callable[..., argparse.ArgumentParser]:
    """Build the function that makes the parsers of a folder.

    options (Mapping[str, Mapping[str, Any]]): Arguments of `add_argument` by the option's name, without its default.
    """

    def make_parser(text: str | None, **defaults: Any) -> argparse.ArgumentParser:
        """Make a parser with some of the options.

        text (str | None): The docstring of the script.
        defaults (Any): Value of each option that the script has; `REQUIRED` for none.
        """
        parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        for name, default in defaults.items():
            value = {"required": True} if default is REQUIRED else {"default": default}
            parser.add_argument(f"--{name.replace('_', '-')}", **options[name], **value)
        return parser

    return make_parser
