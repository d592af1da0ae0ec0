"""The rules of the house hold, and each of them can be broken: sizes, docstrings, imports, addresses."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

from tests import house

LONGEST = 400
HOSTS = re.compile(
    r"""^(
        [\w-]* | \[::1\] | 127\.\d+\.\d+\.\d+ | 0\.0\.0\.0      # one word is a name of a local network
        | (192\.0\.2|198\.51\.100|203\.0\.113)\.\d+          # RFC 5737, for documents
        | ([\w.-]+\.)?(example|test|invalid|example\.(com|org|net))   # RFC 2606
        | www\.w3\.org | dicom\.nema\.org | json-schema\.org          # names of vocabularies, never fetched
        | wadl\.dev\.java\.net
        | www\.sqlite\.org | docs\.python\.org                       # what a comment rests on
    )$""",
    re.VERBOSE,
)
URL = re.compile(r"https?:" + r"//(\[::1\]|[^\s/\"'`<>(){}\[:\\,?#]+)")
FOREIGN = re.compile("|".join([r"(?<![\w.])/" + r"work(?=[/\"'\s])", "share" + r"d/(?!\{)"]))


def _contracts() -> list[dict[str, Any]]:
    config = tomllib.loads((house.ROOT / "pyproject.toml").read_text("utf-8"))
    contracts: list[dict[str, Any]] = config["tool"]["importlinter"]["contracts"]
    return contracts


def _exists(module: str) -> bool:
    path = house.ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _layers(contract: dict[str, Any]) -> list[list[str]]:
    """Layers from the highest down, each as the dotted names of its modules; those not built yet left out."""
    prefixes = [f"{container}." for container in contract.get("containers", [])] or [""]
    layers = []
    for layer in contract["layers"]:
        names = [re.sub(r"[()\s]", "", name) for name in re.split(r"[|:]", layer)]
        layers.append([prefix + name for prefix in prefixes for name in names if _exists(prefix + name)])
    return [layer for layer in layers if layer]


def _violations(contract: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every (importer, imported) pair the contract says it forbids."""
    if contract["type"] == "layers":
        layers = _layers(contract)
        for n, lower in enumerate(layers):
            yield from permutations(lower, 2)
            for higher in layers[:n]:
                yield from product(lower, higher)
    elif contract["type"] == "forbidden":
        yield from product(contract["source_modules"], contract["forbidden_modules"])
    else:
        yield from permutations(contract["modules"], 2)


def _optional(contract: dict[str, Any]) -> set[str]:
    return {
        name.strip() for layer in contract.get("layers", []) for name in re.findall(r"\(([^)]*)\)", layer)
    }


@pytest.mark.parametrize("contract", _contracts(), ids=lambda c: str(c["name"]).split(":")[0])
def test_each_import_rule_catches_each_violation(contract: dict[str, Any], tmp_path: Path) -> None:
    pairs = list(_violations(contract))
    assert pairs, "the rule forbids nothing that exists"
    for room in house.ROOMS:
        for package in [name for name in house.packages() if name.split("/")[0] == room]:
            (tmp_path / package).mkdir(parents=True, exist_ok=True)
            (tmp_path / package / "__init__.py").touch()
    for module in {name for pair in pairs for name in pair if _exists(name)}:
        path = tmp_path.joinpath(*module.split("."))
        if not path.is_dir():
            path.with_suffix(".py").touch()
    for importer, imported in pairs:
        path = tmp_path.joinpath(*importer.split("."))
        with (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).open("a") as out:
            out.write(f"import {imported}\n")
    said = _lint(tmp_path, contract)
    not_caught = [pair for pair in pairs if f"{pair[0]} is not allowed to import {pair[1]}:" not in said]
    assert not not_caught, said


def _lint(folder: Path, contract: dict[str, Any]) -> str:
    """What import-linter says of *folder* under this one contract."""
    lines = ["[importlinter]", "include_external_packages = True", "root_packages ="]
    lines += [f"    {room}" for room in house.ROOMS]
    lines += ["[importlinter:contract:1]"]
    for key, value in contract.items():
        lines.append(f"{key} = {value}" if not isinstance(value, list) else f"{key} =")
        lines += [f"    {item}" for item in value] if isinstance(value, list) else []
    config = folder / ".importlinter"
    config.write_text("\n".join(lines) + "\n")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", str(config)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return re.sub(r"\s*\n\s+", " ", done.stdout)


def test_every_module_named_by_an_import_rule_exists() -> None:
    named: set[str] = set()
    for contract in _contracts():
        prefixes = [f"{container}." for container in contract.get("containers", [])] or [""]
        optional = _optional(contract)
        for layer in contract.get("layers", []):
            names = {re.sub(r"[()\s]", "", name) for name in re.split(r"[|:]", layer)} - optional
            named |= {prefix + name for prefix in prefixes for name in names}
        named |= {*contract.get("modules", []), *contract.get("source_modules", [])}
    assert named
    assert not [name for name in sorted(named) if not _exists(name)]


def test_every_room_inside_core_has_its_layer() -> None:
    (contract,) = [c for c in _contracts() if c.get("containers") == ["core"]]
    layered = {name for layer in _layers(contract) for name in layer}
    rooms = {
        "core." + path.stem if path.is_file() else "core." + path.name
        for path in (house.ROOT / "core").iterdir()
        if (path.suffix == ".py" and path.name != "__init__.py") or (path / "__init__.py").is_file()
    }
    assert rooms and rooms <= layered, f"without a layer: {sorted(rooms - layered)}"


def test_no_file_is_too_long() -> None:
    long = {
        house.name_of(path): count
        for path in house.files("*.py", "*.sh", "Makefile")
        if (count := len(path.read_text("utf-8").splitlines())) > LONGEST
    }
    assert not long, "two nouns in one room?"


def test_every_module_says_what_it_is() -> None:
    silent = [
        house.name_of(path)
        for path in (*house.sources(), *house.files("tests/*.py"))
        if not house.first_line(path) and path.read_text("utf-8").strip()
    ]
    assert not silent


def test_every_package_of_the_program_says_what_it_is() -> None:
    assert not [name for name, line in house.packages().items() if not line.endswith(".")]


def _strange_hosts(line: str) -> list[str]:
    hosts = [host.split("@")[-1].rstrip(".") for host in URL.findall(line)]
    return [host for host in hosts if not HOSTS.match(host)]


def test_no_download_address_and_no_foreign_path_is_written_down() -> None:
    offences = []
    for path in house.files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a font
        if path.is_relative_to(house.ROOT / "resources") and path.suffix != ".py":
            continue  # shipped as others wrote it, licences and all; nothing is fetched from there
        for number, line in enumerate(text.splitlines(), 1):
            if _strange_hosts(line) or FOREIGN.search(line):
                offences.append(f"{house.name_of(path)}:{number}: {line.strip()[:120]}")
    assert not offences, "\n".join(offences)


@pytest.mark.parametrize(
    "line",
    [
        "see https" + "://pypi.org/simple",
        "http" + "://10.1.2.3/debian",
        "cd /" + "work/main",
        "../share" + "d/x",
    ],
)
def test_the_address_check_sees_an_offence(line: str) -> None:
    assert _strange_hosts(line) or FOREIGN.search(line)


@pytest.mark.parametrize(
    "line",
    ["http" + "://127.0.0.1:8500/x", "GET /workitems", "http" + "://HOST:PORT", "http" + "://[::1]:1/"],
)
def test_the_address_check_lets_harmless_lines_pass(line: str) -> None:
    assert not _strange_hosts(line) and not FOREIGN.search(line)


CHECKING = {"raises", "warns", "fail", "waitUntil", "waitSignal", "wait_until"}  # they fail by themselves


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """The syntax trees of the tests, by the names of their files."""
    return {house.name_of(path): ast.parse(path.read_text("utf-8")) for path in house.files("tests/*.py")}


def _can_fail(function: ast.AST, helpers: set[str]) -> bool:
    """Whether it asserts, or calls something that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name.startswith("assert") or name in CHECKING | helpers:
                return True
    return False


def test_every_test_can_fail(trees: dict[str, ast.Module]) -> None:
    functions = [
        (name, node)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    helpers = {f.name for _, f in functions if not f.name.startswith("test_") and _can_fail(f, set())}
    tests = [(path, f) for path, f in functions if f.name.startswith("test_")]
    assert len(tests) > 50
    assert not [f"{path}: {test.name}" for path, test in tests if not _can_fail(test, helpers)]


@pytest.mark.parametrize(
    ("code", "can"),
    [("assert x", True), ("check(x)", True), ("print(x)", False), ("with pytest.raises(E): f()", True)],
)
def test_the_search_for_idle_tests_tells_them_apart(code: str, can: bool) -> None:
    assert _can_fail(ast.parse(code), {"check"}) is can


def test_no_test_name_is_used_twice_in_a_file(trees: dict[str, ast.Module]) -> None:
    seen: set[tuple[str, str]] = set()
    twice = []
    for name, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                key = (name, node.name)
                twice += [key] if key in seen else []
                seen.add(key)
    assert seen and not twice


def test_the_formatter_and_the_linter_see_every_file() -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or "ruff"
    seen = subprocess.run(
        [ruff, "check", "--show-files", "."], cwd=house.ROOT, capture_output=True, text=True, check=True
    ).stdout
    unseen = {str(path) for path in house.files("*.py")} - set(seen.split("\n"))
    assert not unseen
