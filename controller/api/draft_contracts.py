"""What the routes of drafts promise; contracts.py joins them to the others."""

from __future__ import annotations

from collections.abc import Mapping

from controller.api.contract import Body, Contract, json_of
from controller.api.drafts import DraftBody
from controller.api.shapes import ANYTHING, named

DRAFT_CONTRACTS: Mapping[tuple[str, str], Contract] = {
    ("GET", "/api/v1/schema"): Contract(
        summary="The JSON Schema of specs, as `workerctl schema` prints it.",
        answers={200: json_of("Draft 7.", ANYTHING)},
        problems=(400,),
    ),
    ("POST", "/api/v1/drafts"): Contract(
        summary="Judge a spec that is being written: what it says, what is wrong, what it would bring.",
        body=Body(schema=DraftBody, required=False),
        answers={200: json_of("What became of the text.", named("Draft"))},
        problems=(400, 404, 409, 415, 422),
    ),
}
