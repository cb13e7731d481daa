"""Tideline: what runs beside Airflow and the warehouse. See `docs/` and the README for the way of the data."""

__version__ = "0.1.0"
