"""
Put a software bill of materials into the wheel (PEP 770).

It is CycloneDX, made from pyproject.toml alone, so that a second build is the same bit by bit.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NAME = re.compile(r"[A-Za-z0-9._-]+")


class CustomBuildHook(BuildHookInterface):
    """Writes ``.dist-info/sboms/airflow-provider-revor.cdx.json``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """
        Write the file, and have the builder include it.

        :param version: ``standard`` or ``editable``.
        :param build_data: What the builder takes from its hooks.
        """
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name, f"{self.metadata.name}.cdx.json")
        path.write_text(json.dumps(self._sbom(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        build_data["sbom_files"].append(str(path))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """
        Remove the file.

        :param version: ``standard`` or ``editable``.
        :param build_data: What the builder took from its hooks.
        :param artifact_path: The wheel.
        """
        self._folder.cleanup()

    def _sbom(self) -> dict[str, Any]:
        core = self.metadata.core
        ours = f"pkg:pypi/{self.metadata.name}@{self.metadata.version}"
        # No third-party code is in the wheel: these are what it asks an installer for, so they have no versions.
        components = [_component(requirement, "required") for requirement in core.dependencies]
        for requirements in core.optional_dependencies.values():
            components += [_component(requirement, "optional") for requirement in requirements]
        return {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "library",
                    "bom-ref": ours,
                    "name": self.metadata.name,
                    "version": self.metadata.version,
                    "description": core.description,
                    "licenses": [{"expression": core.license_expression}],
                    "purl": ours,
                }
            },
            "components": components,
            "dependencies": [{"ref": ours, "dependsOn": [component["bom-ref"] for component in components]}],
        }


def _component(requirement: str, scope: str) -> dict[str, Any]:
    found = _NAME.match(requirement)
    assert found, requirement  # noqa: S101  # Hatchling has checked it.
    purl = f"pkg:pypi/{re.sub('[-_.]+', '-', found[0]).lower()}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": found[0],
        "purl": purl,
        "scope": scope,
        "properties": [{"name": "python:requirement", "value": requirement}],
    }
