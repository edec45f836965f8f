"""The log of this process: vLLM's server costs it no lines, and vLLM adds none that repeat what was typed."""

import logging
import subprocess
import sys

import pytest
from forefill_service.engine.vllm.log_levels import leave_out_what_templates_say

PROGRAM = """
import logging

from forefill_service.engine.vllm.log_levels import root_log_levels_kept

logging.basicConfig(level="INFO", format="%(message)s")
with root_log_levels_kept():
    import model_hosting_container_standards.sagemaker

    logging.getLogger("forefill_service").info("not meant for anybody")
logging.getLogger("forefill_service").info("is serving")
"""


def test_the_log_goes_on_after_a_package_that_silences_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == "is serving\n"


def test_what_a_template_says_of_messages_is_not_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm = logging.getLogger("vllm.renderers.hf")
    monkeypatch.setattr(vllm, "propagate", False)  # vLLM, once it is imported, passes nothing on
    monkeypatch.setattr(vllm, "handlers", [caplog.handler])
    caplog.set_level("DEBUG", vllm.name)
    for _ in range(2):
        leave_out_what_templates_say()
    vllm.warning("Chat template rejected the request: %s", ValueError("zyzzyva"))
    vllm.warning("something else")
    assert caplog.messages == ["something else"]
