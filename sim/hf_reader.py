"""Typed look-ups in a Hugging Face config, where null means absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.errors import InputError


class ConfigReader:
    """The keys of one config; a key that is missing or of the wrong type is an InputError that names it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def integer(self, key: str, default: int | None = None) -> int:
        """Return the whole number under `key`, or `default` where there is none."""
        value = self._config.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            raise InputError("missing", field=key, remedy="give the complete config.json")
        if type(value) is not int:
            raise InputError("must be a whole number", field=key, value=value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return the truth value under `key`, or `default` where there is none."""
        value = self._config.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InputError("must be true or false", field=key, value=value)
        return value

    def text(self, key: str, default: str) -> str:
        """Return the text under `key`, or `default` where there is none."""
        value = self._config.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise InputError("must be a text", field=key, value=value)
        return value

    def array(self, key: str) -> list[Any]:
        """Return the list under `key`; empty where there is none."""
        value = self._config.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise InputError("must be a list", field=key, value=value)
        return value
