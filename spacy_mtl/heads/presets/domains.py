"""The preset of domain adversaries."""

from .preset import Preset

domain_adversary = Preset(
    head="spacy_mtl.DomainAdversary.v1",
    what="the domain of each doc, which the encoder learns to hide",
    unit="docs",
    settings={"total_steps": "${training.max_steps}"},
    note="max_lambda = 0.0 reverses nothing: the head then only measures",
)
