"""The direction of imports, read from the code's own import statements; and what stands only once."""

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "thingmint"
# standin.py is a program of its own: copied into a west workspace, where west runs it.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "standin.py")

# Each part and the parts of thingmint it may import; what no line names is the ground that everybody may use.
GROUND = {
    "errors",
    "files",
    "ids",
    "console",
    "shell",
    "private",
    "render",
    "workspace",
    "yamlfile",
    "config",
    "session",
    "target",
    "openssl",
    "engine",
    "passphrase",
    "sealed",
    "idlist",
    "twinform",
}
MAY_IMPORT = {
    "workflows": {"workflows", "pki", "hub", "device", "modem", "firmware", "network", "lab", "roots"} | GROUND,
    "pki": {"pki"} | GROUND,
    "hub": {"hub", "errors", "files", "target"},
    "device": {"device", "errors", "target"},
    "modem": {"modem", "errors"},
    "network": {"network", "errors", "yamlfile"},
    "firmware": {"firmware", "keyscan", "errors", "files", "shell", "console", "render"},
    "roots": {"errors"},
    "lab": {"lab", "device"} | GROUND - {"openssl", "engine", "render"},
    "openssl": {"engine"},
    "engine": set(),
    "errors": set(),
    "files": {"errors"},
    "ids": {"errors"},
    "console": {"errors"},
    "render": set(),
    "passphrase": {"console", "errors"},
    "sealed": {"errors"},
    "idlist": {"errors", "ids"},
    "target": set(),
    "twinform": set(),
    "shell": {"console", "errors"},
    "private": {"errors", "files", "shell"},
    "keyscan": {"keyscan", "console", "errors", "shell"},
    "workspace": {"files", "console", "errors", "ids", "private", "shell"},
    "yamlfile": {"errors"},
    "config": {"errors", "yamlfile"},
    "session": {"config", "console", "passphrase", "shell", "workspace"},
    "__init__": set(),
}


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a file's syntax tree; each file is parsed once."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """Every absolute module name that a file imports, wherever in the file, `from a import b` as a.b."""
    found: list[str] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def part(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    own = [name.split(".")[1] for name in imports(path) if name.startswith("thingmint.")]
    assert set(own) <= MAY_IMPORT[part(path)], f"{path} reaches where it may not"


def test_no_files_import_each_other_in_a_circle() -> None:
    """Nor for their types alone, nor within functions."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    graph = {
        own: {
            used for name in imports(path) for used in (name, name.rpartition(".")[0]) if used in names and used != own
        }
        for own, path in names.items()
    }
    assert any(graph.values())
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_the_simulated_modem_shares_nothing_with_its_clients() -> None:
    """A misunderstanding that both sides have from one place would never show."""
    ground = {"errors", "files", "ids"}
    for path in sorted((PACKAGE / "lab/thing").rglob("*.py")):
        used = [name for name in imports(path) if name.startswith("thingmint.")]
        # The applications on it speak to the hub, as each device does; the one in operation does so by itself.
        may = ground | {
            "sample": {"device", "target"},
            "application": {"device"},
            "operation": {"target"},
            "line": {"target"},
        }.get(path.stem, set())
        assert all(name.startswith("thingmint.lab.thing") or name.split(".")[1] in may for name in used), path
        assert not {"serial", "pexpect"} & {name.split(".")[0] for name in imports(path)}, path


# The rooms of a part, each of which may use those before it; what stands in no room is for all of them.
ROOMS = {
    "pki": ("", "store", "keys", "signing", "authority", "device", "bundle", "audit"),
    "workflows": ("", "hub", "authority", "device", "modem", "network", "firmware", "lab"),
}
IN_ROOMS = [path for path in MODULES if part(path) in ROOMS]


@pytest.mark.parametrize("path", IN_ROOMS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_stand_above_one_another(path: Path) -> None:
    rooms = ROOMS[part(path)]

    def room(parts: Sequence[str]) -> int:
        return rooms.index(parts[0]) if parts[0] in rooms else 0

    own = room(path.relative_to(PACKAGE / part(path)).parts)
    used = {name: room(name.split(".")[2:]) for name in imports(path) if name.startswith(f"thingmint.{part(path)}.")}
    assert all(other <= own for other in used.values()), used


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("azure", {"hub", "device"}),
        ("jinja2", {"render"}),
        ("subprocess", {"shell"}),
        ("starlette", {"lab"}),
        ("uvicorn", {"lab"}),
        ("invoke", set()),
        ("yaml", {"yamlfile"}),
        ("dns", {"network"}),
        ("joserfc", {"sealed"}),
        ("getpass", {"console"}),
        ("certifi", {"roots"}),
        ("pexpect", {"modem"}),
        ("serial", {"modem"}),
        ("smpclient", {"firmware"}),
        ("intelhex", {"firmware"}),
    ],
)
def test_a_library_has_one_home(library: str, homes: set[str]) -> None:
    found = {part(path) for path in MODULES for name in imports(path) if name.split(".")[0] == library}
    assert found == homes


def test_only_the_console_prints_and_nothing_exits() -> None:
    for path in MODULES:
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print" or part(path) == "console", f"{path}:{node.lineno} prints"
                assert node.func.id not in {"exit", "quit"}, f"{path}:{node.lineno} exits"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys":
                assert node.attr != "exit" or path.name == "__main__.py", f"{path}:{node.lineno} exits"


def test_what_uses_a_ca_key_goes_through_access() -> None:
    """Elsewhere no `openssl ca` line is run as it is: it would lack the passphrase of a key that is encrypted."""
    for path in MODULES:
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "openssl":
                first = ast.unparse(node.args[0])
                known = first.startswith(("*openssl.rand_serial(", "*openssl.req_"))
                assert known or path.stem in {"access", "cakey"}, f"{path}:{node.lineno} runs {first}"


def test_files_stay_small() -> None:
    long = {str(path): lines for path in MODULES if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 330}
    assert not long


def test_listing_the_tasks_imports_nothing_heavy() -> None:
    program = "import sys, tasks; print('\\n'.join(sys.modules))"
    # (yaml is loaded by Invoke itself)
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    heavy = {
        "azure",
        "pydantic",
        "jinja2",
        "cryptography",
        "rich",
        "starlette",
        "uvicorn",
        "requests",
        "paho",
        "joserfc",
        "pexpect",
        "serial",
        "cbor2",
        "dns",
        "smpclient",
        "intelhex",
    }
    assert not heavy & {name.split(".")[0] for name in loaded.stdout.split()}


@pytest.mark.parametrize(
    "modules", ["thingmint.lab.__main__, thingmint.lab.cloud.server", "thingmint.pki.device.piecework"]
)
def test_a_process_of_ours_starts_without_what_reads_configurations(modules: str) -> None:
    """The lab, and a series' workers: they have none of their own, and each of their starts would pay for it."""
    program = f"import sys, {modules}; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {"pydantic", "yaml", "azure", "invoke"} & set(loaded.stdout.split())


def test_the_package_alone_is_packed() -> None:
    from setuptools import find_packages

    packed = find_packages(str(ROOT), include=["thingmint*"])
    assert {name.split(".")[0] for name in packed} == {"thingmint"}
