"""A repository, opened: its key, its configuration, its index, and the files and blobs in it.

(Design, "Repository Format" and "Unpacked Data Format".)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import zstandard

from . import keyfile, polynomial, snapshot
from .blob import LEVEL, BlobCodec, Place
from .crypto import Key, KeyMaterial, Unauthentic
from .errors import EngineError, damaged
from .index import MAX_BLOBS, Index, document
from .pack import Packed, PackWriter
from .snapshot import Snapshot
from .storage import Storage

VERSION = 2
_COMPRESSED = b"\x02"
"""First byte of a file's content that is compressed; plain JSON begins with `{` or `[`."""
MAX_FILE = 1 << 30
"""Bytes: no index, snapshot or lock is longer, whatever a damaged file says."""

Document = Literal["locks", "snapshots", "index"]


class Repository:
    """An open repository. `index` is empty until `load_index`."""

    def __init__(self, storage: Storage, material: KeyMaterial, key_id: str, config: dict[str, Any]) -> None:
        self.storage, self.key, self.key_id = storage, Key(material), key_id
        self.id: str = config["id"]
        self.polynomial: int = int(config["chunker_polynomial"], 16)
        self.index = Index()
        self.codec = BlobCodec(self.key)

    @classmethod
    def create(cls, storage: Storage, password: str, now_ns: int) -> Repository:
        """Makes a new one. Raises EngineError: exists, and what the storage raises."""
        if not password:
            raise EngineError("wrong_password", "cannot make a repository without a password; give one")
        storage.create()
        try:
            storage.read("config", "config")
        except EngineError as error:
            if error.code != "not_found":
                raise
        else:
            raise EngineError("exists", f"cannot make a repository at {storage.place}: there is one already; use it")
        material = KeyMaterial.random()
        raw = keyfile.make(password, material, now_ns)
        key_id = hashlib.sha256(raw).hexdigest()
        storage.write("keys", key_id, raw)
        config = {
            "version": VERSION,
            "id": os.urandom(32).hex(),
            "chunker_polynomial": f"{polynomial.random_irreducible():x}",
        }
        try:
            storage.write("config", "config", Key(material).seal(json.dumps(config).encode()))
        except EngineError:
            storage.remove("keys", key_id)  # another was quicker: its configuration is under its own key
            raise
        return cls(storage, material, key_id, config)

    @classmethod
    def open(cls, storage: Storage, password: str) -> Repository:
        """Opens one. Raises EngineError: no_repository, wrong_password, version, damaged, and the storage's."""
        try:
            raw = storage.read("config", "config")
        except EngineError as error:
            if error.code != "not_found":
                raise
            raise EngineError(
                "no_repository", f"cannot open a repository at {storage.place}: there is none; "
                "`blackhole backup repo init` makes one",
            ) from error  # fmt: skip
        key_id, material = _unlock(storage, password)
        try:
            config = json.loads(Key(material).open(raw))
            version = int(config["version"])
            str(config["id"]), int(config["chunker_polynomial"], 16)
        except (Unauthentic, ValueError, KeyError, TypeError) as error:
            raise damaged(f"the configuration of the repository at {storage.place}", str(error)) from error
        if version != VERSION:
            raise EngineError(
                "version", f"cannot use the repository at {storage.place}: its format is version {version}, and only "
                f"version {VERSION} is read and written; `restic migrate upgrade_repo_v2` brings version 1 there",
            )  # fmt: skip
        return cls(storage, material, key_id, config)

    def store(self, writer: PackWriter) -> Packed:
        """Completes a pack and stores it. It is in no index yet."""
        finished = writer.finish(self.key)
        self.storage.put("data", finished.id.hex(), finished.file)
        return finished.id, finished.blobs

    def load_index(self, problem: Callable[[str, EngineError], None] | None = None) -> list[str]:
        """Reads the whole index anew; the names of its files. Read what snapshots there are before this.

        Without `problem` a damaged file raises EngineError; with it, it is told and left out.
        """
        index, names = Index(), []
        for name, _ in list(self.storage.list("index")):
            try:
                index.load(name, self.load("index", name))
                names.append(name)
            except EngineError as error:
                if problem is None:
                    raise
                problem(name, error)
        self.index = index
        return names

    def save_index(self, packs: Iterable[Packed]) -> list[str]:
        """Stores index files for these packs; their names."""
        names, held, count = [], {}, 0
        for pack, blobs in packs:
            held[pack] = blobs
            count += len(blobs)
            if count >= MAX_BLOBS:
                names.append(self.save("index", document(held)))
                held, count = {}, 0
        return [*names, self.save("index", document(held))] if held else names

    def load(self, kind: Document, name: str) -> dict[str, Any]:
        """The content of a file. Raises EngineError: not_found, damaged."""
        what = f"{kind}/{name[:8]}"
        raw = self.storage.read(kind, name)
        if hashlib.sha256(raw).hexdigest() != name:
            raise damaged(what, "its content does not match its name")
        try:
            plain = self.key.open(raw)
            if plain[:1] == _COMPRESSED:
                plain = zstandard.ZstdDecompressor().decompress(plain[1:], max_output_size=MAX_FILE)
            said = json.loads(plain)
        except (Unauthentic, zstandard.ZstdError, ValueError) as error:
            raise damaged(what, str(error)) from error
        if isinstance(said, list) and kind == "index":  # before format version 2 an index was only the list
            return {"packs": said}
        if not isinstance(said, dict):
            raise damaged(what, "it is not an object")
        return said

    def save(self, kind: Document, said: dict[str, Any]) -> str:
        """Stores a file and returns its name."""
        return self.save_text(kind, json.dumps(said))

    def save_text(self, kind: Document, text: str) -> str:
        """As `save`, of what is JSON already."""
        packed = zstandard.ZstdCompressor(level=LEVEL).compress(text.encode())
        raw = self.key.another().seal(_COMPRESSED + packed)  # a lock is renewed by a thread beside the one that seals
        name = hashlib.sha256(raw).hexdigest()
        self.storage.write(kind, name, raw)
        return name

    def read_blob(self, id: bytes) -> bytes:
        """A blob's content, from whichever of its places is whole. Raises EngineError: damaged, and the storage's."""
        places = self.index.all(id)
        for place in places[:-1]:
            try:
                return self.read_at(id, place)
            except EngineError as error:
                if error.code not in ("damaged", "not_found"):
                    raise
        if not places:
            raise damaged(f"the blob {id.hex()[:8]}", "no index knows it")
        return self.read_at(id, places[-1])

    def read_at(self, id: bytes, place: Place) -> bytes:
        """A blob's content from one place."""
        sealed = self.storage.read("data", place.pack.hex(), place.offset, place.length)
        return self.codec.decode(id, sealed, place.raw)

    def snapshots(self) -> Iterator[Snapshot]:
        """All of them, in no order; one that vanishes meanwhile is left out. Raises EngineError: damaged."""
        for name, _ in list(self.storage.list("snapshots")):
            try:
                yield snapshot.parse(name, self.load("snapshots", name))
            except EngineError as error:
                if error.code != "not_found":
                    raise

    def snapshot(self, text: str) -> Snapshot:
        """The one whose id begins so. Raises EngineError: not_found, also for an id that begins several."""
        names = [name for name, _ in self.storage.list("snapshots") if name.startswith(text.lower())]
        if len(names) != 1 or not text:
            why = (
                f"{len(names)} snapshots begin so"
                if names and text
                else "there is none; `blackhole backup list` shows all"
            )
            raise EngineError("not_found", f"cannot find the snapshot {text}: {why}")
        return snapshot.parse(names[0], self.load("snapshots", names[0]))

    def list_keys(self) -> list[keyfile.KeyInfo]:
        """The keys, oldest first."""
        found = [keyfile.info(name, self.storage.read("keys", name)) for name, _ in self.storage.list("keys")]
        return sorted(found, key=lambda one: (one.time_ns, one.id))

    def add_key(self, password: str, now_ns: int) -> str:
        """One more password that opens this repository; the id of its key."""
        if not password:
            raise EngineError("wrong_password", "cannot add a key without a password; give one")
        raw = keyfile.make(password, self.key.material, now_ns)
        name = hashlib.sha256(raw).hexdigest()
        self.storage.write("keys", name, raw)
        return name

    def remove_key(self, id: str) -> None:
        """Removes a password. Raises EngineError: refused for the one in use, not_found."""
        found = [name for name, _ in self.storage.list("keys") if name.startswith(id)]
        if len(found) != 1:
            raise EngineError("not_found", f"cannot remove the key {id[:8]}: {len(found) or 'no'} keys have this id")
        if found[0] == self.key_id:
            raise EngineError(
                "refused", f"cannot remove the key {id[:8]}: it is the one in use; open with another first"
            )
        self.storage.remove("keys", found[0])


def _unlock(storage: Storage, password: str) -> tuple[str, KeyMaterial]:
    names = [name for name, _ in storage.list("keys")]
    for name in sorted(names):
        raw = storage.read("keys", name)
        if hashlib.sha256(raw).hexdigest() != name:
            if len(names) == 1:
                raise damaged(f"the key {name[:8]}", "its content does not match its name")
            continue
        if material := keyfile.unlock(name, raw, password):
            return name, material
    raise EngineError(
        "wrong_password", f"cannot open the repository at {storage.place}: none of its {len(names)} keys opens with "
        "this password; check `backup.password_file`",
    )  # fmt: skip
