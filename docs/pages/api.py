"""The page on the protobuf API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bhtui.agent.servicers.access import ACCESS

from .markdown import made_from, table

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Block:
    """A service or message of a .proto file; a row is what stands before the comment, name and comment."""

    kind: str
    name: str
    help: str
    rows: list[tuple[str, str, str, str]]


_RPC = re.compile(r"rpc (\w+)\(((?:stream )?\w+)\) returns \(((?:stream )?\w+)\)")
_FIELD = re.compile(r"(?:(optional|repeated) )?(map<[^>]+>|[\w.]+) (\w+) = \d+;")


@dataclass(frozen=True, slots=True)
class Proto:
    """One .proto file."""

    package: str
    help: str
    blocks: list[Block]

    @classmethod
    def read(cls, path: Path) -> Proto:
        """Reads the subset that our files are written in: one statement a line, comments above."""
        package, help_, said = "", "", []
        blocks: list[Block] = []
        for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
            if line.startswith("//"):
                said.append(line.removeprefix("//").strip())
                continue
            text, said = " ".join(said), []
            if line.startswith("package "):
                package, help_ = line.split()[1].rstrip(";"), text
            elif match := re.match(r"(service|message|enum) (\w+) {", line):
                blocks.append(Block(match[1], match[2], text, []))
            elif match := _RPC.match(line):
                blocks[-1].rows.append((match[1], match[2], match[3], text))
            elif blocks and (match := _FIELD.match(line)):
                blocks[-1].rows.append((match[3], match[2], match[1] or "", text))
        return cls(package, help_, blocks)


def protos() -> list[Proto]:
    """Those of the API and of the contract of services."""
    contract = ROOT / "protos/blackhole/service/v1/contract.proto"
    return [Proto.read(path) for path in [*sorted((ROOT / "protos/blackhole/v1").glob("*.proto")), contract]]


def methods() -> dict[str, str]:
    """Every method of the agent's API by its path, with its comment."""
    return {
        f"/{proto.package}.{block.name}/{name}": text
        for proto in protos()
        if proto.package == "blackhole.v1"
        for block in proto.blocks
        if block.kind == "service"
        for name, _, _, text in block.rows
    }


def page() -> str:
    """The page on the protobuf API."""
    lines = made_from("API", "protos/blackhole/v1/", "bhtui/agent/servicers/access.py")
    lines += ["gRPC over the agent's socket. A role includes the ones before it: read, operate, admin.", ""]
    for proto in protos():
        for block in proto.blocks:
            if block.kind == "service":
                lines += [f"## {proto.package}.{block.name}", "", block.help or proto.help, ""]
                rows = [(f"`{n}`", f"`{a}`", f"`{b}`", _role(proto, block, n), t) for n, a, b, t in block.rows]
                lines += table(("method", "asks with", "answers", "role", "meaning"), rows)
            elif block.rows:
                lines += [f"### {block.name}", "", *([block.help, ""] if block.help else [])]
                rows = [(f"`{n}`", " ".join(filter(None, (how, t))), text) for n, t, how, text in block.rows]
                lines += table(("field", "type", "meaning"), rows)
    return "\n".join(lines)


def _role(proto: Proto, block: Block, method: str) -> str:
    role = ACCESS.get(f"/{proto.package}.{block.name}/{method}")
    return role.name.lower() if role else "-"
