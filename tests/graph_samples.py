"""Sample resources for a tenant in Graph: their files, and, told independently of the tool, what Graph should have."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.graph_applying import APPS, CONFIGURATIONS, HEALTH_SCRIPTS, SHELL_SCRIPTS

Json = Any

_STAFF, _IT, _ALL = {"group": "Staff"}, {"group": "IT"}, {"allDevices": True}
_TARGETS = ((), (_STAFF,), (_IT,), (_STAFF, _IT), ({"excludeGroup": "IT"}, _ALL))
ASSIGNED = len(_TARGETS)
"""How many ways there are to assign a sample."""

_VARIANTS: Mapping[str, tuple[Mapping[str, Json], ...]] = {
    "webApp": (
        {"appUrl": "https://one.example"},
        {"appUrl": "https://two.example", "useManagedBrowser": True, "description": "Ünï 🎈"},
        {"appUrl": "https://one.example", "notes": "Two\n\n[lines]", "isFeatured": True},
    ),
    "winGetApp": ({}, {"description": "One", "roleScopeTagIds": ["0", "1"]}, {"notes": "Two", "developer": "Contoso"}),
    "deviceShellScript": (
        {"scriptContent": "#!/bin/sh\necho one\n"},
        {"scriptContent": "#!/bin/sh\r\necho zwei", "retryCount": 3},
        {"scriptContent": "#!/bin/sh\necho one\n", "executionFrequency": "P1D", "description": "Two"},
    ),
    "deviceHealthScript": (
        {"detectionScriptContent": "exit 1\n", "remediationScriptContent": "exit 0\n"},
        {"detectionScriptContent": "exit 1\n", "remediationScriptContent": "echo ü\n", "runAs32Bit": True},
        {"detectionScriptContent": "exit 2\n", "remediationScriptContent": "exit 0\n", "description": "Two"},
    ),
    "windows10GeneralConfiguration": (
        {"bluetoothBlocked": True},
        {"bluetoothBlocked": True, "description": "One", "passwordMinimumLength": 8},
        {"passwordMinimumLength": 8, "edgeSearchEngine": {"edgeSearchEngineType": "bing"}, "defenderMode": ["a", "b"]},
    ),
}
_ALWAYS: Mapping[str, Mapping[str, Json]] = {
    "webApp": {"publisher": "Contoso"},
    "winGetApp": {"packageIdentifier": "9WZDNCRFJ3PZ", "installExperience": {"runAsAccount": "system"}},
    "deviceShellScript": {"runAsAccount": "system"},
    "deviceHealthScript": {"runAsAccount": "system", "publisher": "Contoso"},
    "windows10GeneralConfiguration": {},
}
_PLACES = {
    "webApp": (APPS, "app", "apps"),
    "winGetApp": (APPS, "app", "apps"),
    "deviceShellScript": (SHELL_SCRIPTS, "script", "scripts"),
    "deviceHealthScript": (HEALTH_SCRIPTS, "script", "scripts"),
    "windows10GeneralConfiguration": (CONFIGURATIONS, "deviceConfiguration", "device-configurations"),
}
KINDS = tuple(_PLACES)
VARIANTS = 3
_FILES = {"scriptContent": "sh", "detectionScriptContent": "detection.ps1", "remediationScriptContent": "fix.ps1"}
_SCHEDULE = {"type": "deviceHealthScriptHourlySchedule", "interval": 4}


@dataclass(frozen=True)
class Sample:
    """A resource: its kind and its name, in which variant and how assigned. Those of a kind have one display name."""

    kind: str
    name: str
    variant: int = 0
    assigned: int = 0

    @property
    def resource(self) -> str:
        """The resource's name, with its profile type."""
        return f"{_PLACES[self.kind][1]}/{self._stem}"

    @property
    def marker(self) -> str:
        """The mark that its object bears."""
        return f"maa:contoso:{self.resource}"

    @property
    def _stem(self) -> str:
        return f"{self.kind.lower()}-{self.name}"

    @property
    def collection(self) -> str:
        """Where Graph has it."""
        return _PLACES[self.kind][0]

    @property
    def _said(self) -> dict[str, Json]:
        return {"displayName": f"A {self.kind}", **_ALWAYS[self.kind], **_VARIANTS[self.kind][self.variant]}

    @property
    def _files(self) -> dict[str, tuple[str, str]]:
        """Its files by the property that they hold, each with its text."""
        return {key: (f"{self._stem}.{_FILES[key]}", text) for key, text in self._said.items() if key in _FILES}

    def files(self) -> dict[str, str]:
        """The files of the resource."""
        files = self._files
        plain = {key: value for key, value in self._said.items() if key not in files}
        plain |= {key.replace("Content", "File"): name for key, (name, _) in files.items()}
        document = {"type": self.kind, **plain, "assignments": [self._assignment(found) for found in self._targets]}
        folder = f"resources/{_PLACES[self.kind][2]}"
        text = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in document.items())
        return {f"{folder}/{self._stem}.yaml": text, **{f"{folder}/{name}": text for name, text in files.values()}}

    @property
    def _targets(self) -> Sequence[Mapping[str, Json]]:
        return _TARGETS[self.assigned]

    def _assignment(self, target: Mapping[str, Json]) -> dict[str, Json]:
        more: dict[str, Json] = {"intent": self._intent(target)} if self.collection == APPS else {}
        if self.kind == "deviceHealthScript":
            more = {"runRemediationScript": True, "runSchedule": _SCHEDULE}
        return {"target": target, **more}

    def _intent(self, target: Mapping[str, Json]) -> str:
        """What is to be done with an app."""
        return "required" if "allDevices" in target else "available"

    def properties(self) -> dict[str, Json]:
        """What Graph should have of it; a property that another variant says, and this one does not, is None."""
        found = dict.fromkeys(key for variant in _VARIANTS[self.kind] for key in variant)
        found |= self._said
        own = [found.get(key) for key in ("notes", "description")]
        key, words = ("notes", own[0]) if self.collection == APPS else ("description", own[1])
        found |= {key: f"{words}\n\n[{self.marker}]" if words else f"[{self.marker}]"}
        if self._files.get("scriptContent"):
            found["fileName"] = self._files["scriptContent"][0]
        return {name: _encoded(value) if name in _FILES else value for name, value in found.items()}

    def assignments(self, groups: Mapping[str, str]) -> set[tuple[str, str, str]]:
        """What Graph should have of its assignments: the kind of target, the group's id, the intent or the hours."""
        found = set()
        for target in self._targets:
            (kind,) = (_GRAPH_TARGETS[key] for key in target)
            group = groups.get(str(target.get("group") or target.get("excludeGroup")), "")
            word = {"deviceHealthScript": "4", "webApp": self._intent(target), "winGetApp": self._intent(target)}
            found.add((kind, group, word.get(self.kind, "")))
        return found


_GRAPH_TARGETS = {
    "group": "#microsoft.graph.groupAssignmentTarget",
    "excludeGroup": "#microsoft.graph.exclusionGroupAssignmentTarget",
    "allDevices": "#microsoft.graph.allDevicesAssignmentTarget",
}


def _encoded(text: str | None) -> str | None:
    return None if text is None else base64.b64encode(text.encode()).decode()


def files_of(samples: Iterable[Sample]) -> dict[str, str]:
    """The files of resources."""
    return {path: text for sample in samples for path, text in sample.files().items()}
