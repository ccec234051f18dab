"""Xen Orchestra's REST API v0, as far as it goes here: who is there, and the objects of all pools. Source: @xen-orchestra/rest-api."""
