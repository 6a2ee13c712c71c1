"""The page *Browse → Revor* in Airflow's own UI; off unless ``[revor] accounts_page`` is true."""
