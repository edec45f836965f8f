"""What stands in for a container image: programs of this machine and their environment."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Image:
    """The environment of the tests, in which the programs named in `instead` are others: each a whole command."""

    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    more_paths: tuple[Path, ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """What an image's ENV would set."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{_SYSTEM_PATH}",
            "PYTHONPATH": ":".join(str(REPOSITORY / part) for part in ("client", "service", "proto", ".")),
            "HOME": "/tmp",  # noqa: S108 - as in the images
            **self.environment,
        }

    @property
    def paths(self) -> list[Path]:
        """What has to be there, whatever the pod mounts over it: our code, Python, and its packages."""
        paths = {REPOSITORY, Path(sys.prefix), Path(sys.base_prefix), *self.more_paths}
        return [path for path in sorted(paths) if not paths.intersection(path.parents)]

    def command(self, command: list[str]) -> list[str]:
        """Return the command that runs in place of this one."""
        program, *arguments = command
        if program in self.instead:
            return [*self.instead[program], *arguments]
        if shutil.which(program, path=self.variables["PATH"]) is None:
            raise FileNotFoundError(f"no program {program} stands in for the image's")
        return command
