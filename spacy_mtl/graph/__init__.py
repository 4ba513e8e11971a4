"""A knowledge graph from the relations that a pipeline finds in texts."""
