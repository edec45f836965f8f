"""The bridge from browsers to a forefill server: a WebSocket on one side, the SDK on the other, and a page to try it.

SOCKET.md beside this file defines the messages on the WebSocket.
"""
