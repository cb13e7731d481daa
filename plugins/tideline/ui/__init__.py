"""Pages inside the Airflow UI: what is published, and what the gates said."""
