"""What Airflow asks of a provider. Imports nothing of ours: Airflow reads it in every process."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Revor"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as Airflow's ``provider_info.schema.json`` has it."""
    return {
        "package-name": "airflow-provider-revor",
        "name": "Revor",
        "description": "`Revor <https://revor.ai>`__: outreach from Connect accounts that can really send.",
        "integrations": [
            {"integration-name": _INTEGRATION, "external-doc-url": "https://revor.ai", "tags": ["service"]}
        ],
        "hooks": _modules("airflow_provider_revor.hooks.revor"),
        "operators": _modules(
            "airflow_provider_revor.operators.batch",
            "airflow_provider_revor.operators.cancel",
            "airflow_provider_revor.operators.connect",
            "airflow_provider_revor.operators.outreach",
            "airflow_provider_revor.operators.summary",
        ),
        "sensors": _modules(
            "airflow_provider_revor.sensors.connect",
            "airflow_provider_revor.sensors.outreach",
        ),
        "triggers": _modules(
            "airflow_provider_revor.triggers.batch",
            "airflow_provider_revor.triggers.connect",
            "airflow_provider_revor.triggers.outreach",
        ),
        "extra-links": ["airflow_provider_revor.links.RevorAccountsLink"],
        "plugins": [{"name": "revor", "plugin-class": "airflow_provider_revor.ui.plugin.RevorPlugin"}],
        "config": {
            "revor": {
                "description": "The Revor provider.",
                "options": {
                    "accounts_page": {
                        "description": (
                            "Whether Airflow's UI (3.1+) has the page Browse > Revor: the accounts of each connection "
                            "of the type revor, the gates that wait, and the outreach of the last days, for people who "
                            "may read connections. API servers read this when they start.\n"
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "False",
                    }
                },
            }
        },
        # Read by Airflow 3.2+.
        "cli": ["airflow_provider_revor.cli.definition.get_revor_cli_commands"],
        "connection-types": [
            {
                "connection-type": "revor",
                "hook-class-name": "airflow_provider_revor.hooks.revor.RevorHook",
                "hook-name": "Revor",
                **connection_form(),
            }
        ],
    }


def connection_form() -> dict[str, Any]:
    """Return how the connection's form is drawn: by Airflow 3.2+ from here, by older ones through the hook."""
    return {
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "login", "extra"],
            "relabeling": {"password": "API key", "host": "Base URL"},
            "placeholders": {
                "password": "sk-revor-…",
                "host": "https://revor.ai",
                "port": "443",
                # Airflow 3 shows those of the fields above alone.
                "api_version": "v1",
                "proxies": "http://proxy:3128",
                "verify": "true",
                "timeout": "30",
                "max_retries": "3",
                "max_response_mb": "32",
            },
        },
        # In the order of use: most people need none, then what a network asks for, then limits.
        "conn-fields": {
            "api_version": {
                "label": "API version",
                "schema": {"type": ["string", "null"], "enum": ["v1", "v2", None]},
                "description": "v1 or v2. With v2, jobs can be cancelled. Default: v1.",
            },
            "proxies": {
                "label": "Proxy",
                "schema": {"type": ["string", "null"]},
                "description": "The URL of a proxy, such as http://proxy:3128. Default: what the environment says.",
            },
            "verify": {
                "label": "Verify TLS",
                "schema": {"type": ["string", "null"]},
                "description": "true, false, or the path of a CA bundle. Default: true.",
            },
            "allow_http": {
                "label": "Allow plain HTTP",
                "schema": {"type": ["boolean", "null"]},
                "description": "Send the API key unencrypted to another machine (http://). Default: false.",
            },
            "timeout": {
                "label": "Timeout (seconds)",
                "schema": {"type": ["integer", "null"]},
                "description": "How long a request may take, until the last byte of its response. Default: 30.",
            },
            "max_retries": {
                "label": "Retries",
                "schema": {"type": ["integer", "null"]},
                "description": "How often a request is sent again after a rate limit or a fault. Default: 3.",
            },
            "max_response_mb": {
                "label": "Largest response (MB)",
                "schema": {"type": ["integer", "null"]},
                "description": "A response larger than this is not read. Default: 32.",
            },
        },
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": list(names)}]
