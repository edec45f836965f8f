"""The files that a pod mounts, made as folders of this machine."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environment import data_of
from .objects import Manifest, Objects


@dataclass(frozen=True, slots=True)
class Mount:
    """One file or folder, and where a container sees it."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of one pod. `claims` holds what outlives it, `account` the files of its service account's token."""

    folder: Path
    claims: Path
    objects: Objects
    group: int | None
    account: Mapping[str, str]

    def make(self, volumes: list[Manifest]) -> dict[str, Path]:
        """Make the folders of all volumes, by name."""
        return {volume["name"]: self._made(volume) for volume in volumes}

    def _made(self, volume: Manifest) -> Path:
        name, [kind] = volume["name"], [key for key in volume if key != "name"]
        folder, source = self.folder / name, volume[kind]
        makers: dict[str, Callable[[Path, Any], Path]] = {
            "emptyDir": self._empty,
            "persistentVolumeClaim": self._claim,
            "configMap": self._config_map,
            "secret": self._secret,
            "projected": self._projected,
        }
        return makers[kind](folder, source)

    def _empty(self, folder: Path, _: Any) -> Path:
        return self._writable(folder)

    def _claim(self, _: Path, source: Any) -> Path:
        return self._writable(self.claims / source["claimName"])

    def _config_map(self, folder: Path, source: Any) -> Path:
        return self._files(folder, source, "ConfigMap", source["name"])

    def _secret(self, folder: Path, source: Any) -> Path:
        return self._files(folder, source, "Secret", source["secretName"])

    def _projected(self, folder: Path, source: Any) -> Path:
        for part in source["sources"]:
            if "serviceAccountToken" in part:
                self._write(folder, {part["serviceAccountToken"]["path"]: self.account["token"].encode()}, 0o644)
            else:
                kind, key = ("Secret", "secret") if "secret" in part else ("ConfigMap", "configMap")
                self._files(folder, {**source, **part[key]}, kind, part[key]["name"])
        return folder

    def _files(self, folder: Path, source: Any, kind: str, name: str) -> Path:
        try:
            data = data_of(self.objects.get(kind, name))
        except KeyError:
            if not source.get("optional"):
                raise
            data = {}
        if items := source.get("items"):
            data = {item["path"]: data[item["key"]] for item in items}
        return self._write(folder, data, source.get("defaultMode", 0o644))

    def account_files(self) -> Path:
        """The folder that the kubelet mounts for a pod whose service account's token is mounted."""
        return self._write(self.folder / "service-account", {k: v.encode() for k, v in self.account.items()}, 0o644)

    def _write(self, folder: Path, data: Mapping[str, bytes], mode: int) -> Path:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        for name, content in data.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(mode if self.group is None else mode | 0o440)
            os.chown(path, 0, self.group or 0)
        return folder

    def _writable(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777 if self.group is None else 0o2775)
        os.chown(folder, 0, self.group or 0)
        return folder

    def remove(self) -> None:
        """Remove what ends with the pod."""
        shutil.rmtree(self.folder, ignore_errors=True)


def mounts_of(container: Manifest, volumes: Mapping[str, Path]) -> list[Mount]:
    """Return what a container mounts, the outer folders first."""
    mounts = [
        Mount(
            volumes[mount["name"]] / mount.get("subPath", ""),
            mount["mountPath"].rstrip("/"),
            mount.get("readOnly", False),
        )
        for mount in container.get("volumeMounts", ())
    ]
    return sorted(mounts, key=lambda mount: mount.target)
