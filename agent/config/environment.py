"""Reads configuration from environment variables; imported only where one is set, as its library loads asyncio."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

Model = TypeVar("Model", bound=BaseModel)


class BadVariable(Exception):
    """An environment variable does not hold the JSON that its key needs."""


class _Table(InitSettingsSource):
    """A file's table as a settings source of pydantic."""

    def __init__(self, settings_cls: type[BaseSettings], table: dict[str, Any]) -> None:
        super().__init__(settings_cls, init_kwargs=table)


def with_environment(model: type[Model], tables: Sequence[dict[str, Any]], prefix: str) -> Model:
    """Build a configuration from variables `PREFIX_KEY`, nested keys joined by `__`, then from the tables in order.

    Raises BadVariable, and ValidationError for a value that does not fit.
    """

    class FromFiles(model, BaseSettings):  # type: ignore[misc, valid-type]
        model_config = SettingsConfigDict(
            env_prefix=prefix, env_nested_delimiter="__", extra="forbid", frozen=True, use_attribute_docstrings=True
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            return init_settings, env_settings, *(_Table(settings_cls, table) for table in tables)

    try:
        made: Model = FromFiles()
    except SettingsError as exc:
        raise BadVariable(str(exc)) from exc
    return made
