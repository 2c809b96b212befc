"""Business Unit: AWS adapters | Status: current.

A function's environment as a model: each handler declares what it needs, and a missing or malformed variable is named at
start. Nothing else in the library reads `os.environ`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from shadow.contracts.errors import ConfigurationError, faults_of


class Environment(BaseModel):
    """Base of a handler's environment. A field `pair_ledger_table_name` is read from `PAIR_LEDGER_TABLE_NAME`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str = "dev"

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raises `ConfigurationError` that names every faulty variable."""
        values = {name: os.environ[name.upper()] for name in cls.model_fields if name.upper() in os.environ}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError(
                "environment: " + "; ".join(f"{f.field.upper()}: expected {f.expected}, was {f.found}" for f in faults_of(error))
            ) from None


def text_of(variable: str, path: str) -> str:
    """Read the file that a variable names: by its path, or by its name alone where it lies in a layer's folder `python`.

    Raises `ConfigurationError` that names the variable.
    """
    folders = sys.path if path and Path(path).name == path else []
    found = next((place for place in (Path(path), *(Path(folder, path) for folder in folders)) if place.is_file()), None)
    try:
        return (found or Path(path)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{variable}: expected a readable file, was {path} ({type(error).__name__})") from None
