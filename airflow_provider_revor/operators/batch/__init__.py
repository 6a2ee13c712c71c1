"""Outreach to many people in one task."""

from airflow_provider_revor.operators.batch.operator import OutreachBatchOperator

__all__ = ["OutreachBatchOperator"]
