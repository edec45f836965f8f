"""The metrics of vLLM's own servers that the dashboard and the alerts read, with their kinds."""

PREFIX = "vllm:"
METRICS = {
    "num_requests_running": "gauge",
    "num_requests_waiting": "gauge",
    "kv_cache_usage_perc": "gauge",
    "prefix_cache_queries": "counter",
    "prefix_cache_hits": "counter",
    "num_preemptions": "counter",
    "inter_token_latency_seconds": "histogram",
    "time_to_first_token_seconds": "histogram",
}
