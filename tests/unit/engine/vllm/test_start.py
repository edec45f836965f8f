"""vLLM's arguments on this machine."""

from typing import Any

import pytest
from forefill_service.engine.vllm.start import cpu_environment, eager_environment, slow_in_bfloat16


@pytest.mark.parametrize(
    ("machine", "flags", "slow"),
    [
        ("x86_64", "fpu sse2 avx avx2 fma", True),
        ("x86_64", "fpu sse2 avx avx2 fma avx512f avx512bw", False),
        ("x86_64", "fpu avx2 avx512f avx512_bf16 amx_bf16", False),
        ("aarch64", "fp asimd bf16", False),
    ],
)
def test_only_an_x86_cpu_without_avx_512_is_slow_in_bfloat16(machine: str, flags: str, slow: bool) -> None:
    cpuinfo = f"processor\t: 0\nflags\t\t: {flags}\nbogomips\t: 4890.85\n"
    assert slow_in_bfloat16(machine, cpuinfo) is slow


@pytest.mark.parametrize(
    ("cpus", "environment", "reserves_none"),
    [
        (1, {}, True),
        (2, {}, True),
        (3, {}, False),
        (2, {"VLLM_CPU_NUM_OF_RESERVED_CPU": "1"}, False),
        (2, {"VLLM_CPU_OMP_THREADS_BIND": "0"}, False),
    ],
)
def test_vllm_computes_on_all_of_few_cpus_unless_the_user_says_otherwise(
    cpus: int, environment: dict[str, str], reserves_none: bool
) -> None:
    added = cpu_environment(cpus, environment)
    assert added == ({"VLLM_CPU_NUM_OF_RESERVED_CPU": "0"} if reserves_none else {})


@pytest.mark.parametrize(
    ("arguments", "environment", "compiles_nothing"),
    [
        ({"enforce_eager": True}, {}, True),
        ({"enforce_eager": True}, {"TORCHDYNAMO_DISABLE": "0"}, False),
        ({"enforce_eager": False}, {}, False),
        ({}, {}, False),
    ],
)
def test_a_vllm_that_does_not_compile_its_model_compiles_nothing_while_it_answers(
    arguments: dict[str, Any], environment: dict[str, str], compiles_nothing: bool
) -> None:
    added = eager_environment(arguments, environment)
    assert added == ({"TORCHDYNAMO_DISABLE": "1"} if compiles_nothing else {})
