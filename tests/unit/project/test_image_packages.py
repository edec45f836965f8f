"""forefill gets into an image that has vLLM without changing it, and builds take packages from where pip does."""

import hashlib
import site
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

from deploy.dev.image_pip import configured, for_build
from deploy.images import complete


class Image:
    """An image's own packages, and an index with what forefill's lock names."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.own = directory / "own"
        self.environment = directory / "environment"
        self.packages = complete._site_packages(self.environment)
        self._wheels = directory / "wheels"
        self._lock = directory / "service.lock"
        for made in (self.own, self.packages, self.environment / "bin", self._wheels):
            made.mkdir(parents=True)
        self._lock.touch()
        monkeypatch.setattr(site, "getsitepackages", lambda: [str(self.own)])
        monkeypatch.setattr(complete, "_install", self._unpack)

    def has(self, name: str, version: str, *requires: str) -> None:
        self._unpack(self.own, str(self._wheel(name, version, requires)))

    def lock_names(self, name: str, version: str, *requires: str) -> None:
        wheel = self._wheel(name, version, requires)
        with self._lock.open("a") as lock:
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            lock.write(f"{name}=={version} ; sys_platform == 'linux' \\\n    --hash=sha256:{digest}\n")

    def complete(self, *requires: str) -> str:
        return complete.main(self.environment, self._lock, str(self._wheel("forefill", "0.1.0", requires)))

    def installed(self) -> dict[str, str]:
        """What lies in front of the image's packages."""
        return complete.versions(distributions(path=[str(self.packages)]))

    def _wheel(self, name: str, version: str, requires: tuple[str, ...]) -> Path:
        wheel = self._wheels / f"{name}-{version}-py3-none-any.whl"
        metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(metadata) + "\n")
        return wheel

    def _unpack(self, where: Path, *what: str) -> None:
        """In place of pip."""
        wheels = [Path(what[-1])]
        if wheels[0].suffix != ".whl":
            assert "--require-hashes" in what
            wheels = [self._wheels / f"{name}-{entry.split()[0].split('==')[1]}-py3-none-any.whl"
                      for name, entry in complete.entries(wheels[0].read_text()).items()]  # fmt: skip
        for wheel in wheels:
            zipfile.ZipFile(wheel).extractall(self.packages if where == self.environment else where)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    return Image(tmp_path, monkeypatch)


def test_only_what_the_image_lacks_is_installed(image: Image) -> None:
    image.has("numpy", "2.1.0")
    image.lock_names("numpy", "2.3.5")
    image.lock_names("structlog", "26.1.0")
    assert image.complete("numpy>=2.1", "structlog>=25 ; extra == 'service'") == ""
    assert image.installed() == {"forefill": "0.1.0", "structlog": "26.1.0"}


def test_the_packages_of_the_image_are_seen_after_those_of_forefill(image: Image) -> None:
    image.complete()
    [shown] = image.packages.glob("*.pth")
    assert shown.read_text() == f"import site; site.addsitedir({str(image.own)!r})\n"


def test_a_newer_grpc_than_the_image_has_lies_in_front_of_it(image: Image) -> None:
    image.has("grpcio", "1.70.0")
    image.lock_names("grpcio", "1.85.1")
    image.lock_names("grpcio_status", "1.85.1", "grpcio>=1.85.1")
    assert image.complete("grpcio>=1.60") == ""
    assert image.installed()["grpcio"] == "1.85.1"


def test_what_a_model_runs_on_is_never_replaced(image: Image) -> None:
    image.has("transformers", "4.50.0")
    image.lock_names("transformers", "5.19.0")
    wrong = image.complete("transformers>=5.16 ; extra == 'service'")
    assert wrong == 'forefill needs transformers>=5.16; extra == "service", the image has 4.50.0'
    assert "transformers" not in image.installed()


def test_what_neither_the_image_nor_the_lock_has_is_named(image: Image) -> None:
    assert image.complete("aiohttp>=3") == "forefill needs aiohttp>=3, which is missing"


def test_what_other_extras_need_is_not_asked_for(image: Image) -> None:
    assert image.complete("matplotlib ; extra == 'bench'", "colorama ; sys_platform == 'win32'") == ""


def test_a_package_may_have_several_releases_in_the_lock() -> None:
    numpy = "numpy==2.3.5 ; python_version < '3.13' \\\n    --hash=sha256:a\nnumpy==2.4.6 \\\n    --hash=sha256:b\n"
    six = "six==1 \\\n    --hash=sha256:c\n"
    assert complete.entries(numpy + six) == {"numpy": numpy, "six": six}


def test_the_environment_wins_over_files() -> None:
    listing = "global.index-url='https://a.example/files'\n:env:.index-url='https://b.example/files'\n:env:.default-timeout='9'\n"
    assert configured(listing) == {"index-url": "https://b.example/files", "timeout": "9"}


def test_directories_of_packages_are_shown_to_the_build() -> None:
    options = {"extra-index-url": "file:///srv/index/files https://a.example/files", "find-links": "/srv/wheels"}
    assert for_build(options) == (
        {"extra-index-url": "file:///mnt/srv/index/files https://a.example/files", "find-links": "/mnt/srv/wheels"},
        ["/srv/index", "/srv/wheels"],
    )


def test_certificates_come_as_a_secret_and_constraints_do_not_come() -> None:
    assert for_build({"cert": "/etc/ours.pem", "constraint": "/etc/limits.txt"}) == ({"cert": "/run/secrets/ca"}, [])
