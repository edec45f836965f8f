"""A planned fleet as values of the Helm chart, with what they were planned for as comments."""

import dataclasses
import textwrap
from typing import Final

from ..capacity.capacity import Fleet
from ..plan_options import PlanCommand

SPARE: Final = 1.25
"""Sessions that a copy has room for, per session that it has when one copy is away."""

TEMPLATE: Final = """\
# Values of the chart deploy/helm/forefill for {typists:,} typists: forefill plan wrote them.
# By simulation, the time to the first token is p50 {p50:,.0f} ms and p95 {p95:,.0f} ms.
# The target for p95 is {target:g} ms.
{planned_for}
#
# Use them after the values that name your model and say who gets in; what is in both files counts as it is here:
#   helm install forefill deploy/helm/forefill -f yours.yaml -f {file}
#
# The plan does not know what forefill itself needs, nor a server's memory: resources are yours to set.

# Copies of forefill. With an engine inside each of them (engine.kind: embedded), set this to {hashed} instead, because
# sessions then go to engines by chance, and leave out vllm.
replicaCount: {copies}
settings:
  # Room in each copy for all typists while one copy is away, and a quarter more. One caller may open half as many at
  # most: if one backend opens the sessions of all, set sessions_per_caller, too.
  max_sessions: {max_sessions}

# vLLM servers, all of which forefill knows. With servers of your own, run {replicas}, and leave this out.
vllm:
  enabled: true
  replicas: {replicas}
  blockSize: {block_size}
  # The cache of each must hold {cache_tokens:,} tokens: "KV cache size" in its log.
  extraArgs:
    - "--max-num-batched-tokens={max_batched_tokens}"
    - "--max-num-seqs={max_sequences}"
# forefill places sessions by load. A router draws servers by a hash: with one, set vllm.replicas to {hashed}.
router:
  enabled: false
"""


def values_text(command: PlanCommand, fleet: Fleet) -> str:
    """Return the file for the fleet that was planned."""
    replica, waits = command.replica, fleet.served["typed"]
    return TEMPLATE.format(
        typists=fleet.typists,
        p50=waits.p50_ms,
        p95=waits.p95_ms,
        target=command.target_ms,
        planned_for=_planned_for(command),
        file=command.values_file.name if command.values_file else "FILE",
        copies=command.copies,
        hashed=fleet.hashed,
        max_sessions=max_sessions(fleet.typists, command.copies),
        replicas=fleet.replicas,
        block_size=replica.block_size,
        cache_tokens=replica.cache_tokens,
        max_batched_tokens=replica.max_batched_tokens,
        max_sequences=replica.max_sequences,
    )


def max_sessions(typists: int, copies: int) -> int:
    """Return how many sessions a copy should take, so that the others have room for those of one that is away."""
    return -int(-SPARE * typists // max(1, copies - 1))


def _planned_for(command: PlanCommand) -> str:
    """Return the use and the engine that were simulated, as comments."""
    flags = dataclasses.asdict(command.use) | dataclasses.asdict(command.replica)
    told = ", ".join(f"{name} {value:.10g}" for name, value in flags.items())
    return textwrap.fill(f"Planned for: {told}.", 118, initial_indent="# ", subsequent_indent="#   ")
