"""The frozen application's parts list, the pinned versions and the package data agree with the code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import house

PROJECT = tomllib.loads((house.ROOT / "pyproject.toml").read_text("utf-8"))
PINS = dict(
    (str(canonicalize_name(name)), version)
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (house.ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE
    )
)
Imports = dict[str, list[tuple[str, str]]]
BESIDE_THE_PROJECT = {"filmjacket", "pip"}  # itself, and the tool that Python brings


def _parts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parts", house.ROOT / "build_specs" / "parts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _installed() -> dict[str, str]:
    return {str(canonicalize_name(d.metadata["Name"])): d.version for d in metadata.distributions()}


def test_every_installed_package_is_pinned_to_its_version() -> None:
    installed = {name: version for name, version in _installed().items() if name not in BESIDE_THE_PROJECT}
    assert installed
    assert not {name: version for name, version in installed.items() if PINS.get(name) != version}


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11) or sys.platform != "linux", reason="pins were made on 3.11"
)
def test_no_pin_is_idle() -> None:
    assert set(PINS) <= set(_installed())


def test_constraints_carry_names_and_versions_only() -> None:
    lines = (house.ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert lines and not [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+!]+", line)]


def test_every_dependency_is_pinned() -> None:
    project = PROJECT["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= set(PINS)


@pytest.fixture(scope="module")
def imports() -> Imports:
    """By file of the program each module it imports, and the name it takes from it, "" for the module."""
    found: Imports = {}
    for path in house.sources():
        pairs = found.setdefault(house.name_of(path), [])
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                pairs += [(alias.name, "") for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                pairs += [(node.module, alias.name) for alias in node.names]
    return found


def test_every_foreign_import_is_a_dependency_we_name(imports: Imports) -> None:
    """What the program imports itself must not rest on what another package happens to bring along."""
    owners = metadata.packages_distributions()
    named = {canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]}
    named |= {"starlette", "shiboken6", "pydantic", "typing-extensions"}  # FastAPI and PySide6 stand on them
    missing = set()
    for file, pairs in imports.items():
        tops = {module.split(".")[0] for module, _ in pairs}
        for top in tops - set(sys.stdlib_module_names) - set(house.ROOMS):
            owned = {canonicalize_name(owner) for owner in owners.get(top, [])}
            missing |= {f"{top} in {file}"} if not owned & named else set()
    assert imports and not missing


def test_the_codecs_of_the_frozen_application_are_those_the_code_asks_for() -> None:
    asked = set()
    for path in house.files("core/imaging/*.py"):
        text = path.read_text("utf-8")
        if "imagecodecs" in text:
            asked |= set(re.findall(r"\b_decode\(\"(\w+)\"", text))
            asked |= set(re.findall(r"\.(\w+)_(?:de|en)code\b", text))
    assert asked
    code = "import sys, imagecodecs\n"
    code += "\n".join(f"imagecodecs.{name}_decode" for name in sorted(asked))
    code += "\nprint(*(name for name in sys.modules if name.startswith('imagecodecs._')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[-1] for name in done.stdout.split()}
    assert loaded - {"_imagecodecs", "_shared", "_shared_cython"} == set(_parts().CODECS)


def test_everything_the_frozen_application_names_exists() -> None:
    parts = _parts()
    assert not [name for name in parts.HIDDEN if importlib.util.find_spec(name) is None]
    assert not [name for name in parts.DATA if importlib.util.find_spec(name) is None]
    for name in parts.METADATA:
        assert metadata.version(name)
    for name in parts.QT_MODULES:
        assert importlib.util.find_spec(f"PySide6.{name}")


def test_only_the_listed_parts_of_qt_are_used(imports: Imports) -> None:
    taken = [pair for pairs in imports.values() for pair in pairs]
    used = {module.split(".")[1] for module, _ in taken if module.startswith("PySide6.")}
    used |= {name for module, name in taken if module == "PySide6" and name}
    assert used and used <= set(_parts().QT_MODULES)


def test_nothing_that_stays_out_is_used(imports: Imports) -> None:
    excluded = set(_parts().EXCLUDED)
    imported = {module.split(".")[0] for pairs in imports.values() for module, _ in pairs}
    assert excluded and not excluded & imported


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("PySide6/Qt/lib/libQt6Quick.so.6", True),
        ("PySide6/Qt/plugins/platforms/libqoffscreen.so", False),
        ("PySide6/Qt/lib/libQt6Widgets.so.6", False),
        ("PySide6/QtOpenGLWidgets.abi3.so", True),
        ("PySide6/Qt/lib/libQt6OpenGL.so.6", False),
        ("resources/Qt6Quick.txt", False),
        ("pillow.libs/libavif-c6062d5f.so.16", True),
        ("pillow.libs/libjpeg-6dc8d115.so.62", False),
    ],
)
def test_what_of_qt_stays_out(name: str, unused: bool) -> None:
    assert _parts().is_unused(name) is unused


def test_every_resource_is_package_data() -> None:
    resources = [p for p in house.files("resources/*", "resources/**") if p.suffix != ".py"]
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["resources"]
    matched = {path for pattern in patterns for path in (house.ROOT / "resources").glob(pattern)}
    assert set(resources) <= matched


def test_every_package_is_installed_by_name() -> None:
    include = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {pattern.rstrip("*") for pattern in include} == set(house.ROOMS)


@pytest.mark.parametrize("script", house.files("*.sh"), ids=house.name_of)
def test_scripts_are_plain_shell(script: Path) -> None:
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_installed_commands_lead_to_functions() -> None:
    scripts = PROJECT["project"]["scripts"] | PROJECT["project"]["gui-scripts"]
    for target in scripts.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function)), target
