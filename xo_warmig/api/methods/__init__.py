"""The bodies of the methods, a module per namespace, and the table of all of them."""

from types import MappingProxyType

from xo_warmig.api.method import Method
from xo_warmig.api.methods import api, server, session, sr, system, task, token, user, vm, vm_copies, warm_migration, xo

METHODS: MappingProxyType[str, Method] = MappingProxyType(
    {
        method.name: method
        for module in (api, server, session, sr, system, task, token, user, vm, vm_copies, warm_migration, xo)
        for method in module.METHODS
    }
)
