"""The chat in the terminal. What has no Textual in it is tested without a terminal: all but `app`, and what it shows."""
