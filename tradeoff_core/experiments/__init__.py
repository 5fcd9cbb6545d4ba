"""A spec goes in, a run's folder comes out; many of them are swept, queued and kept."""
