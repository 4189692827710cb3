"""Monitoring: distributions, drift and quality of what is served, with numpy alone."""
