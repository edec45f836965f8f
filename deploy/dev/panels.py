"""The rows of the Grafana dashboard, as a table: `deploy/dev/dashboards.py` makes the file from it."""

from .panel import PERCENT, RATE, SECONDS, Panel, Query, Row, quantiles, rate_by

TTFT_P95 = "histogram_quantile(0.95, sum by (le) (rate(forefill_ttft_seconds_bucket{AT}[I])))"
HIT_SHARE = (
    'sum(rate(forefill_generations_total{AT, source=~"warm|pregenerated"}[I]))'
    " / sum(rate(forefill_generations_total{AT}[I]))"
)
USED_SHARE = (
    'sum(rate(forefill_warm_tokens_total{AT, row="used"}[I]))'
    ' / sum(rate(forefill_warm_tokens_total{AT, row!="kept"}[I]))'
)

OVERVIEW = Row(
    "Overview",
    (
        Panel("TTFT, p95", "From SUBMIT to the first token.", (Query(TTFT_P95, ""),), SECONDS, "stat", 4),
        Panel("Hit rate", "Answers that started warm or pre-generated.", (Query(HIT_SHARE, ""),), PERCENT, "stat", 4),
        Panel(
            "Warmed tokens used",
            "Share of warmed tokens that an answer used.",
            (Query(USED_SHARE, ""),),
            PERCENT,
            "stat",
            4,
        ),
        Panel("Sessions", "Open sessions.", (Query("sum(forefill_sessions{AT})", ""),), "short", "stat", 4),
        Panel(
            "Engines up",
            "Share of engines that answer, over all copies of forefill.",
            (Query("avg(forefill_replica_up{AT})", ""),),
            PERCENT,
            "stat",
            4,
        ),
        Panel(
            "Pressure",
            "Speculative work that is shed: 0 none, 1 warms, 2 pre-generations too.",
            (Query("max(forefill_pressure{AT})", ""),),
            "short",
            "stat",
            4,
        ),
    ),
)

WAITS = Row(
    "What users wait for",
    (
        Panel(
            "TTFT by source",
            "From SUBMIT to the first token, by what the answer started on.",
            quantiles("forefill_ttft_seconds", "source"),
            SECONDS,
        ),
        Panel(
            "Answers by source",
            "Answers a second.",
            rate_by("forefill_generations_total", "source"),
            RATE,
            stacked=True,
        ),
        Panel(
            "Hit rate",
            "Share of answers that started warm or pre-generated, and share of warmed tokens that an answer used.",
            (Query(HIT_SHARE, "answers warm or pre-generated"), Query(USED_SHARE, "warmed tokens used")),
            PERCENT,
        ),
        Panel(
            "Turns by rendering",
            "Whether forefill's prompt is that of the engine's chat endpoint. If they differ, less is warmed.",
            rate_by("forefill_turns_total", "rendering"),
            RATE,
            stacked=True,
        ),
        Panel(
            "Hand-offs",
            "Answers that applications asked the engine for themselves.",
            (Query("sum(rate(forefill_hand_offs_total{AT}[I]))", "hand-offs"),),
            RATE,
        ),
        Panel(
            "Generations lost",
            "Generations whose engine failed before the first token.",
            rate_by("forefill_generations_lost_total", "replica, outcome"),
            RATE,
        ),
    ),
)

SPECULATION = Row(
    "Speculative work, and its waste",
    (
        Panel(
            "Warmed tokens by row",
            "How the tokens that warms computed were used: all but used and kept is waste.",
            rate_by("forefill_warm_tokens_total", "row"),
            "short",
            stacked=True,
        ),
        Panel(
            "Pre-generated tokens by row",
            "Tokens generated before SUBMIT.",
            rate_by("forefill_pregenerated_tokens_total", "row"),
            "short",
            stacked=True,
        ),
        Panel(
            "Engine time of answers",
            "Engine seconds a second: of answers, and of answers begun before SUBMIT. All but adopted is waste.",
            (
                Query("sum(rate(forefill_answer_engine_seconds_total{AT}[I]))", "answers"),
                *rate_by("forefill_pregeneration_engine_seconds_total", "outcome"),
            ),
            SECONDS,
        ),
        Panel(
            "Pre-generations by outcome",
            "Answers begun before SUBMIT, and what became of them.",
            (
                Query("sum(rate(forefill_pregenerations_total{AT}[I]))", "begun"),
                *rate_by("forefill_pregeneration_outcomes_total", "outcome"),
            ),
            RATE,
        ),
        Panel(
            "Warms by outcome",
            "Warm requests to engines.",
            rate_by("forefill_warms_total", "outcome"),
            RATE,
            stacked=True,
        ),
        Panel("FLUSHes by outcome", "FLUSH events.", rate_by("forefill_flushes_total", "outcome"), RATE, stacked=True),
        Panel(
            "Shed load",
            "FLUSH events that were not warmed, by reason.",
            rate_by("forefill_sheds_total", "reason"),
            RATE,
        ),
    ),
)

SESSIONS = Row(
    "Streams and sessions",
    (
        Panel(
            "Streams and sessions",
            "Open now, and the limit of sessions of all copies.",
            (
                Query("sum(forefill_streams{AT})", "streams"),
                Query("sum(forefill_sessions{AT})", "sessions"),
                Query("sum(forefill_max_sessions{AT})", "limit"),
            ),
        ),
        Panel("Events by kind", "Messages from clients.", rate_by("forefill_events_total", "kind"), RATE, stacked=True),
        Panel(
            "Stream ends by reason",
            "Ended is END, cancelled is a client that is gone; all others are reasons that clients were given.",
            rate_by("forefill_stream_ends_total", "reason"),
            RATE,
        ),
        Panel("Errors by reason", "Refused events and streams.", rate_by("forefill_errors_total", "reason"), RATE),
    ),
)

ENGINES = Row(
    "Engines, as forefill sees them",
    (
        Panel(
            "Requests in the engine",
            "By the engine's own report, so the traffic of others is in it. Behind a router, workers are not seen.",
            (
                Query("max by (replica, pod) (forefill_engine_running_requests{AT})", "running {{replica}} {{pod}}"),
                Query("max by (replica, pod) (forefill_engine_waiting_requests{AT})", "waiting {{replica}} {{pod}}"),
            ),
        ),
        Panel(
            "forefill's own requests",
            "Answers, and speculative work, by engine.",
            (
                Query("sum by (replica) (forefill_answering_requests{AT})", "answers {{replica}}"),
                Query("sum by (replica) (forefill_speculative_requests{AT})", "speculative {{replica}}"),
            ),
        ),
        Panel(
            "Cache usage",
            "Share of the cache that running requests hold.",
            (Query("max by (replica, pod) (forefill_engine_cache_usage{AT})", "{{replica}} {{pod}}"),),
            PERCENT,
        ),
        Panel(
            "Engine up",
            "1 if this copy of forefill reaches the engine.",
            (Query("min by (replica, pod) (forefill_replica_up{AT})", "{{replica}} {{pod}}"),),
        ),
        Panel(
            "Engine state",
            "Engines that are not up, by state.",
            (
                Query(
                    'max by (replica, pod, state) (forefill_engine_state{AT, state=~"down|untested"}) > 0',
                    "{{state}} {{replica}} {{pod}}",
                ),
                Query("max by (pod) (forefill_engine_died{AT}) > 0", "died {{pod}}"),
                Query("max by (replica, pod) (forefill_warming_inert{AT}) > 0", "inert {{replica}} {{pod}}"),
            ),
        ),
        Panel(
            "Pressure by engine",
            "Speculative work that is shed: 0 none, 1 warms, 2 pre-generations too.",
            (Query("max by (replica, pod) (forefill_pressure{AT})", "{{replica}} {{pod}}"),),
        ),
    ),
)

ADMISSION = Row(
    "Admission of speculative work",
    (
        Panel(
            "Wait for admission",
            "How long speculative work waited, whatever became of it.",
            quantiles("forefill_admission_wait_seconds", "work"),
            SECONDS,
        ),
        Panel(
            "Admissions by outcome",
            "Speculative work that asked for the engine.",
            (Query("sum by (work, outcome) (rate(forefill_admissions_total{AT}[I])) > 0", "{{work}} {{outcome}}"),),
            RATE,
            stacked=True,
        ),
        Panel(
            "Waiting for admission",
            "Speculative work that waits now.",
            (Query("sum by (replica) (forefill_admission_waiting{AT})", "{{replica}}"),),
        ),
    ),
)

VLLM = Row(
    "vLLM servers, by their own metrics",
    (
        Panel(
            "Requests",
            "Running and waiting in each server.",
            (
                Query("sum by (pod) (vllm:num_requests_running{NS})", "running {{pod}}"),
                Query("sum by (pod) (vllm:num_requests_waiting{NS})", "waiting {{pod}}"),
            ),
        ),
        Panel(
            "KV cache usage",
            "Share of the cache that running requests hold.",
            (Query("max by (pod) (vllm:kv_cache_usage_perc{NS})", "{{pod}}"),),
            PERCENT,
        ),
        Panel(
            "Prefix cache hit rate",
            "Share of prompt tokens found cached, of all requests: warms are in it.",
            (
                Query(
                    "sum by (pod) (rate(vllm:prefix_cache_hits_total{NS}[I]))"
                    " / sum by (pod) (rate(vllm:prefix_cache_queries_total{NS}[I]))",
                    "{{pod}}",
                ),
            ),
            PERCENT,
        ),
        Panel(
            "Preemptions",
            "Running requests that lost their blocks: the cache is too small.",
            rate_by("vllm:num_preemptions_total", "pod", "NS"),
            RATE,
        ),
        Panel(
            "Gap between tokens",
            "Of all requests, those of other applications included.",
            quantiles("vllm:inter_token_latency_seconds", "pod", "NS"),
            SECONDS,
        ),
        Panel(
            "TTFT in vLLM",
            "Of all requests, warms included.",
            quantiles("vllm:time_to_first_token_seconds", "pod", "NS"),
            SECONDS,
        ),
    ),
)

ROWS = (OVERVIEW, WAITS, SPECULATION, SESSIONS, ENGINES, ADMISSION, VLLM)
