"""Real pools behind the interfaces of ``replication``: sessions, records, VM operations and disk transfers over XAPI."""
