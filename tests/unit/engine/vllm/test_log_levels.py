"""Importing what vLLM's server imports costs no log lines of this process."""

import subprocess
import sys

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
