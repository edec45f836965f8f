"""The servers that trials run on, and the names by which prompts are kept apart there."""

from dataclasses import dataclass

from forefill_client.client import AsyncClient
from forefill_client.errors import ForefillError

from ..typing import texts
from ..typing.arms import Arm
from ..typing.schedule import Trial
from .clock import Clock
from .plain import ForefillPlainClient, Message, OpenAIClient, PlainClient


@dataclass(frozen=True, slots=True)
class BenchTargets:
    """The connections of a run, which all its trials share."""

    client: AsyncClient
    #: vLLM's own endpoint, if the run has one.
    openai: OpenAIClient | None
    nonces: texts.Nonces
    #: Most tokens of an answer.
    max_tokens: int
    #: A forefill in front of that endpoint.
    remote: AsyncClient | None = None
    clock: Clock = Clock()

    def forefill(self, arm: Arm) -> AsyncClient:
        """Return the forefill that serves an arm."""
        if not arm.over_remote:
            return self.client
        if self.remote is None:
            raise ForefillError("the arm `remote` needs vLLM's own endpoint: pass --direct URL")
        return self.remote

    def plain(self, arm: Arm) -> PlainClient:
        """Return the client for an arm's plain generations."""
        if not arm.over_http:
            return ForefillPlainClient(self.forefill(arm), self.clock)
        if self.openai is None:
            raise ForefillError("the arm `direct` needs vLLM's own endpoint: pass --direct URL")
        return self.openai

    def system(self, trial: Trial) -> Message:
        """Return a trial's system message, with a nonce of its own unless its arm is to find a shared prompt cached."""
        shares = trial.workload.shared and not trial.arm.stays_uncached
        nonce = self.nonces.kept((trial.workload.name, trial.arm.name)) if shares else self.nonces.fresh()
        ending = "" if trial.workload.shared else texts.ending(max(0, trial.index))
        return "system", f"{nonce} {trial.workload.system}{ending}"
