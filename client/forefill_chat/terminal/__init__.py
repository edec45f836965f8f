"""The chat in the terminal. What has no Textual in it is tested without a screen: all but `app` and its widgets."""
