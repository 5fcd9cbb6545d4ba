"""Makers of what lies in assets/: python -m tradeoff_core.tools.NAME"""
