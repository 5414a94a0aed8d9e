"""Files for engineers: event log, audit log, black box; and their chunks.

Lives here: making the bytes (slow, in a thread of their own) and cutting them.  May not live here:
sending.  Everything is gzip of JSON lines, so that `base64 -d | gunzip` is enough.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.core.refusal import Blame, Refusal
from controller.service.core.limits import CHUNK_BYTES
from controller.service.journal import AUDIT, AUDIT_BEFORE
from realtime.wire.record import BlackBoxError
from realtime.wire.recordfile import row, walk

BLACK_BOX: Final = "blackbox.ring"


@dataclass(frozen=True, slots=True)
class Bundle:
    """One file, whole."""

    name: str
    content: bytes

    @property
    def chunks(self) -> int:
        """How many parts it has, at least one."""
        return max(1, -(-len(self.content) // CHUNK_BYTES))

    def chunk(self, index: int) -> dict[str, Any]:
        """Part `index` from 0, with the CRC-32 of its bytes."""
        part = self.content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        return {
            "index": index,
            "crc32": zlib.crc32(part),
            "base64": base64.b64encode(part).decode(),
        }

    def summary(self) -> dict[str, Any]:
        """What a receiver compares at the end."""
        return {"name": self.name, "bytes": len(self.content), "chunks": self.chunks,
                "sha256": hashlib.sha256(self.content).hexdigest()}  # fmt: skip


def packed(name: str, lines: Sequence[str]) -> Bundle:
    """JSON lines as gzip; the same lines give the same bytes."""
    text = "".join(f"{line}\n" for line in lines).encode()
    return Bundle(f"{name}.jsonl.gz", gzip.compress(text, compresslevel=6, mtime=0))


def black_box_rows(run_dir: Path, newest: int | None = None) -> list[dict[str, Any]]:
    """The rows of `carm blackbox show`, oldest first; raises Refusal when it cannot be read."""
    try:
        entries = list(walk((run_dir / BLACK_BOX).read_bytes()))
    except (OSError, BlackBoxError) as error:
        raise Refusal("black_box", Blame.MACHINE, BLACK_BOX, str(error)[:80], "a black box",
                      "realtime makes it when it starts") from None  # fmt: skip
    return [row(one) for one in (entries[-newest:] if newest else entries)]


def black_box(run_dir: Path) -> Bundle:
    """Every record of the ring."""
    return packed("blackbox", [json.dumps(one) for one in black_box_rows(run_dir)])


def audit(folder: Path) -> Bundle:
    """The audit log as it is kept."""
    files = [folder / name for name in (AUDIT_BEFORE, AUDIT) if (folder / name).exists()]
    lines = [text for path in files for text in path.read_text(encoding="ascii").splitlines()]
    return packed("audit", lines)
