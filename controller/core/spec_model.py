"""What all models of the spec language have in common. Used by spec.py and spec_processes.py; others import spec.py."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

DNS_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
DAY_MS = 86_400_000

WorkerId = Annotated[str, StringConstraints(pattern=DNS_LABEL)]
EnvName = Annotated[str, StringConstraints(pattern=ENV_NAME)]
Text = Annotated[str, StringConstraints(min_length=1)]


class Model(BaseModel):
    """Strict and frozen: `"3"` is not 3, an unknown field is an error, nothing changes after reading."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", validate_default=False)
