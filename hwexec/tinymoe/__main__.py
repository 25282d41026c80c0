"""`python -m hwexec.tinymoe train|record`: make the model, and the trace of its routing on held-out text."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from sim.errors import MoesimError

_JUDGED_ON = 50_000  # held-out tokens
_STEPS = 256  # of a gate weight


def main(arguments: list[str] | None = None) -> int:
    """Parse and run; errors that were raised on purpose are one line."""
    parser = argparse.ArgumentParser(prog="python -m hwexec.tinymoe", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train on the sources of Python's standard library")
    train.add_argument("folder", type=Path)
    train.add_argument("--tokens", type=int, default=6_000_000)
    train.add_argument("--device", default="cpu")
    record = commands.add_parser("record", help="record the routing of held-out files")
    record.add_argument("folder", type=Path)
    record.add_argument("out", type=Path)
    record.add_argument("--tokens", type=int, default=24_000)
    record.add_argument("--length", type=int, default=256)
    record.add_argument("--ahead", type=int, default=0)
    asked = parser.parse_args(arguments)
    try:
        _train(asked) if asked.command == "train" else _record(asked)
    except MoesimError as error:
        print(f"tinymoe: error: {error}", file=sys.stderr)
        return 2
    return 0


def _train(asked: argparse.Namespace) -> None:
    import torch

    from hwexec.tinymoe import corpus
    from hwexec.tinymoe.network import Geometry
    from hwexec.tinymoe.train import Recipe, perplexity, train

    geometry = Geometry()
    texts = corpus.texts("train")
    tokenizer = corpus.train_tokenizer(texts, geometry.vocab)
    asked.folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(asked.folder / "tokenizer.json"))
    stream, unseen = (
        torch.tensor([t for encoded in tokenizer.encode_batch(some) for t in encoded.ids])
        for some in (texts, corpus.texts("held-out"))
    )
    print(f"{corpus.name()}: {len(stream):,} tokens to train on, {len(unseen):,} held out")
    recipe = Recipe(tokens=asked.tokens)
    model = train(
        stream, geometry, recipe, asked.folder, device=asked.device,
        progress=lambda text, share: print(f"{100 * share:5.1f} %  {text}", flush=True),
    )  # fmt: skip
    print(f"perplexity of held-out text: {perplexity(model.cpu(), unseen[:_JUDGED_ON]):.1f}")


def _record(asked: argparse.Namespace) -> None:
    import numpy as np
    import torch
    from tokenizers import Tokenizer

    from hwexec.recording import Request, record
    from hwexec.tinymoe import corpus
    from hwexec.tinymoe.train import load, perplexity, recipe

    model = load(asked.folder)
    tokenizer = Tokenizer.from_file(str(asked.folder / "tokenizer.json"))
    requests = []
    held_out = tokenizer.encode_batch(corpus.texts("held-out"))
    for encoded in held_out:
        for start in range(0, len(encoded.ids) - asked.length, 4 * asked.length):  # not all of one file
            requests.append(Request(encoded.ids[start : start + asked.length], asked.length // 4))
    trace = record(model, requests[: -(-asked.tokens // asked.length)], ahead=asked.ahead)
    unseen = torch.tensor([t for encoded in held_out for t in encoded.ids][:_JUDGED_ON])
    about = {
        "dataset": f"held-out files of the {corpus.name()}",
        "training": recipe(asked.folder),
        "perplexity": round(perplexity(model, unseen), 2),
        "weights": f"rounded to multiples of 1/{_STEPS}",
    }
    assert trace.weights is not None
    coarse = np.round(trace.weights * _STEPS) / np.float32(_STEPS)  # what compresses well
    replace(trace, weights=coarse, provenance=trace.provenance | about).save(asked.out, compress=True)
    print(f"{asked.out}: {trace.n_tokens:,} tokens in {trace.n_sequences} sequences")


if __name__ == "__main__":
    sys.exit(main())
