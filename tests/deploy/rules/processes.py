"""What a container's process makes of its environment: forefill's own settings, read by forefill itself."""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args
from unittest.mock import patch

from forefill_service.cli import parsed
from forefill_service.settings import Flags, Settings
from pydantic import FilePath, SecretStr
from pydantic.fields import FieldInfo

from tests.deploy.manifest import Manifest, Object
from tests.deploy.rules.arguments import command_line

PREFIX = "FOREFILL_"
KNOWN = {PREFIX + name.upper(): field for name, field in Flags.model_fields.items()}
"""Every variable that forefill-server reads."""
PATHS = {name for name, field in KNOWN.items() if {Path, FilePath} & {field.annotation, *get_args(field.annotation)}}
SECRETS = {name for name, field in KNOWN.items() if field.annotation is SecretStr}


def is_forefill(container: Object) -> bool:
    """Return whether a container runs forefill-server."""
    return command_line(container)[:1] == ["forefill-server"]


def forefill_settings(manifest: Manifest, container: Object) -> Settings:
    """Return the settings that the server would have. Raises ValidationError or SettingsError as it would."""
    return _settings(frozenset(manifest.environment(container).items()), tuple(command_line(container)[1:]))


@cache
def _settings(environment: frozenset[tuple[str, str]], arguments: tuple[str, ...]) -> Settings:
    with TemporaryDirectory() as directory:
        there = {name: _existing(KNOWN.get(name), value, directory) for name, value in environment}
        with patch.dict(os.environ, there, clear=True):
            return parsed(list(arguments))


def _existing(field: FieldInfo | None, value: str, directory: str) -> str:
    """Return a path that exists, if a setting must name one: its volume is there only in a cluster."""
    if field is None or FilePath not in (field.annotation, *get_args(field.annotation)):
        return value
    path = Path(directory, Path(value).name)
    path.touch()
    return str(path)
