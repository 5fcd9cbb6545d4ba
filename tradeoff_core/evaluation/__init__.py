"""Outcomes per example, and the rates that come of them."""
