"""The files that say what to install agree, the wheel is complete, and nothing of one machine is in the repository."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
    pytest.skip("packaging is checked once, with TensorFlow", allow_module_level=True)

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
SIZE_LIMIT = 40_000_000  # bytes that a clone fetches


def read_lock(name):
    """The exact versions in a lock file, as {package: version}."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    for pin in pins:
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), f"{name}: '{pin}' is not an exact public version"
    return {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in pins}


def git(*arguments):
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git repository")
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"git {arguments[0]}: {result.stderr.strip()}")
    return result.stdout


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", sorted(set(EXTRAS) - {"torch", "jax"})),
        ("requirements-engines.lock", ["test", "torch", "jax"]),
    ],
)
def test_lock_lies_inside_the_ranges(lock, extras):
    pins = read_lock(lock)
    wanted = [Requirement(line) for line in PROJECT["dependencies"] + [d for extra in extras for d in EXTRAS[extra]]]
    for requirement in wanted:
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{lock} lacks {requirement.name}: run `make lock`"
        assert requirement.specifier.contains(version), f"{lock} has {requirement.name} {version}, not {requirement}"


def test_locks_agree():
    course, engines = read_lock("requirements.lock"), read_lock("requirements-engines.lock")
    differing = {name for name in course.keys() & engines.keys() if course[name] != engines[name]}
    assert not differing, f"run `make lock`: the two locks differ in {sorted(differing)}"


def test_a_package_has_one_range():
    ranges = {}
    for line in PROJECT["dependencies"] + [d for extra in EXTRAS.values() for d in extra]:
        requirement = Requirement(line)
        assert str(ranges.setdefault(requirement.name, requirement.specifier)) == str(requirement.specifier), line


def test_environment_yml_installs_what_pyproject_says():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-e .[course]"]}  # the packages and ranges of pyproject.toml themselves
    assert {re.split("[<>=]", line)[0] for line in conda} == {"python", "pip"}
    (python,) = (line.split("=")[-1] for line in conda if line.startswith("python"))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_version_is_in_one_place():
    assert importlib.metadata.version("nst_lib") == PROJECT["version"], "run `make test`, which installs anew"
    for path in (ROOT / "nst_lib").rglob("*.py"):
        assert not re.search(r"""__version__\s*=\s*["']""", path.read_text(encoding="utf-8")), path


def test_wheel_is_complete(tmp_path):
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    (wheel,) = builder.build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = next(archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    package = ROOT / "nst_lib"
    source = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert {"nst_lib/py.typed", "nst_lib/assets/pocket_vgg.npz"} <= source
    assert source <= names
    assert {name.split("/")[0] for name in names} == {"nst_lib", f"nst_lib-{PROJECT['version']}.dist-info"}
    assert "nst = nst_lib.__main__:main" in entry_points
    assert sum(name.split("/")[-1].startswith("LICENSE") for name in names) == 2


def test_nothing_of_one_machine_is_in_the_repository():
    places = re.compile(
        r"(?<![\w.~-])/(?:(?:work|root)/|(?:home|Users)/\w)"  # somebody's folders
        r"|pypi\.org|pythonhosted\.org|/pypi/[s]imple|download\.pytorch\.org|registry\.npmjs|deb\.debian\.org"
    )
    found = []
    for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        path = ROOT / name
        if not name or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
            if match := places.search(line):
                found.append(f"{name}:{number}: {match.group()}")
    assert not found, "\n".join(found)


def test_repository_is_small():
    size = int(git("rev-list", "--disk-usage", "--objects", "HEAD"))
    assert size < SIZE_LIMIT, f"a clone fetches {size / 1e6:.0f} MB; keep large files out of the history"
