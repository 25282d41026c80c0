"""Sweeps: many variations of one scenario, evaluated once each, kept in one Parquet file."""
