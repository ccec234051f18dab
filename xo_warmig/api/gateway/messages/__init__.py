"""JSON-RPC between a client and upstream, message by message."""
