"""Trained networks on disk: the zoo's, and those that others trained."""
