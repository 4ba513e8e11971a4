"""Whether a new measurement is slower than the one that is kept: ratios are compared, not times.

    git show HEAD:docs/benchmarks/pipelines-snips.json > kept.json
    python benchmarks/speed/compare_with_kept.py kept.json docs/benchmarks/pipelines-snips.json

Exit code 1 if a ratio has fallen by more than the tolerance, or is missing.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speed_options import make_parser


def main() -> None:
    parser = make_parser(
        __doc__,
    )
    parser.add_argument("kept", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.2, help="share by which a ratio may fall")
    args = parser.parse_args()
    kept, new = (dict(ratios(json.loads(path.read_text(encoding="utf8")))) for path in (args.kept, args.new))
    fallen = {name: (ratio, new.get(name, 0.0)) for name, ratio in kept.items()}
    fallen = {name: pair for name, pair in fallen.items() if pair[1] < (1.0 - args.tolerance) * pair[0]}
    for name, (before, after) in fallen.items():
        print(f"slower: {name}: {before:.2f} before, {after:.2f} now")
    print(f"{len(kept) - len(fallen)} of {len(kept)} ratios are within {args.tolerance:.0%} of what they were")
    sys.exit(1 if fallen else 0)


def ratios(results: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every median ratio by its place in the results."""
    if isinstance(results, dict):
        if "ratio" in results:
            yield path, results["ratio"]["median"]
        for key, value in results.items():
            yield from ratios(value, f"{path}/{key}")


if __name__ == "__main__":
    main()
