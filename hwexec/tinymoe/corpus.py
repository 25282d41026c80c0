"""Text that every machine has: the sources of Python's standard library, cut into training and held-out files."""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Split = Literal["train", "held-out"]
_HELD_OUT_OF = 20  # every twentieth file, by the digest of its name
_LEFT_OUT = {"site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__", "ensurepip"}
_LEAST_BYTES = 2_000


def name() -> str:
    """What the text is, for the provenance of what was made from it."""
    return f"standard library of Python {platform.python_version()}"


def files(split: Split, root: Path | None = None) -> list[Path]:
    """The source files of a split, in the order of their digests, so that subjects mix."""
    root = root or Path(sysconfig.get_paths()["stdlib"])
    found = {}
    for path in root.rglob("*.py"):
        place = path.relative_to(root)
        if not _LEFT_OUT & set(place.parts) and path.stat().st_size >= _LEAST_BYTES:
            digest = hashlib.sha256(place.as_posix().encode()).digest()
            if (digest[0] % _HELD_OUT_OF == 0) == (split == "held-out"):
                found[digest] = path
    return [found[digest] for digest in sorted(found)]


def texts(split: Split, root: Path | None = None) -> list[str]:
    """What the files hold."""
    return [path.read_text(encoding="utf-8", errors="replace") for path in files(split, root)]


def train_tokenizer(lines: list[str], vocab: int) -> Tokenizer:
    """Byte-pair encoding over bytes, learned on some texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=alphabet))
    return tokenizer
