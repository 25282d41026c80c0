"""What is asked: a model on a machine and how it is used; and what that is once the names are resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from scenarios.fit import Setting, requests_of
from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from scenarios.resolve import Case
from scenarios.routing import Routing, synthetic
from scenarios.routing_presets import routing_of
from scenarios.schema import Scenario, WorkloadSpec
from sim.errors import InputError
from sim.machine import Machine
from sim.model import MoEModel
from sim.precision import Precisions, precision

_CONTEXT, _PROMPT, OUTPUT = 4096, 256, 16  # what is assumed where nothing is stated
_REQUESTS = 4  # at least: the synthetic routing of one request alone is far from that of all
_LEAN = "llama.cpp"  # the stack that has kernels for every format
_FEW_TOKENS = 4  # put out by what does the same at every step


@dataclass(frozen=True)
class Question:
    """A model and a machine by name or path, and how they are used.

    Memory is set aside for `context` tokens of each of `batch` sequences; what is timed are some requests of `prompt`
    tokens in and `output` out. `recall` is the share that a prefetching strategy's guesses find. None: what is usual.
    """

    model: str
    machine: str
    context: int | None = None
    batch: int = 1
    prompt: int | None = None
    output: int = OUTPUT
    precision: str | None = None
    stack: str | None = None
    like: str | None = None
    recall: float = 0.85
    seed: int = 0

    def workload(self) -> WorkloadSpec:
        """The requests that are timed; raises InputError if the context is too short for them."""
        prompt = self.prompt or min(_PROMPT, max(1, (self.context or _CONTEXT) - self.output))
        if self.context is not None and prompt + self.output > self.context:
            raise InputError(
                f"is shorter than the {prompt} tokens in and {self.output} out that are timed",
                field="--context", value=self.context, remedy="raise it, or lower --prompt or --output",
            )  # fmt: skip
        sequences = self.batch * -(-_REQUESTS // self.batch)
        return WorkloadSpec(prompt=prompt, output=self.output, batch=self.batch, sequences=sequences, like=self.like)


@dataclass(frozen=True)
class Ground:
    """The question with its names resolved: what every strategy is tried on."""

    question: Question
    workload: WorkloadSpec
    model: MoEModel
    machine: Machine
    stack: str
    routing: Routing

    @property
    def context(self) -> int:
        """Tokens of a sequence that memory is set aside for."""
        return self.question.context or max(_CONTEXT, int(np.diff(self.routing.trace.offsets).max()))

    @cached_property
    def few_tokens(self) -> Routing:
        """One batch of the same requests, cut short."""
        fewer = {"output": min(_FEW_TOKENS, self.workload.output), "sequences": None}
        return synthetic(self.workload.model_copy(update=fewer), self.model, self.question.seed)

    @property
    def routing_like(self) -> str:
        """The preset that the routing imitates."""
        return self.question.like or routing_of(self.model).name

    def on(self, machine: Machine) -> Ground:
        """The same question about another machine."""
        return replace(self, machine=machine)

    def setting(self, weights: str) -> Setting:
        """What decides on memory, with all weights in one format."""
        requests = requests_of(self.routing.trace, self.workload.batch)
        requests["context"] = self.context
        return Setting(self.model, precisions(weights), self.machine, requests)

    def case(self, weights: str, *, steady: bool = False) -> Case:
        """A scenario without strategies; cut short if every step is the same (`steady`)."""
        routing = self.few_tokens if steady else self.routing
        spec = Scenario.model_validate(self.scenario(weights) | {"strategies": ["cache"]})
        return Case(
            spec, spec.title, self.model, precisions(weights), self.machine, routing.trace, routing.popularity,
            routing.calibration, (),
        )  # fmt: skip

    def scenario(self, weights: str) -> dict[str, Any]:
        """The fields of a scenario file that asks the same of `moesim run`, but for its strategies."""
        asked = self.question
        return {
            "model": asked.model,
            "precision": weights,
            "machine": asked.machine,
            "stack": self.stack,
            "workload": self.workload.model_dump(exclude_none=True),
            "predictor": {"recall": asked.recall},
            "seed": asked.seed,
        }


def resolve(question: Question) -> Ground:
    """Find what the question names; raises InputError, naming the option, for what is not known."""
    model, machine = load_model(question.model), load_machine(question.machine)
    if question.precision is not None:
        precision(question.precision)
    if question.stack is not None:
        machine.stack(question.stack)
    stack = question.stack or (_LEAN if _LEAN in machine.stacks else next(iter(machine.stacks)))
    workload = question.workload()
    return Ground(question, workload, model, machine, stack, synthetic(workload, model, question.seed))


def precisions(weights: str) -> Precisions:
    """All weights in one format, the KV cache in 16 bits or more."""
    return Precisions(weights, weights, weights if weights in ("fp32", "fp16") else "bf16")
