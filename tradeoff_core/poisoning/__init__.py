"""Triggers, and the images that wear them."""
