"""Who gets in, and what they may do: callers, their credentials, and the certificate of this server."""
