"""The ports that the server listens on beside the one for streams."""
