"""The fields of a scenario file: what they are called, what they may hold, and which of them contradict each other."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from sim.precision import PRECISIONS

KV_FORMATS = ("fp32", "bf16", "fp16")


class Part(BaseModel):
    """Base of every mapping in a scenario file: types are strict and a field that does not exist is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, data: Any) -> Any:
        if isinstance(data, dict) and cls.model_config.get("extra") == "forbid":
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for name in data:
                if name not in known:
                    raise refusal("there is no such field", did_you_mean(str(name), known), str(name))
        return data


def refusal(message: str, remedy: str, field: str = "") -> PydanticCustomError:
    """A complaint with a remedy, about the value at hand or one of its fields, for a validator to raise."""
    context = {"message": message, "remedy": remedy, "field": field}
    return PydanticCustomError("refusal", "{message}", context)


def did_you_mean(name: str, known: list[str]) -> str:
    """A remedy for a name that is not known."""
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"choose one of {', '.join(known)}"


def _cache(value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    share = isinstance(value, str) and re.fullmatch(r"\d{1,2}(\.\d+)?\s*%|100\s*%", value)
    if not (number or share or value in ("all", "auto")):
        remedy = "give a number of experts, a share such as 47%, all, or auto (what fits)"
        raise refusal("cannot be a cache size", remedy)
    return value


def _precision_name(value: Any) -> Any:
    if not isinstance(value, str) or value not in PRECISIONS:
        raise refusal("unknown precision", did_you_mean(str(value), list(PRECISIONS)))
    return value


PrecisionName = TypeAliasType(
    "PrecisionName", Annotated[str, BeforeValidator(_precision_name), Field(json_schema_extra={"enum": [*PRECISIONS]})]
)
CacheSize = TypeAliasType(
    "CacheSize",
    Annotated[
        int | str,
        BeforeValidator(_cache),
        Field(description="Experts kept on the GPU: a number, a share such as 47%, all, or auto (as many as fit)."),
    ],
)


Share = Annotated[float, Field(ge=0, le=1)]
PLAIN, STRUCTURED = "(plain)", "(structured)"  # which of two spellings a value has; in brackets, for it is no field


def _spelling(value: Any) -> str:
    return PLAIN if isinstance(value, int | float | str) else STRUCTURED


class PrecisionSpec(Part):
    """What the routed experts, all other weights and the KV cache are stored in."""

    experts: PrecisionName
    rest: PrecisionName = "bf16"
    kv: PrecisionName = "bf16"


def _precision(value: Any) -> Any:
    """One name is for all weights; the cache takes it too if it is a format that caches are kept in, else bf16."""
    if not isinstance(value, str):
        return value
    _precision_name(value)
    return {"experts": value, "rest": value, "kv": value if value in KV_FORMATS else "bf16"}


class LengthSpec(Part):
    """Prompts of different lengths, as a data set has them: log-normal around a median, at most `longest`."""

    median: PositiveInt
    sigma: Annotated[float, Field(ge=0, le=3, description="Standard deviation of the logarithm of the length.")]
    longest: PositiveInt = 512

    @model_validator(mode="after")
    def _median_within(self) -> Self:
        if self.median > self.longest:
            raise refusal(f"is above `longest`, {self.longest}", "raise `longest`, or lower `median`", "median")
        return self


class WorkloadSpec(Part):
    """Synthetic requests: `sequences` of them, each `prompt` tokens in and `output` tokens out, `batch` at a time."""

    prompt: Annotated[
        Annotated[PositiveInt, Tag(PLAIN)] | Annotated[LengthSpec, Tag(STRUCTURED)], Discriminator(_spelling)
    ]
    output: PositiveInt
    batch: PositiveInt = 1
    sequences: PositiveInt | None = Field(default=None, description="Default: one batch.")
    like: str | None = Field(
        default=None,
        description="A routing preset, or the path of one; default: the model's own, else by the number of experts.",
    )

    @model_validator(mode="after")
    def _whole_batches(self) -> Self:
        if self.sequences is not None and self.sequences < self.batch:
            raise refusal(
                f"{self.sequences} sequences cannot fill a batch of {self.batch}", "raise `sequences`, or lower `batch`"
            )
        return self


class TraceSpec(Part):
    """Recorded routing: a file, and the share of it that serves for calibration and is left out of the run."""

    file: str
    calibrate_on: Annotated[float, Field(ge=0, lt=1)] = 0.25
    batch: PositiveInt = 1


class PredictorSpec(Part):
    """Who tells a prefetching strategy what the next MoE block will need.

    next-layer: that block's gate on the present hidden state, which finds a share `recall` of the experts; recorded:
    the same as the trace has it; transitions: what followed the present block's experts in the calibration sequences;
    popularity: the most popular so far; last-token: what the block needed for the token before; perfect.
    """

    kind: Literal["next-layer", "recorded", "transitions", "popularity", "last-token", "perfect"] = "next-layer"
    recall: (
        Annotated[
            Annotated[Share, Tag(PLAIN)] | Annotated[list[Share], Tag(STRUCTURED)],
            Discriminator(_spelling),
            Field(description="One share, or one for each MoE block."),
        ]
        | None
    ) = None
    decay: Share = Field(default=1.0, description="What each further block of look-ahead multiplies the recall by.")

    @model_validator(mode="after")
    def _recall_where_it_is_free(self) -> Self:
        if self.kind == "next-layer" and self.recall is None:
            raise refusal("a next-layer predictor needs its recall", "add `recall`, e.g. 0.85", "recall")
        if self.kind != "next-layer" and self.recall is not None:
            raise refusal(f"contradicts `kind: {self.kind}`, whose recall follows", "leave `recall` out", "recall")
        return self


class StrategySpec(Part):
    """One strategy to compare: its name, its knobs, and what it does not share with the others."""

    model_config = ConfigDict(extra="allow")

    name: str
    label: str | None = Field(default=None, description="What reports call it; default: the name and the knobs.")
    cache: CacheSize | None = None
    stack: str | None = Field(default=None, description="Software stack of the machine; default: the scenario's.")
    predictor: PredictorSpec | None = None

    @property
    def knobs(self) -> dict[str, Any]:
        """The fields that belong to the strategy itself."""
        return dict(self.model_extra or {})

    @property
    def title(self) -> str:
        """The label, or the name and what was set."""
        common = {"cache": self.cache, "stack": self.stack}
        stated = self.knobs | {field: value for field, value in common.items() if value is not None}
        return self.label or " ".join([self.name, *(f"{k}={_plain(v)}" for k, v in stated.items())])


def _strategy(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Scenario(Part):
    """One question: this model on this machine under this load, with these strategies side by side."""

    title: str = ""
    model: str = Field(description="A preset, or the path of a Hugging Face config.json or of a model's YAML file.")
    precision: Annotated[
        PrecisionSpec, BeforeValidator(_precision, json_schema_input_type=PrecisionName | PrecisionSpec)
    ]
    machine: str = Field(description="A preset, or the path of a datasheet (YAML) or of a measured machine (JSON).")
    machine_with: dict[str, PositiveFloat] = Field(
        default={}, description="Numbers of the machine that are changed, by name, e.g. link.pageable.gb_per_s."
    )
    stack: str | None = Field(default=None, description="Software stack of the machine; default: its first.")
    workload: WorkloadSpec | None = None
    trace: TraceSpec | None = None
    cache: CacheSize = "auto"
    predictor: PredictorSpec | None = None
    seed: NonNegativeInt = 0
    strategies: list[Annotated[StrategySpec, BeforeValidator(_strategy, json_schema_input_type=str | StrategySpec)]]

    @field_validator("strategies")
    @classmethod
    def _told_apart(cls, specs: list[StrategySpec]) -> list[StrategySpec]:
        if not specs:
            raise refusal("is empty", "name at least one strategy (`moesim list strategies`)")
        titles = [spec.title for spec in specs]
        for title in titles:
            if titles.count(title) > 1:
                raise refusal(f"two of them are called {title!r}", "give each a `label` of its own")
        return specs

    @model_validator(mode="after")
    def _one_source_of_routing(self) -> Self:
        if (self.workload is None) == (self.trace is None):
            both = self.workload is not None
            raise refusal(
                "`workload` and `trace` contradict each other" if both else "no routing is given",
                "keep one of them" if both else "add `workload` (synthetic requests) or `trace` (a recording)",
                "trace" if both else "workload",
            )
        return self

    @property
    def batch(self) -> int:
        """Sequences that run in lock-step."""
        source = self.workload or self.trace
        return source.batch if source is not None else 1


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
