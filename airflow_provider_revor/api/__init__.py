"""The Revor API contract as pure values: no I/O, no clock, no Airflow."""
