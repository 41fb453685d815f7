"""Metrics, regions, criteria and tuning: what users and windows measure with."""
