"""pyproject.toml, environment.yml, the two lock files and the README agree."""

import csv
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from PIL import Image

import inception_edu

ROOT = Path(__file__).parents[1]
# Where conda-forge uses another name than PyPI.
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(line) for line in [*PROJECT["dependencies"], *EXTRAS["test"]]]


def pins(name):
    """The requirements in a lock file."""
    lines = text(name).splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


LOCKS = {name: pins(name) for name in ("requirements.lock", "requirements-lowest.lock")}
PLATFORMS = [
    {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"},
    {"sys_platform": "darwin", "os_name": "posix", "platform_system": "Darwin"},
    {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows"},
]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def test_requirements_have_bounds():
    for line in [*PROJECT["dependencies"], *EXTRAS["test"]]:
        assert any(c.operator == ">=" for c in Requirement(line).specifier), line
    for line in PROJECT["dependencies"]:  # the lessons stop at a next version
        assert any(c.operator == "<" for c in Requirement(line).specifier), line


def test_conda_environment_holds_the_same_packages_and_ranges():
    newest = PYTHONS[-1].partition(".")[2]  # an upper bound: the first untested one
    python = f"python{PROJECT['requires-python']},<3.{int(newest) + 1}"
    expected = set(map(Requirement, (python, "pip")))
    for requirement in map(Requirement, PROJECT["dependencies"]):
        requirement.name = CONDA_NAMES.get(requirement.name, requirement.name)
        expected.add(requirement)
    environment = yaml.safe_load(text("environment.yml"))
    *specs, pip = environment.pop("dependencies")
    assert environment == {"name": "inception-edu", "channels": ["conda-forge"]}
    assert pip == {"pip": ["-e ."]}
    assert set(map(Requirement, specs)) == expected


def version(pin):
    """The version that a line of a lock file pins."""
    (clause,) = pin.specifier
    assert clause.operator == "==", pin
    return clause.version


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_every_dependency_exactly_and_within_its_range(lock):
    for pin in LOCKS[lock]:
        assert pin.url is None and not set("+*") & set(version(pin)), pin
    named = {canonicalize_name(pin.name): pin for pin in LOCKS[lock]}
    for requirement in DIRECT:
        pin = named[requirement.name]
        assert requirement.specifier.contains(version(pin)), requirement
        assert pin.marker is None
        if lock == "requirements-lowest.lock":
            (lowest,) = [c for c in requirement.specifier if c.operator == ">="]
            assert Version(version(pin)) == Version(lowest.version), requirement


PLACES = [("requirements.lock", python) for python in PYTHONS]
PLACES += [("requirements-lowest.lock", PYTHONS[0])]


@pytest.mark.parametrize(("lock", "python"), PLACES)
@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: p["sys_platform"])
def test_lock_is_complete_on_every_platform(platform, lock, python):
    """What the pinned packages ask for is pinned too, as far as installed here."""
    values = {"python_version": python, "python_full_version": python + ".0"}
    values |= {"platform_python_implementation": "CPython", "extra": ""}
    values |= {"implementation_name": "cpython", "platform_machine": "x86_64"}
    values |= platform

    def applies(requirement):
        return requirement.marker is None or requirement.marker.evaluate(values)

    pins = filter(applies, LOCKS[lock])
    pinned = {canonicalize_name(pin.name): version(pin) for pin in pins}
    looked_at = [
        package
        for package in distributions()
        if package.version.split("+")[0] == pinned.get(canonicalize_name(package.name))
    ]
    for package in looked_at:
        for need in filter(applies, map(Requirement, package.requires or [])):
            name = canonicalize_name(need.name)
            # A CUDA build of torch pins its own company.
            if not re.match(r"nvidia|cuda|triton", name):
                assert name in pinned, f"{package.name}: {need}"
                assert need.specifier.contains(pinned[name], prereleases=True), need
    assert len(looked_at) > len(pinned) / 3


def workflow(name):
    """The jobs of a workflow, and what starts it (`on` is a truth value in YAML)."""
    content = yaml.safe_load(text(f".github/workflows/{name}.yml"))
    return content["jobs"], content[True]


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_workflow_tests_the_oldest_and_newest_versions_and_every_system():
    jobs, _ = workflow("test")
    matrix = jobs["test"]["strategy"]["matrix"]
    assert matrix["python"] == [PYTHONS[0], PYTHONS[-1]]
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    systems = [name.split("-")[0] for name in matrix["os"]]
    assert systems == ["ubuntu", "macos", "windows"]
    assert commands(jobs["lowest"])[0].startswith("make test-lowest ")
    assert commands(jobs["newest"])[-1] == "pytest --nbval -n 2 --dist loadfile"


def test_only_the_public_build_is_published():
    jobs, starts = workflow("pages")
    assert set(starts) == {"push", "workflow_dispatch"}
    make, remove = commands(jobs["pages"])
    assert make.startswith("make students slides pages PYTHON=python TORCH_INDEX=")
    assert not re.search(r"NOTES|SOLUTIONS|handout", make)
    assert remove == "rm -r site/inception_edu_students"  # the zip stays
    rules = text("Makefile")
    assert re.findall(r"if \$\((\w+)\),--(?:solutions|notes)", rules)
    assert not re.search(r"^(NOTES|SOLUTIONS)\b", rules, re.MULTILINE)


def test_readme_and_workflow_name_only_commands_of_the_makefile():
    targets = set(re.findall(r"^([\w-]+):", text("Makefile"), re.MULTILINE))
    named = r"(?:^|`|run: )make ([a-z-]+)(?=\s|`|$)"
    for file in ["README.md", ".ci/run", ".github/workflows/test.yml"]:
        lines = re.findall(named, text(file), re.MULTILINE)
        assert lines and set(lines) <= targets, file
    assert set(re.findall(r'"make ([\w-]+) ', text("Makefile"))) <= targets
    used = set(re.findall(r"make \w+ ([A-Z_]+)=", text("README.md")))
    known = re.findall(r"^([A-Z_]+) \?=", text("Makefile"), re.MULTILINE)
    assert used and used <= set(known)


def test_the_readme_is_short_and_its_links_and_commands_are_right():
    readme = text("README.md")
    assert len(readme.splitlines()) <= 170
    linked = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert linked and all((ROOT / name).exists() for name in linked)
    (picture,) = re.findall(r"!\[[^]]{100,}\]\((.+\.gif)\)", readme)
    assert (ROOT / picture).stat().st_size <= 700_000
    with Image.open(ROOT / picture) as moving:
        assert moving.width == 640 and moving.n_frames > 20
    for step in (  # for Windows, as the Makefile has them
        *("venv .venv", "jupyterlab notebooks/00_start_here.ipynb"),
        *("pip install -r requirements.lock", "pip install --no-deps -e ."),
    ):
        assert f"-m {step}" in readme.replace("\\", "/")


def test_the_guide_says_what_was_measured_of_a_lesson():
    with (ROOT / "benchmarks" / "lessons.csv").open(encoding="utf-8") as file:
        rows = {row["lesson"]: row for row in csv.DictReader(file)}
    readme = " ".join(text("docs/lecturers.md").split())
    server = int(rows.pop("server")["peak_mib"])
    for name, row in rows.items():
        assert (ROOT / "notebooks" / f"{name}.ipynb").is_file()
        cells = name[:2], row["cpu_seconds"], f"{int(row['peak_mib']):,}"
        assert f"| {' | '.join(cells)} |" in readme
    peak = max(int(row["peak_mib"]) for row in rows.values()) + server
    cpu = max(int(row["cpu_seconds"]) for row in rows.values())
    assert peak < 0.75 * 2048 and "give a student 2 GiB" in readme
    assert f"without a kernel, takes {server} MiB more" in readme
    assert f"{200 * peak / 1024:.0f} GiB if all of them" in readme
    assert f"{200 * cpu / (75 * 60):.1f} cores over a lesson of 75 minutes" in readme
    assert f"wait {200 * cpu / 32 / 60:.0f} minutes" in readme


def test_citation_names_this_version():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert str(citation["version"]) == inception_edu.__version__
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert citation["authors"] == PROJECT["authors"]
    assert text("LICENSE").startswith("MIT License")
    years = [reference["year"] for reference in citation["references"]]
    assert years == sorted(years)


# --- what conftest.py promises: plain `pytest --nbval` from any folder ------------


def test_plain_nbval_runs_and_compares_from_the_notebooks_folder(tmp_path):
    """A project with one stored notebook, one changed, and this project's conftest."""
    from nbformat import v4

    from tools.publish import execute

    (tmp_path / "tests" / "no_network").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    guard = "tests/no_network/sitecustomize.py"
    for name in ("conftest.py", "tests/sanitize.cfg", guard):
        shutil.copy(ROOT / name, tmp_path / name)
    settings = tmp_path / "pyproject.toml"
    settings.write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
    cells = [
        "import inception_edu, os, sys\nprint(inception_edu.__version__)",
        "print(os.environ['PYTHONHASHSEED'], repr(os.environ['CUDA_VISIBLE_DEVICES']))",
        "object()",
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    lesson = tmp_path / "notebooks" / "lesson.ipynb"
    lesson.write_text(v4.writes(notebook), encoding="utf-8")
    assert execute(lesson) == ([], True)
    stored = lesson.read_text(encoding="utf-8")
    other = stored.replace(inception_edu.__version__, "9.9")
    lesson.with_name("other.ipynb").write_text(other, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-q"],
        cwd=lesson.parent,
        capture_output=True,
        encoding="utf-8",
    )
    assert "1 failed, 5 passed" in run.stdout
    assert "FAILED other.ipynb::Cell 0" in run.stdout
