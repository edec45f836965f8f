"""Write the pip.conf of a build of images: how pip is configured here, as far as it says where packages are.

image_pip.py PIP_CONF: writes PIP_CONF and prints the directories of this machine that it names, one a line. The build
has them below /mnt, and the certificates that pip trusts here as /run/secrets/ca.
"""

import ast
import subprocess
import sys
from pathlib import Path, PurePosixPath

KEPT = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "retries", "timeout")
MOUNTED = "/mnt"
CERTIFICATES = "/run/secrets/ca"


def configured(listing: str) -> dict[str, str]:
    """Return the options that `pip config list` shows; the environment wins over files, as for pip itself."""
    options: dict[str, str] = {}
    for scope in ("global.", "install.", ":env:."):
        for line in listing.splitlines():
            if line.startswith(scope):
                name, _, value = line.removeprefix(scope).partition("=")
                options[name.removeprefix("default-")] = ast.literal_eval(value)
    return options


def for_build(options: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the options as the build needs them, and the directories that have to be mounted for that."""
    kept = {name: options[name] for name in KEPT if name in options}
    directories: list[str] = []
    for name, value in kept.items():
        words = []
        for word in value.split():
            path = word.removeprefix("file://")
            if path.startswith("/"):
                # The pages of an index refer to files beside it.
                directories.append(path if name == "find-links" else str(PurePosixPath(path).parent))
                word = word.removesuffix(path) + MOUNTED + path
            words.append(word)
        kept[name] = " ".join(words)
    if "cert" in options:
        kept["cert"] = CERTIFICATES
    return kept, sorted(set(directories))


def main(pip_conf: Path) -> None:
    """Write the file, and print the directories."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
    kept, directories = for_build(configured(listing))
    pip_conf.touch(mode=0o600)  # an index's URL may hold a password
    pip_conf.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in kept.items()))
    print(*(path for path in directories if Path(path).is_dir()), sep="\n")  # noqa: T201 - images.sh reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
