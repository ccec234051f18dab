"""Moving blocks: the two ends of a copy, and the one loop between them. Knows formats and bytes, not pools."""
