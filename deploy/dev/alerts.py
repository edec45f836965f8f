"""The alert rules, as a table: `deploy/dev/dashboards.py` makes the file from it.

Rates of a fleet are taken by namespace and job: a PodMonitor gives each release a job of its own. An alert on a share
also asks for some traffic, so that one unlucky user at night wakes nobody.
"""

from dataclasses import dataclass
from typing import Literal

RUNBOOK = "deploy/kubernetes.md"
FLEET = "namespace, job"
TENTH_A_SECOND = 0.1


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule: it fires once its expression has held for that long. The summary says what is wrong, in one line."""

    name: str
    severity: Literal["critical", "warning"]
    for_: str
    expr: str
    summary: str
    description: str

    @property
    def runbook(self) -> str:
        """Return where the documentation says what to do."""
        return f"{RUNBOOK}#{self.name.lower()}"


def fleet_rate(metric: str, minutes: int, matchers: str = "") -> str:
    """Return a counter's rate over a fleet."""
    return f"sum by ({FLEET}) (rate({metric}{matchers}[{minutes}m]))"


def share(part: str, whole: str, above: float) -> str:
    """Return an expression for a share above a limit, while there is traffic."""
    return f"{part} / {whole} > {above} and {whole} > {TENTH_A_SECOND}"


FLUSHES = fleet_rate("forefill_flushes_total", 30)
SUBMITS = fleet_rate("forefill_events_total", 10, '{kind="submit"}')
TURNS = fleet_rate("forefill_turns_total", 60)
WARM_TOKENS = fleet_rate("forefill_warm_tokens_total", 60, '{row!="kept"}')
TTFT_COUNT = fleet_rate("forefill_ttft_seconds_count", 15)

FOREFILL = (
    Alert(
        "ForefillAbsent",
        "critical",
        "10m",
        "absent(forefill_streams)",
        "No forefill is scraped.",
        "Prometheus has had no metric of any forefill for 10 minutes: none runs, or scraping is broken.",
    ),
    Alert(
        "ForefillNoEngine",
        "critical",
        "1m",
        "max by (namespace, job, pod) (forefill_replica_up) == 0",
        "{{ $labels.pod }} has no engine.",
        "No engine answers this copy of forefill. It is not ready, and its sessions get GENERATION_FAILED.",
    ),
    Alert(
        "ForefillEngineDown",
        "warning",
        "5m",
        "count by (namespace, job, replica) (forefill_replica_up == 0)",
        "The engine {{ $labels.replica }} is down.",
        "{{ $value }} copies of forefill cannot use it. Its sessions go on at the other engines, with cold caches.",
    ),
    Alert(
        "ForefillEngineUntested",
        "warning",
        "15m",
        'max by (namespace, job, replica) (forefill_engine_state{state="untested"}) == 1',
        "The engine {{ $labels.replica }} is up, but its self-test does not end.",
        "It answers probes, but the test of a warm that runs when an engine comes up has not succeeded for 15 minutes.",
    ),
    Alert(
        "ForefillEngineDied",
        "warning",
        "0m",
        "max by (namespace, job, pod) (max_over_time(forefill_engine_died[10m])) == 1",
        "The engine inside {{ $labels.pod }} has died or hangs.",
        "The server ends with 1 and is started again. Its sessions move to other copies, with cold caches.",
    ),
    Alert(
        "ForefillRestarting",
        "critical",
        "0m",
        "max by (namespace, job, pod) (changes(forefill_pregenerations_created[1h])) >= 3",
        "{{ $labels.pod }} has been restarted {{ $value }} times within an hour.",
        "Each restart of an embedded engine takes minutes and loses its cache.",
    ),
    Alert(
        "ForefillWarmingInert",
        "warning",
        "15m",
        "max by (namespace, job, replica) (forefill_warming_inert) == 1",
        "Warming does nothing on {{ $labels.replica }}.",
        "The self-test found that warmed blocks are not hit. Answers come as they do without forefill.",
    ),
    Alert(
        "ForefillSessionsNearLimit",
        "warning",
        "10m",
        "forefill_sessions / forefill_max_sessions > 0.85",
        "{{ $labels.pod }} has {{ $value | humanizePercentage }} of the sessions that it takes.",
        "At the limit, new sessions are refused with TOO_MANY_SESSIONS.",
    ),
    Alert(
        "ForefillRefusesSessions",
        "critical",
        "5m",
        fleet_rate("forefill_errors_total", 5, '{reason="too_many_sessions"}') + " > 0",
        "{{ $labels.job }} refuses sessions: it is full.",
        "Users are refused with TOO_MANY_SESSIONS; the SDK tries again, and other copies.",
    ),
    Alert(
        "ForefillShedding",
        "warning",
        "30m",
        share(fleet_rate("forefill_sheds_total", 30, '{reason="load"}'), FLUSHES, 0.25),
        "{{ $labels.job }} sheds {{ $value | humanizePercentage }} of its FLUSHes for load.",
        "The engines are too busy to warm, so answers come late, as they do without forefill.",
    ),
    Alert(
        "ForefillTtftHigh",
        "warning",
        "15m",
        f"histogram_quantile(0.95, sum by (le, {FLEET}) (rate(forefill_ttft_seconds_bucket[15m]))) > 2"
        f" and {TTFT_COUNT} > {TENTH_A_SECOND}",
        "{{ $labels.job }}: the p95 of the time to the first token is {{ $value | humanizeDuration }}.",
        "One user in twenty waits that long after Enter, or longer. Set the limit of 2 s to your own target.",
    ),
    Alert(
        "ForefillAnswersFail",
        "critical",
        "5m",
        share(
            fleet_rate("forefill_errors_total", 10, '{reason=~"generation_failed|generation_interrupted"}'),
            SUBMITS,
            0.05,
        ),
        "{{ $value | humanizePercentage }} of the answers of {{ $labels.job }} fail.",
        "Users press Enter and get an error: engines fail, are full, or time out.",
    ),
    Alert(
        "ForefillGenerationsLost",
        "warning",
        "0m",
        "sum by (namespace, job, replica) (increase(forefill_generations_lost_total[10m])) > 5",
        "The engine {{ $labels.replica }} has lost {{ $value | humanize }} generations in 10 minutes.",
        "They failed before the first token. Those that could be repeated elsewhere came late; the others failed.",
    ),
    Alert(
        "ForefillInternalErrors",
        "warning",
        "0m",
        f'sum by ({FLEET}) (increase(forefill_errors_total{{reason="internal"}}[15m])) > 5',
        "{{ $labels.job }} has ended {{ $value | humanize }} streams with INTERNAL in 15 minutes.",
        "Each is a defect of forefill; the log has the cause under the id that the client was given.",
    ),
    Alert(
        "ForefillWarmsWasted",
        "warning",
        "1h",
        share(fleet_rate("forefill_warm_tokens_total", 60, '{row=~"edited_away|evicted|abandoned"}'), WARM_TOKENS, 0.7),
        "{{ $value | humanizePercentage }} of the tokens that {{ $labels.job }} warms are wasted.",
        "Most of what is computed ahead is not used by an answer: engine time is spent for little.",
    ),
    Alert(
        "ForefillPromptsDiffer",
        "warning",
        "1h",
        share(fleet_rate("forefill_turns_total", 60, '{rendering="differs"}'), TURNS, 0.1),
        "{{ $labels.job }}: forefill's prompts differ from the engine's in {{ $value | humanizePercentage }} of turns.",
        "Answers are right, for they use the engine's own prompt, but less is warmed and none is begun before SUBMIT.",
    ),
)

VLLM = (
    Alert(
        "VllmRequestsWaiting",
        "warning",
        "10m",
        "sum by (namespace, pod) (vllm:num_requests_waiting) > 16",
        "{{ $value }} requests wait in the vLLM server {{ $labels.pod }}.",
        "The server is too small for its load. forefill has stopped warming there long before.",
    ),
    Alert(
        "VllmPreemptions",
        "warning",
        "15m",
        "sum by (namespace, pod) (rate(vllm:num_preemptions_total[15m])) > 0.1",
        "The vLLM server {{ $labels.pod }} takes blocks away from running requests.",
        "Its cache is too small: answers stall and are computed again, and warmed blocks do not last.",
    ),
)

GROUPS = {"forefill": FOREFILL, "forefill-vllm": VLLM}
"""The groups of rules, by name."""
