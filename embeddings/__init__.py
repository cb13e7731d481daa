"""Texts to vectors, vectors to interests. Pure Python: never imports airflow, dbt or tideline."""
