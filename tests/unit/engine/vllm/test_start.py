"""vLLM's arguments on this machine."""

import pytest
from forefill_service.engine.vllm.start import slow_in_bfloat16


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
