"""The tables of docs/machines.md: what the presets achieve, the efficiency figures and the stacks, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.datasheet import GIB
from scenarios.efficiency import Constant, Share, StatedSpread, efficiency
from scenarios.machine_presets import list_machines, load_machine
from scenarios.stacks import stacks
from sim.machine import Link, Machine, Stack
from sim.memory import GPU_MEMORY, HOST_MEMORY
from sim.origins import DISPATCH, HANDOFF, SYNC

_MACHINE_HEAD = (
    "preset", "GPU memory usable, GiB", "GPU memory, GB/s", "16-bit TFLOP/s", "PCIe", "pinned, GB/s", "pageable, GB/s",
    "CPU reads, GB/s", "host memory shared (theoretical), GB/s", "CPU fp32 TFLOP/s", "host memory usable, GiB",
    "GPU board power / CPU TDP, W",
)  # fmt: skip
_STACK_HEAD = (
    "stack",
    "attention",
    "gate",
    "expert",
    "combine",
    "head",
    "load",
    "wait",
    "CPU handoff",
    "spread of these three",
    "copies",
    "source",
)


def tables() -> dict[str, str]:
    """Every generated table of docs/machines.md, by the name that marks its place there."""
    presets = [_machine_row(load_machine(name)) for name in list_machines()]
    figures = [_figure_row(name, figure) for name, figure in efficiency().named().items()]
    return {
        "machines": markdown_table(_MACHINE_HEAD, presets),
        "efficiency": markdown_table(("figure", "value", "spread", "what it is, and where it comes from"), figures),
        "stacks": markdown_table(_STACK_HEAD, [_stack_row(name, stack) for name, stack in stacks().items()]),
    }


def _machine_row(machine: Machine) -> list[str]:
    gpu, cpu = (_expert_line(machine, device) for device in ("gpu", "cpu"))
    theoretical = machine.fingerprint["dram"].split("(")[1].split(" GB/s")[0]
    return [
        f"`{machine.name}`",
        f"{machine.memory[GPU_MEMORY].usable_bytes / GIB:.1f}",
        f"{gpu[0] / 1e9:.0f}",
        f"{gpu[1] / 1e12:.3g}",
        machine.fingerprint["pcie"].split(" (")[0],
        *(f"{_rate(link) / 1e9:.1f}" for link in machine.links if link.direction == "h2d"),
        f"{cpu[0] / 1e9:.1f}",
        f"{machine.capacities['dram'] / 1e9:.1f} ({theoretical})",
        f"{cpu[1] / 1e12:.2g}",
        f"{machine.memory[HOST_MEMORY].usable_bytes / GIB:.0f}",
        " / ".join(f"{power.busy_w:g}" for power in machine.power.values()),
    ]


def _figure_row(name: str, figure: Share | Constant) -> list[str]:
    if isinstance(figure, Constant):
        spread = figure.spread
        return [f"`{name}`", f"{figure.value:g}", "–" if spread is None else _stated(spread), figure.source]
    measured = "; ".join(f"{m.achieved / m.of:.3f} ({m.achieved:g} of {m.of:g}) {m.source}" for m in figure.measured)
    spread_of = f"{figure.spread:.0%}" if figure.few is None else _stated(figure.few)
    return [f"`{name}`", f"{figure.value:.3f}", spread_of, f"{figure.what}: {measured}"]


def _stated(spread: StatedSpread) -> str:
    return f"{spread.value:.0%} ({spread.source})"


def _stack_row(name: str, stack: Stack) -> list[str]:
    dispatch = [_us(stack.dispatch_s[kind]) for kind in ("attention", "gate", "expert", "combine", "head", "load")]
    if stack.grouped_experts:
        dispatch[2] += " for all of a token's"
    spread = " / ".join(f"{stack.spread[name]:.0%}" for name in (DISPATCH, SYNC, HANDOFF))
    return [f"`{name}`", *dispatch, _us(stack.sync_s), _us(stack.handoff_s["cpu"]), spread, stack.copies, stack.source]


def _expert_line(machine: Machine, device: str) -> tuple[float, float]:
    """Bytes and FLOP a second of experts whose weights are unpacked to the device's usual format."""
    line = next(x for x in machine.rooflines if (x.device, x.kind, x.precision) == (device, "expert", None))
    return line.bytes_per_s, line.flop_per_s


def _rate(link: Link) -> float:
    """Bytes a second of large copies."""
    x, seconds = link.curve.x, link.curve.seconds
    return (x[-1] - x[-2]) / (seconds[-1] - seconds[-2])


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.3g}"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
