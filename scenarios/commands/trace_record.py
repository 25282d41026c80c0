"""`moesim trace record`: run a Hugging Face MoE model over a text and keep its routing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hwexec.recording import Request

_MOST_AHEAD = 4


def record(
    model: Annotated[str, typer.Option("--model", metavar="DIR", help="Folder or hub name of the model.")],
    text: Annotated[Path, typer.Option("--text", metavar="FILE", help="What it reads, as UTF-8.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the trace goes: NAME.trace.arrow.")],
    length: Annotated[int, typer.Option("--length", min=2, help="Tokens of the text in a sequence.")] = 512,
    prompt: Annotated[
        int | None, typer.Option("--prompt", min=0, help="How many of them are the prompt; default: a quarter.")
    ] = None,
    sequences: Annotated[
        int | None, typer.Option("--sequences", min=1, help="How many at most; default: the whole text.")
    ] = None,
    generate: Annotated[
        int, typer.Option("--generate", min=0, help="Tokens that the model adds to each sequence by itself.")
    ] = 0,
    ahead: Annotated[
        int, typer.Option("--ahead", min=0, max=_MOST_AHEAD, help="Layers ahead for which gates are asked early.")
    ] = 1,
    device: Annotated[str, typer.Option("--device", help="Where it runs, as torch names it.")] = "cpu",
) -> None:
    """Record which experts a model chooses for the tokens of a text, and what its gates would have said layers before.

    The text is cut into sequences; their tokens after the prompt count as decoded, for a model routes a token alike
    whether it reads or writes it.
    """
    from hwexec.recording import record as run
    from scenarios.progress import progress_line
    from sim.errors import InputError

    if not str(out).endswith(".arrow"):
        raise InputError("must end in .arrow", field="--out", value=str(out), remedy=f"write {out}.trace.arrow")
    if prompt is not None and prompt > length:
        raise InputError(f"is more than --length, {length}", field="--prompt", value=prompt, remedy="lower it")
    with progress_line() as say:
        say("loading the model")
        network, tokenizer = _load(model, device)
        requests = _requests(tokenizer, text, length, length // 4 if prompt is None else prompt, sequences)
        trace = run(network, requests, generate=generate, ahead=ahead, progress=say)
        trace.provenance["dataset"] = text.name
        trace.save(out)
    typer.echo(
        f"{out}: {trace.n_tokens} tokens in {trace.n_sequences} sequences, {trace.n_layers} layers of "
        f"{trace.n_experts} experts, {trace.top_k} a token"
    )


def _load(name: str, device: str) -> tuple[Any, Any]:
    from sim.errors import InputError

    try:
        import transformers
    except ImportError as error:
        raise InputError("needs transformers", field="--model", remedy="pip install 'moesim[hf]'") from error
    try:
        config = transformers.AutoConfig.from_pretrained(name)
        kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
        network: Any = kind.from_pretrained(name, dtype="auto")
        return network.to(device).eval(), transformers.AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"cannot be loaded: {reason}", field="--model", value=name, remedy="give a folder with model and tokenizer"
        ) from error


def _requests(tokenizer: Any, text: Path, length: int, prompt: int, most: int | None) -> list[Request]:
    from hwexec.recording import Request
    from sim.errors import InputError
    from sim.inputs import read_text

    tokens = tokenizer(read_text(text, "give a text file"))["input_ids"]
    cut = [tokens[start : start + length] for start in range(0, len(tokens), length)]
    whole = [part for part in cut if len(part) == length] or cut
    if not tokens:
        raise InputError("holds no tokens", file=text, remedy="give a text that is not empty")
    return [Request(part, min(prompt, len(part))) for part in whole[:most]]
