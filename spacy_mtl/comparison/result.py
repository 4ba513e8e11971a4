"""The result of a comparison: the contents of `report.json`, as dataclasses.

`report.json` is one object with the fields of `Comparison`, keys in alphabetical order, numbers rounded to 6 decimals,
and null where a value does not exist. The same inputs give the same bytes, apart from the one section `"measured"`.
It holds everything that differs from run to run:

    "measured": {
        "date": "2026-01-31",
        "costs": {"joint": {"train_seconds": 61.2, "words_per_second": 12345.0, "memory_bytes": 512000000}},
        "runs": {"joint-seed0-0123456789ab": {"cost": {"train_seconds": 61.2}, "dev": {"speed": 12345.0}}}
    }

`from_json` puts these values back into `date`, `costs` and `runs`, so that a reader of the dataclasses never sees the
section.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

FORMAT = 1
DIGITS = 6
# times and sizes of processes, which no two runs share; "speed" is the key under which nlp.evaluate reports words/s
MEASURED = frozenset({"train_seconds", "words_per_second", "memory_bytes", "speed"})
VerdictT = Literal["helped", "hurt", "no difference shown", "not measured"]
JsonT = dict[str, Any]
_T = TypeVar("_T")


@dataclass
class HeadSummary:
    """A head, and how much gold it has.

    name (str): Its key under `[components.multitask.heads]`.
    kind (str): The registered name of what builds it, such as "spacy_mtl.Tagger.v1".
    metric (str): The score that it is judged by, such as "intent_acc".
    alone_with (list[str]): The heads that stay with it when it is trained alone, since it is conditioned on them or
        decoded with them.
    n_train, n_dev, n_test (int): Number of docs with its gold.
    """

    name: str
    kind: str
    metric: str
    alone_with: list[str]
    n_train: int
    n_dev: int
    n_test: int


@dataclass
class Difference:
    """One head's score in one system against its score in another, on one split.

    head (str): Name of the head.
    system, baseline (str): Names of the systems: "joint" and "intent alone"; also "intent+slots", "without intent".
    split (str): "dev" or "test".
    metric (str): The head's main score, such as "intent_acc".
    scores, baseline_scores (list[float | None]): The score of each seed, from 0 to 1; None if the run failed.
    difference (float | None): Mean of `scores` minus mean of `baseline_scores`. This and the five below are None if
        nothing was measured.
    low, high (float | None): The 95 % confidence interval of the difference, not corrected for the number of heads.
    p (float | None): Two-sided p value of "there is no difference".
    p_corrected (float | None): The same after Holm's correction over the heads of this comparison.
    detectable (float | None): The smallest true difference that would have been shown in 80 % of such comparisons, at
        the level that holds for all heads together.
    verdict (str): "helped", "hurt", "no difference shown" or "not measured".
    reason (str): What limits the verdict, such as a single seed, or why nothing was measured; may be empty.
    support (int): Number of docs with the head's gold.
    """

    head: str
    system: str
    baseline: str
    split: str
    metric: str
    scores: list[float | None]
    baseline_scores: list[float | None]
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    detectable: float | None
    verdict: VerdictT
    reason: str
    support: int


@dataclass
class Interval:
    """A value with its 95 % confidence interval; all None if it could not be measured."""

    value: float | None
    low: float | None
    high: float | None


@dataclass
class Cost:
    """The cost of a pipeline, or of all single-task pipelines together, which add up.

    system (str): "joint", or "intent alone" and its like; "single" for the sum of all pipelines of one task.
    parameters (int | None): Number of weights.
    bytes (int | None): Size of the saved pipeline.
    train_seconds, words_per_second, memory_bytes (float | None): Training time, speed of prediction and peak memory,
        measured. These three stand in "measured".
    """

    system: str
    parameters: int | None
    bytes: int | None
    train_seconds: float | None = None
    words_per_second: float | None = None
    memory_bytes: float | None = None


@dataclass
class RunSummary:
    """A training: one system with one seed.

    name (str): Unique, the name of its folder.
    system (str): The system that it trains.
    heads (list[str]): The heads in it.
    seed (int): Its seed.
    folder (str): Its folder, relative to that of `report.json`.
    status (str): "finished" or "failed".
    message (str): Why it failed; empty if it did not.
    scores (dict[str, dict[str, Any]]): For "dev" and "test" what `nlp.evaluate` gave.
    cost (dict[str, float | None]): "parameters", "bytes", "train_seconds", "train_words", "steps", "best_step".
    """

    name: str
    system: str
    heads: list[str]
    seed: int
    folder: str
    status: Literal["finished", "failed"]
    message: str
    scores: dict[str, dict[str, Any]]
    cost: dict[str, float | None]


@dataclass
class Failure:
    """A run that gave nothing to compare.

    run (str): Its name.
    message (str): What went wrong, and the fix.
    """

    run: str
    message: str


@dataclass
class Comparison:
    """A multi-task config against its single-task versions: all that `report.json` holds.

    title (str): Title of the report.
    config (str): File name of the config, without folders.
    lang (str): Language of the pipeline.
    heads (list[HeadSummary]): In the order of the config.
    corpora (dict[str, Any]): What each corpus gave to which head, by split: {"train": {"news": {"docs": 80, "words":
        900, "heads": {"slots": {"docs": 40, "units": 450}}}}}, where docs have the head's gold and units are annotated
        docs or tokens; units are null but for train.
    budget (dict[str, Any]): What every run may use: {"unit": "steps", "steps": 2400}.
    seeds (list[int]): The seeds of each system.
    method (str): The statistical test in a sentence, with its source.
    alpha (float): The probability of any false verdict over all heads that is accepted, 0.05.
    differences (list[Difference]): One a head, split and pair of systems.
    relative_improvement (dict[str, Interval]): For "dev" and "test" Δm of joint training: the mean over the heads of
        the relative change of their score, as a share of 1.
    costs (list[Cost]): One a system.
    runs (list[RunSummary]): All trainings.
    failures (list[Failure]): Runs that failed.
    versions (dict[str, str]): Versions of Python and of the packages that determine the result.
    date (str): When the comparison was made; stands in "measured".
    format (int): Number of the file format.
    """

    title: str
    config: str
    lang: str
    heads: list[HeadSummary]
    corpora: dict[str, Any]
    budget: dict[str, Any]
    seeds: list[int]
    method: str
    alpha: float
    differences: list[Difference]
    relative_improvement: dict[str, Interval]
    costs: list[Cost]
    runs: list[RunSummary]
    failures: list[Failure] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    format: int = FORMAT

    def to_json(self) -> str:
        """The text of `report.json`. NaN and infinite numbers become null."""
        return json.dumps(to_plain(self), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str | Path = "report.json") -> "Comparison":
        """Read what `to_json` wrote.

        source (str | Path): The file that the text is from, for errors.
        Raises a ValueError if the text is no complete result, or one of another format.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise _broken(source, f"it is no JSON ({error})") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            found = data.get("format") if isinstance(data, dict) else type(data).__name__
            raise ValueError(
                f"{source}: its format is {found!r}, expected {FORMAT}; read it with the version of spacy-mtl that "
                "wrote it, or run mtl compare again"
            )
        try:
            return _from_plain(cls, _merge_measured(data), "")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _broken(source, str(error)) from error


def write_comparison(comparison: Comparison, path: str | Path) -> None:
    """Write `report.json`."""
    Path(path).write_text(comparison.to_json(), encoding="utf8", newline="\n")


def read_comparison(path: str | Path) -> Comparison:
    """Read `report.json`. Raises a ValueError that names the file if it is missing, broken or of another format."""
    try:
        text = Path(path).read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path, f"it can't be read ({error})") from error
    return Comparison.from_json(text, path)


def to_plain(comparison: Comparison) -> JsonT:
    """The object of `report.json`: rounded, with all times in "measured"."""
    data = round_numbers(asdict(comparison))
    measured: JsonT = {"date": data.pop("date"), "costs": {}, "runs": {}}
    for cost in data["costs"]:
        measured["costs"][cost["system"]] = _take_measured(cost)
    for run in data["runs"]:
        parts = {"cost": run["cost"], **run["scores"]}
        measured["runs"][run["name"]] = {name: _take_measured(part) for name, part in parts.items()}
    return {**data, "measured": measured}


def round_numbers(value: Any) -> Any:
    """The value with all numbers in it as JSON has them: rounded floats, None where there is no number."""
    if isinstance(value, Mapping):
        return {str(key): round_numbers(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [round_numbers(part) for part in value]
    if isinstance(value, float):
        return round(float(value), DIGITS) + 0.0 if math.isfinite(value) else None  # + 0.0: there is no -0.0
    return value


def _take_measured(part: JsonT) -> JsonT:
    return {key: part.pop(key) for key in sorted(MEASURED & part.keys())}


def _merge_measured(data: JsonT) -> JsonT:
    """The object of `report.json` with all times where the dataclasses have them."""
    measured = data.pop("measured")
    for cost in data["costs"]:
        cost.update(measured["costs"][cost["system"]])
    for run in data["runs"]:
        for name, part in {"cost": run["cost"], **run["scores"]}.items():
            part.update(measured["runs"][run["name"]][name])
    return {**data, "date": measured["date"]}


def _from_plain(expected: type[_T], data: Any, place: str) -> _T:
    """Build a dataclass from the object that JSON has for it. Raises a ValueError that names the place of a mistake."""
    if not isinstance(data, dict):
        raise ValueError(f"{place or 'the whole'} is {type(data).__name__}, expected an object")
    names = {part.name for part in fields(expected)}  # type: ignore[arg-type]
    if data.keys() != names:
        missing, unknown = sorted(names - data.keys()), sorted(data.keys() - names)
        raise ValueError(f"{place or 'the whole'} lacks {missing} and has the unknown fields {unknown}")
    hints = get_type_hints(expected)
    return expected(**{name: _read(hints[name], data[name], f"{place}.{name}".lstrip(".")) for name in names})


def _read(expected: Any, value: Any, place: str) -> Any:
    """A value of JSON as its type hint wants it."""
    origin, args = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):  # only `X | None`
        return None if value is None else _read(next(arg for arg in args if arg is not NoneType), value, place)
    if origin is Literal:
        return _checked(value in args, value, place, f"one of {list(args)}")
    if origin is list:
        _checked(isinstance(value, list), value, place, "a list")
        return [_read(args[0], part, f"{place}[{index}]") for index, part in enumerate(value)]
    if origin is dict:
        _checked(isinstance(value, dict), value, place, "an object")
        return {key: _read(args[1], part, f"{place}.{key}") for key, part in value.items()}
    if is_dataclass(expected):
        return _from_plain(expected, value, place)  # type: ignore[arg-type]
    if expected is float:
        return _checked(isinstance(value, int | float) and not isinstance(value, bool), value, place, "a number")
    return value if expected is Any else _checked(type(value) is expected, value, place, expected.__name__)


def _checked(condition: bool, value: Any, place: str, wanted: str) -> Any:
    if not condition:
        raise ValueError(f"{place} is {value!r}, expected {wanted}")
    return value


def _broken(source: str | Path, problem: str) -> ValueError:
    return ValueError(
        f"{source}: this is no complete result of mtl compare: {problem}; run mtl compare again to write it"
    )
