"""Imports run one way only, and plug points do not import what plugs into them."""

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import spacy_mtl

PACKAGE = Path(spacy_mtl.__file__).parent
SHARED = {
    "config_mappings",
    "extras",
    "gold",
    "gold_cats",
    "gold_relations",
    "origin",
    "protocols",
    "relation",
    "teaching",
}
# What each room, or top-level module, may import from the rest of the package.
ALLOWED = {
    "__init__": {"displacy_relations", "explanations", "protocols", "prediction_set", "registry", "relation"},
    "registry": set(),
    "config_mappings": set(),
    "extras": set(),
    "gold": set(),
    "gold_cats": {"gold"},
    "gold_relations": {"gold", "relation"},
    "origin": set(),
    "teaching": {"protocols"},
    "relation": set(),
    "annotation_scores": set(),
    "head_keys": set(),
    "prediction_set": {"head_keys"},
    "all_entities": set(),
    "displacy_relations": {"all_entities", "relation"},
    "arrays_file": set(),
    "whole_folder": set(),
    "threads": set(),
    "protocols": set(),
    "layers": SHARED,
    "metrics": SHARED,
    "crf": {*SHARED, "layers"},
    "encoders": {*SHARED, "layers", "threads"},
    "encoders/hash_embed_cnn": {*SHARED, "layers", "threads"},
    "encoders/transformer": {*SHARED, "layers", "threads"},
    "onnx": {*SHARED, "layers", "threads", "whole_folder", "encoders/hash_embed_cnn"},
    "heads/bases": {*SHARED, "layers", "metrics"},
    "heads/presets": SHARED,
    "heads": {*SHARED, "layers", "crf", "metrics", "heads/bases"},
    "heads/dependency_parser": {*SHARED, "layers", "metrics", "heads/bases"},
    "heads/doc_classifier": {*SHARED, "layers", "metrics", "heads/bases"},
    "heads/domain_adversary": {*SHARED, "layers", "heads/bases"},
    "heads/lemmatizer": {*SHARED, "layers", "metrics", "heads/bases"},
    "heads/regressor": {*SHARED, "layers", "metrics", "heads/bases"},
    "heads/relation_extractor": {*SHARED, "layers", "metrics", "heads/bases"},
    "heads/span_classifier": {*SHARED, "layers", "crf", "metrics", "heads/bases"},
    "sharing": {*SHARED, "layers"},
    "balance": SHARED,
    "weightings": {*SHARED, "balance"},
    "samplers": SHARED,
    "optimizers": {*SHARED, "threads"},
    "readers": {*SHARED, "arrays_file", "samplers", "registry"},
    "augmenters": SHARED,
    "batchers": SHARED,
    "converters": {"all_entities", "relation"},
    "network": {*SHARED, "layers", "threads"},
    "pipeline": {
        *SHARED,
        "annotation_scores",
        "prediction_set",
        "registry",
        "threads",
        "whole_folder",
        "layers",
        "balance",
        "optimizers",
        "network",
    },
    "explanations": {*SHARED, "threads", "network", "pipeline", "report"},
    "serving": {*SHARED, "__init__", "head_keys", "prediction_set", "explanations", "pipeline", "report"},
    "training": {*SHARED, "optimizers", "pipeline"},
    "experiments": {*SHARED, "arrays_file", "optimizers", "pipeline", "readers", "training"},
    "comparison": {*SHARED, "pipeline", "readers", "experiments"},
    "debug_data": {*SHARED, "pipeline", "readers", "experiments"},
    "config_writer": {*SHARED, "registry", "pipeline", "readers", "debug_data"},
    "cotraining": {*SHARED, "whole_folder", "calibration", "pipeline", "readers", "experiments"},
    "distillation": {
        *SHARED,
        "whole_folder",
        "augmenters",
        "layers",
        "pipeline",
        "readers",
        "experiments",
        "cotraining",
    },
    "averaging": {*SHARED, "head_keys", "readers", "whole_folder"},
    "report": {*SHARED, "registry", "pipeline", "readers", "experiments", "comparison"},
    "report/sections": {*SHARED, "balance", "comparison", "explanations", "report"},
    "calibration": {*SHARED, "head_keys", "pipeline", "readers", "whole_folder"},
    "teacher_vectors": {*SHARED, "readers", "whole_folder", "encoders/hash_embed_cnn", "encoders/transformer"},
    "graph": {*SHARED, "all_entities", "readers", "report"},
    "affinity": {*SHARED, "balance", "optimizers", "network", "pipeline", "training", "experiments", "report"},
    "cli": {
        "registry",
        "affinity",
        "averaging",
        "calibration",
        "comparison",
        "config_writer",
        "converters",
        "cotraining",
        "debug_data",
        "distillation",
        "experiments",
        "explanations",
        "graph",
        "onnx",
        "pipeline",
        "protocols",
        "relation",
        "report",
        "serving",
        "encoders/hash_embed_cnn",
        "encoders/transformer",
        "teacher_vectors",
        "whole_folder",
    },
}
# A new head, weighting, sampler, sharing layer or section must not need another one.
PLUG_INS = ("heads", "weightings", "samplers", "sharing", "report/sections")
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(parts):
    """The room of a module: its folder in the package, one level deeper for encoders, heads and sections of the report;
    itself at the top level.

    parts: the path in the package without the suffix, such as ("crf", "viterbi").
    """
    if parts[0] in ("encoders", "heads", "report") and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def own_parts(path):
    """The path of a module in the package, without the suffix."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def imported_rooms(path):
    """The rooms of the package that a module imports from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom):
            base = own_parts(path)[: -node.level] if node.level else ()
            module = tuple((node.module or "").split(".")) if node.module else ()
            if not node.level:
                if module[:1] != ("spacy_mtl",):
                    continue
                module = module[1:]
            for alias in node.names:
                target = (*base, *module, alias.name)
                is_module = (PACKAGE.joinpath(*target).with_suffix(".py")).exists()
                yield room_of(target if is_module else (target[:-1] or ("__init__",)))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    room = room_of(own_parts(path))
    assert set(imported_rooms(path)) - {room} <= ALLOWED[room]


def test_what_is_allowed_has_no_circle():
    done = set()
    while len(done) < len(ALLOWED):
        ready = {room for room, others in ALLOWED.items() if others <= done} - done
        assert ready, f"these rooms import each other in a circle: {sorted(set(ALLOWED) - done)}"
        done |= ready


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_plug_ins_do_not_import_each_other(path):
    room = room_of(own_parts(path))
    if room in PLUG_INS:
        assert room not in imported_rooms(path)


def test_no_room_holds_a_fifth_of_the_code():
    lines = Counter()
    for path in MODULES:
        lines[room_of(own_parts(path))] += len(path.read_text(encoding="utf8").splitlines())
    room, most = lines.most_common(1)[0]
    assert most < sum(lines.values()) / 5, f"{room} has {most} of {sum(lines.values())} lines; split it"


def test_tests_mirror_the_package():
    tests = Path(__file__).parent
    rooms = {str(path.parent.relative_to(PACKAGE)) for path in MODULES}
    folders = {str(path.parent.relative_to(tests)) for path in tests.rglob("test_*.py")}
    assert folders - {".", "benchmarks", "assets"} <= rooms


def test_no_two_modules_have_one_name():
    names = defaultdict(list)
    for path in MODULES:
        if path.stem != "__init__" and room_of(own_parts(path)) != "cli":  # a command is named as what it runs
            names[path.stem].append(str(path.relative_to(PACKAGE)))
    assert {stem: paths for stem, paths in names.items() if len(paths) > 1} == {}
