"""What a host's rrdd knows of the VMs that run on it: how much they write, kept in rings of averages and served at ``/rrd_updates``."""

from xo_warmig.simulator.metrics.recorder import Recorder

__all__ = ["Recorder"]
