"""What requests to the API look like."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

EXAMPLES = ["play some jazz by miles davis", "what is the weather in Berlin?"]


class ParseRequest(BaseModel):
    """Texts to read."""

    model_config = ConfigDict(extra="forbid")
    texts: Annotated[list[str], Field(description="The texts", examples=[EXAMPLES])]
    model: Annotated[str | None, Field(description="Name of the pipeline; null for the first one")] = None
    confidence: Annotated[bool, Field(description="Also give how sure each head is of each text, as `confidence`")] = (
        False
    )
    sets: Annotated[
        bool,
        Field(description="Also give prediction sets, as `set`, of heads that were calibrated with a coverage"),
    ] = False


class ExplainRequest(BaseModel):
    """A prediction to explain."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(description="The text", examples=EXAMPLES)]
    head: Annotated[str, Field(description="Name of the head", examples=["intent"])]
    target: Annotated[
        str | None,
        Field(description="What to explain, such as PlayMusic or artist[2:4]; null for the head's first prediction"),
    ] = None
    method: Annotated[str, Field(description="integrated_gradients, gradient_x_input, occlusion or attention")] = (
        "integrated_gradients"
    )
    model: Annotated[str | None, Field(description="Name of the pipeline; null for the first one")] = None
