"""Links the compiled loops of sensing into one shared library, for `sensing/loops.py` to load without a compiler.

What is linked is numba's own optimised code for each loop and each set of argument types that it was called with in
this process, written out by LLVM for this very processor. Around each loop stands an entry that takes NumPy's arrays as
Python objects, compares type, dimensions, layout and whether they may be written, and hands the loop what is in them.
Of numba's run-time library only its memory blocks are needed: the few lines of them stand in RUNTIME.

Linking takes a linker (cc, or ld of any make); without one nothing is made, and numba compiles in each process.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from sensing.loops import DTYPES, OTHER_TYPES, RESULTS, SCALARS, Signature

LINKERS: Final = (("cc", "-shared", "-nostartfiles"), ("gcc", "-shared", "-nostartfiles"),
                  ("clang", "-shared", "-nostartfiles"), ("ld", "-shared"), ("ld.lld", "-shared"),
                  ("ld.gold", "-shared"))  # fmt: skip
DATA, DIMENSIONS, SHAPE, STRIDES, TYPE, FLAGS = 16, 24, 32, 40, 56, 64
"""Where these lie in NumPy's PyArrayObject_fields, after an object's first two words; public."""
IN_ORDER, WRITEABLE = 0x1 | 0x100, 0x400
"""NPY_ARRAY_C_CONTIGUOUS with NPY_ARRAY_ALIGNED; NPY_ARRAY_WRITEABLE."""
RUNTIME: Final = """
declare ptr @malloc(i64)
declare void @free(ptr)

define ptr @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {
  %wide = zext i32 %align to i64
  %head = add i64 %wide, 64
  %all = add i64 %head, %size
  %block = call ptr @malloc(i64 %all)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %end, label %fill
fill:
  %from = ptrtoint ptr %block to i64
  %past = add i64 %from, %head
  %extra = urem i64 %past, %wide
  %at = sub i64 %past, %extra
  %data = inttoptr i64 %at to ptr
  call void @llvm.memset.p0.i64(ptr %block, i8 0, i64 48, i1 false)
  store i64 1, ptr %block
  %held = getelementptr i8, ptr %block, i64 24
  store ptr %data, ptr %held
  %length = getelementptr i8, ptr %block, i64 32
  store i64 %size, ptr %length
  br label %end
end:
  ret ptr %block
}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define void @NRT_MemInfo_call_dtor(ptr %block) {
  call void @free(ptr %block)
  ret void
}

define i32 @numba_attempt_nocopy_reshape(i64 %nd, ptr %dims, ptr %strides, i64 %newnd, ptr %newdims, ptr %newstrides,
                                         i64 %itemsize, i32 %fortran) {
  %few = icmp ule i64 %nd, 1
  %row = icmp eq i64 %newnd, 1
  %both = and i1 %few, %row
  br i1 %both, label %made, label %no
made:
  %value = icmp eq i64 %nd, 0
  br i1 %value, label %alone, label %same
alone:
  store i64 %itemsize, ptr %newstrides
  ret i32 1
same:
  %stride = load i64, ptr %strides
  store i64 %stride, ptr %newstrides
  ret i32 1
no:
  ret i32 0
}
"""
"""A memory block of numba's: count, destructor, its argument, data, size, allocator; freed when the count is zero.

Shapes are changed without copying only where a value or a row becomes a row, as in sums and medians.
"""


class LinkageError(Exception):
    """The loops cannot be linked here: no linker, or code that needs more than RUNTIME."""


def linker() -> list[str] | None:
    """The command of the first linker that there is."""
    return next(([found, *rest] for name, *rest in LINKERS if (found := shutil.which(name))), None)


def link(loops: Iterable[Any], path: Path) -> list[Signature]:
    """Write a library of every set of types that each of numba's dispatchers was compiled for. Raises LinkageError."""
    import llvmlite.binding as llvm  # noqa: PLC0415 - only whoever links needs the compiler

    command = linker()
    if command is None:
        raise LinkageError("no linker here")
    held: list[Signature] = []
    parts = [llvm.parse_assembly(RUNTIME)]
    for loop in loops:
        for made in loop.overloads.values() if not loop.py_func.__name__.startswith("_") else ():
            result = _result(made.signature.return_type)
            if result is None or not all(map(_taken, made.signature.args)):
                continue
            signature = Signature(
                module=loop.py_func.__module__,
                name=loop.py_func.__name__,
                symbol=f"bandpact_{len(held)}",
                arguments=tuple(_told(one) for one in made.signature.args),
                result=result,
            )
            inner = made.fndesc.llvm_func_name
            parts += [_stripped(llvm.parse_assembly(made.library.get_llvm_str()), inner),
                      llvm.parse_assembly(_entry(signature, inner))]  # fmt: skip
            held.append(signature)
    whole = llvm.parse_assembly(_table(held))
    for part in parts:
        whole.link_in(part)
    _write(_object(whole, {one.symbol for one in held}), command, path)
    return held


def _taken(kind: Any) -> bool:
    """Whether an entry can take such an argument; what cannot come from Python is called by other loops only."""
    if hasattr(kind, "ndim"):
        return kind.layout == "C" and kind.aligned and str(kind.dtype) in DTYPES
    return str(kind) in SCALARS


def _told(kind: Any) -> str:
    """A type of numba's as `Signature` writes it."""
    if not hasattr(kind, "ndim"):
        return str(kind)
    return f"{'w' if kind.mutable else 'r'}{kind.ndim} {kind.dtype}"


def _result(kind: Any) -> str | None:
    """The type of a result as `Signature` writes it; None where Python cannot be given it."""
    each = str(kind.dtype) if hasattr(kind, "count") else str(kind)
    if each not in RESULTS:
        return None
    return f"{each}*{kind.count}" if hasattr(kind, "count") else each


def _stripped(module: Any, kept: str) -> Any:
    """One loop's code without what numba's own dispatcher would call it by."""
    from llvmlite.binding import Linkage  # noqa: PLC0415

    for function in module.functions:
        if not function.is_declaration and function.name != kept:
            by_dispatcher = function.name.startswith(("_ZN7cpython", "cfunc."))
            function.linkage = Linkage.internal if by_dispatcher else Linkage.linkonce_odr
    for value in module.global_variables:
        if not value.is_declaration and value.name.startswith("_ZN08NumbaEnv"):
            value.linkage = Linkage.internal
    return module


LLVM: Final = {"int64": "i64", "uint8": "i8", "float32": "float", "float64": "double"}


def _entry(signature: Signature, inner: str) -> str:
    """LLVM's text of an entry: status (result, argument, ...), arrays as Python objects, scalars as i64 or double."""
    taken, native, types, body = [], [], [], []
    for at, one in enumerate(signature.arguments):
        layout, _, name = one.rpartition(" ")
        if layout:
            taken.append(f"ptr %a{at}")
            body += _array(at, layout, name)
            native += [f"ptr null, ptr null, i64 %n{at}, i64 %z{at}, ptr %d{at}"]
            native += [f"i64 %s{at}_{k}" for k in range(int(layout[1]))]
            native += [f"i64 %t{at}_{k}" for k in range(int(layout[1]))]
            types += ["ptr, ptr, i64, i64, ptr", *["i64"] * (2 * int(layout[1]))]
            continue
        wide = "i64" if name in {"int64", "uint8"} else "double"
        taken.append(f"{wide} %a{at}")
        narrow = {"uint8": f"trunc i64 %a{at} to i8", "float32": f"fptrunc double %a{at} to float"}.get(name)
        body += [f"%v{at} = {narrow}"] if narrow else []
        native.append(f"{LLVM[name]} %{'v' if narrow else 'a'}{at}")
        types.append(LLVM[name])
    return "\n".join([
        f"@bandpact_types = external global [{1 + len(DTYPES)} x ptr]",
        f'declare i32 @"{inner}"(ptr, ptr, {", ".join(types)})',
        f"define i32 @{signature.symbol}(ptr %result, {', '.join(taken)}) {{",
        "%raised = alloca ptr",
        *body,
        f'%status = call i32 @"{inner}"(ptr %result, ptr %raised, {", ".join(native)})',
        "ret i32 %status",
        "other:",
        f"ret i32 {OTHER_TYPES}",
        "}",
    ])  # fmt: skip


SIZES: Final = {"int16": 2, "int64": 8, "uint8": 1, "uint32": 4, "bool": 1, "float32": 4, "float64": 8, "complex64": 8}


def _array(at: int, layout: str, name: str) -> list[str]:
    """Compare an array with what it is to be, and take out of it what numba's code is handed."""
    dimensions, wanted = int(layout[1]), IN_ORDER | (WRITEABLE if layout[0] == "w" else 0)
    field = f"getelementptr i8, ptr %a{at}, i64"
    type_at = f"getelementptr ptr, ptr @bandpact_types, i64 {1 + DTYPES.index(name)}"
    lines = [
        f"%p{at}_k = {field} 8", f"%k{at} = load ptr, ptr %p{at}_k", f"%w{at} = load ptr, ptr @bandpact_types",
        f"%c{at}_0 = icmp eq ptr %k{at}, %w{at}", f"br i1 %c{at}_0, label %is{at}, label %other", f"is{at}:",
        f"%p{at}_n = {field} {DIMENSIONS}", f"%nd{at} = load i32, ptr %p{at}_n",
        f"%c{at}_1 = icmp eq i32 %nd{at}, {dimensions}",
        f"%p{at}_y = {field} {TYPE}", f"%y{at} = load ptr, ptr %p{at}_y", f"%p{at}_x = {type_at}",
        f"%x{at} = load ptr, ptr %p{at}_x", f"%c{at}_2 = icmp eq ptr %y{at}, %x{at}",
        f"%p{at}_f = {field} {FLAGS}", f"%f{at} = load i32, ptr %p{at}_f", f"%g{at} = and i32 %f{at}, {wanted}",
        f"%c{at}_3 = icmp eq i32 %g{at}, {wanted}", f"%c{at}_4 = and i1 %c{at}_1, %c{at}_2",
        f"%c{at}_5 = and i1 %c{at}_3, %c{at}_4", f"br i1 %c{at}_5, label %fits{at}, label %other", f"fits{at}:",
        f"%p{at}_d = {field} {DATA}", f"%d{at} = load ptr, ptr %p{at}_d",
        f"%p{at}_s = {field} {SHAPE}", f"%ps{at} = load ptr, ptr %p{at}_s",
        f"%p{at}_t = {field} {STRIDES}", f"%pt{at} = load ptr, ptr %p{at}_t",
    ]  # fmt: skip
    for k in range(dimensions):
        for kind in "st":
            lines += [f"%q{kind}{at}_{k} = getelementptr i64, ptr %p{kind}{at}, i64 {k}",
                      f"%{kind}{at}_{k} = load i64, ptr %q{kind}{at}_{k}"]  # fmt: skip
    lines.append(f"%m{at}_0 = add i64 %s{at}_0, 0")
    lines += [f"%m{at}_{k} = mul i64 %m{at}_{k - 1}, %s{at}_{k}" for k in range(1, dimensions)]
    return [*lines, f"%n{at} = add i64 %m{at}_{dimensions - 1}, 0", f"%z{at} = add i64 0, {SIZES[name]}"]


def _table(held: list[Signature]) -> str:
    rows = [[one.module, one.name, one.symbol, one.arguments, one.result] for one in held]
    text = json.dumps(rows).encode()
    written = "".join(f"\\{byte:02x}" for byte in text)
    return (
        f"@bandpact_types = global [{1 + len(DTYPES)} x ptr] zeroinitializer\n"
        f"@bandpact_said_size = constant i64 {len(text)}\n"
        f'@bandpact_said = constant [{len(text)} x i8] c"{written}"\n'
    )


def _object(whole: Any, entries: set[str]) -> bytes:
    """Code for this processor; all but the entries and the table is private, what none of them needs is left out."""
    import llvmlite.binding as llvm  # noqa: PLC0415
    from numba.core.registry import cpu_target  # noqa: PLC0415

    kept = {*entries, "bandpact_types", "bandpact_said", "bandpact_said_size"}
    for value in (*whole.functions, *whole.global_variables):
        if not value.is_declaration and value.name not in kept:
            value.linkage = llvm.Linkage.internal
    codegen = cpu_target.target_context.codegen()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=codegen._get_host_cpu_name(),  # noqa: SLF001 - what numba itself compiles for
        features=codegen._get_host_cpu_features(),  # noqa: SLF001
        opt=3, reloc="pic", codemodel="default",
    )  # fmt: skip
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(whole, builder)
    whole.verify()
    made: bytes = machine.emit_object(whole)
    return made


def _write(code: bytes, command: list[str], path: Path) -> None:
    """Link into a file of its own, then under the name it is looked for: nobody finds half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        given, made = Path(folder) / "loops.o", Path(folder) / "loops.so"
        given.write_bytes(code)
        words = [*command, "-o", str(made), str(given), "-z", "defs", "-lm", "-lc"]
        if not Path(command[0]).name.startswith("ld"):
            words = [*command, "-o", str(made), str(given), "-Wl,-z,defs", "-lm", "-lc"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LinkageError(done.stderr.strip() or f"{command[0]} failed")
        made.chmod(0o644)
        made.replace(path)
