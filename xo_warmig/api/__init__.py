"""What clients call: JSON-RPC over a websocket in Xen Orchestra's dialect, sign-in, notifications. No migration is decided here."""
