"""One session while it runs: the tasks that read, warm, pre-generate and answer."""
