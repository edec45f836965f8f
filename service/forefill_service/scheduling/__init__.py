"""Who may use an engine now, and for how much: admission, pressure, prefill times, fair shares."""
