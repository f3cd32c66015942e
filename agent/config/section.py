"""The base of every table of a configuration file."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
