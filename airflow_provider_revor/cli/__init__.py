"""The command line: ``airflow revor …`` on Airflow 3.2+, ``python -m airflow_provider_revor …`` everywhere."""
