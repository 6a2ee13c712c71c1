"""What the provider decides, as pure functions: no I/O, no clock, no Airflow."""
