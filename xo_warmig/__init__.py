"""Warm migration of running VMs between XCP-ng and XenServer pools."""

__version__ = "0.1.0"
