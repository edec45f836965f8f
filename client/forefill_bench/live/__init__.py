"""Runs arms on real servers: one session, a window of many, and plain generations beside them."""
