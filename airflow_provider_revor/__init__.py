"""The Apache Airflow provider for Revor: outreach from Connect accounts that can really send."""

__version__ = "0.1.0"
