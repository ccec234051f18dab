"""In front of a real xo-server: what is ours is answered here, and every other byte passes."""
