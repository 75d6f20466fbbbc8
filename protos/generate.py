"""Generates the Python stubs in bhtui/rpc from the files in this folder: `python protos/generate.py [TARGET]`.

protoc names Python modules after the proto files' paths, `blackhole.v1.x_pb2`; the imports are moved under `bhtui.rpc`,
so that no top-level package besides ours is installed.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PROGRAMS = Path(sys.executable).parent


def generate(target: Path) -> None:
    """Writes the stubs and their types below `target`. Exits with protoc's message when a file is wrong."""
    sources = sorted(str(path.relative_to(HERE)) for path in HERE.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            "protoc",
            f"-I{HERE}",
            f"-I{files('grpc_tools') / '_proto'}",
            *(f"--plugin={name}={PROGRAMS / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")),
            *(f"--{kind}_out={folder}" for kind in ("python", "mypy", "grpc_python", "mypy_grpc")),
            *sources,
        ]
        if code := protoc.main(arguments):
            sys.exit(code)
        shutil.rmtree(target / "blackhole", ignore_errors=True)
        for made in sorted(Path(folder).rglob("*.py*")):
            text = re.sub(r"\b(from|import) blackhole\.", r"\1 bhtui.rpc.blackhole.", made.read_text())
            text = re.sub(r"(?<![\w.\"'/])blackhole\.(v1|service)\b(?=[\w.]*_pb2)", r"bhtui.rpc.blackhole.\1", text)
            goal = target / made.relative_to(folder)
            goal.parent.mkdir(parents=True, exist_ok=True)
            goal.write_text(text)
        for package in (target / "blackhole").rglob("*"):
            if package.is_dir():
                (package / "__init__.py").touch()
        (target / "blackhole" / "__init__.py").touch()


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "bhtui" / "rpc")
