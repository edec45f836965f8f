"""The rules of who may use an engine now: admission, pressure, prefill times, fair shares, waste, retries."""
