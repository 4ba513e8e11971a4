"""A plan without a look at data."""

from .config_plan import HeadPlan, Plan
from .corpus_paths import place_corpora
from .request import Request

PROPORTIONAL = {"@mtl_samplers": "spacy_mtl.Proportional.v1"}


def plan_from_request(request: Request) -> Plan:
    """Plan the heads and corpora that the request names."""
    plan = Plan([HeadPlan(spec.name, spec.kind, spec.preset, dict(spec.options)) for spec in request.heads])
    if request.corpora:
        plan.corpora, plan.paths = place_corpora(request.corpora, request.label_maps)
        plan.sampler = dict(request.sampler or PROPORTIONAL)
    if request.transformer is not None:
        plan.paths["transformer"] = request.transformer
    return plan
