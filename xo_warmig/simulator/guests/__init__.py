"""What runs inside simulated VMs: workloads that write to their disks through the chain while clients snapshot and copy.

Power states and everything else that xapi knows about a VM are not here.
"""

from xo_warmig.simulator.guests.running import Guests

__all__ = ["Guests"]
