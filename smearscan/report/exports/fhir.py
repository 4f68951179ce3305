"""FHIR R4: a DiagnosticReport a slide with an Observation a class; preliminary, without any patient.

Codes are LOINC's of no stated method: the differential comes neither from a cell counter nor from an eye.
Classes without such a code are told in words. Who puts the bundle into a record adds the subject and
the specimen, and answers for it.
"""

import json
import math
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from smearscan.differential.fine_types import FineShare
from smearscan.differential.slide_report import SlideReport
from smearscan.io.atomic import write_text
from smearscan.report.exports.names import FileNames
from smearscan.report.run_facts import RunFacts
from smearscan.results import FieldFailure, FieldResult
from smearscan.taxonomy import BLAST, NOTICE

LOINC = {
    "neutrophil": ("26511-6", "Neutrophils/100 leukocytes in Blood"),
    "lymphocyte": ("26478-8", "Lymphocytes/100 leukocytes in Blood"),
    "monocyte": ("26485-3", "Monocytes/100 leukocytes in Blood"),
    "eosinophil": ("26450-7", "Eosinophils/100 leukocytes in Blood"),
    "basophil": ("30180-4", "Basophils/100 leukocytes in Blood"),
    BLAST: ("26446-5", "Blasts/100 leukocytes in Blood"),
}
PANEL = ("69738-3", "Differential panel, method unspecified - Blood")
FINE = "fine type "
"""Before the name of a fine type, for a promyelocyte may be a blast or an immature granulocyte."""
FINER = "a finer guess within what each leukocyte is called; it changes no other count"
_NAMESPACE = uuid.UUID("3f6f0b8e-95c8-5a0e-8d1c-5e0a6d7a4b52")

Resource = dict[str, Any]


class FhirExport:
    """Writes ``fhir/SLIDE.json``: a Bundle of one report, its observations and the device."""

    missing = ()

    def __init__(self, folder: Path, facts: RunFacts, root: Path | None) -> None:
        self._folder, self._facts, self._names = folder / "fhir", facts, FileNames()

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Add a slide."""
        path = self._folder / f"{self._names(report.slide_id)}.json"
        write_text(path, json.dumps(bundle(report, self._facts), indent=1, allow_nan=False) + "\n")

    def close(self) -> list[Path]:
        """Return the folder."""
        return [self._folder]


def bundle(report: SlideReport, facts: RunFacts) -> Resource:
    """Return a slide's report as a FHIR R4 Bundle of type ``collection``."""

    def url(name: str) -> str:
        return f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{facts.digest()}/{report.slide_id}/{name}')}"

    device = {"reference": url("device")}
    observations = {share.name: _observation(share, report, facts, device) for share in _classes(report)}
    observations |= {share.name: _observation(share, report, facts, device, FINER) for share in _fine(report)}
    diagnostic: Resource = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "code": _code(*PANEL),
        "issued": facts.made,
        "result": [{"reference": url(name), "display": name} for name in observations],
        "conclusion": f"{NOTICE} Flag: {report.flag.state}. {report.flag_reason}",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": url("report")}],
    }
    told: list[tuple[str, Resource]] = [
        (url("report"), diagnostic),
        *((url(name), observation) for name, observation in observations.items()),
        (url("device"), _device(facts)),
    ]
    entries = [{"fullUrl": where, "resource": resource} for where, resource in told]
    return {"resourceType": "Bundle", "type": "collection", "timestamp": facts.made, "entry": entries}


def _classes(report: SlideReport) -> list[FineShare]:
    """Share of each class of the differential."""
    count = report.differential
    parts = zip(count.classes, count.counts, count.percent, strict=True)
    return [FineShare(name, int(n), float(p), *count.interval(name, report.level)) for name, n, p in parts]


def _fine(report: SlideReport) -> list[FineShare]:
    """Share of each fine type, under a name that no class has."""
    return [replace(share, name=f"{FINE}{share.name}") for share in report.fine_shares]


def _observation(
    share: FineShare, report: SlideReport, facts: RunFacts, device: Resource, *remarks: str
) -> Resource:
    name, total = share.name, report.differential.total
    notes = [NOTICE, f"{share.count} of {total} leukocytes", *remarks]
    observation: Resource = {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ],
        "code": _code(*LOINC[name]) if name in LOINC else {"text": f"{name}/100 leukocytes in Blood"},
        "issued": facts.made,
        "device": device,
        "method": {"text": f"Image analysis of a stained smear, smearscan {facts.version}"},
        "note": [{"text": text} for text in notes],
    }
    if math.isnan(share.percent):
        system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
        return observation | {"dataAbsentReason": {"coding": [{"system": system, "code": "not-performed"}]}}
    level = f"{100 * report.level:g} % interval"
    observation["valueQuantity"] = _percent(share.percent)
    observation["component"] = [
        {"code": {"text": f"{level}, lower limit"}, "valueQuantity": _percent(share.low)},
        {"code": {"text": f"{level}, upper limit"}, "valueQuantity": _percent(share.high)},
    ]
    if known := facts.range_of(name):
        least, most = known
        told = {"low": _percent(least), "high": _percent(most), "text": f"adults, {facts.ranges_source}"}
        observation["referenceRange"] = [told]
    return observation


def _device(facts: RunFacts) -> Resource:
    nets = [{"value": f"{net.name} sha256:{net.sha256}"} for net in facts.networks]
    return {
        "resourceType": "Device",
        "deviceName": [{"name": "smearscan", "type": "model-name"}],
        "type": {"text": "software, research use only"},
        "version": [{"value": facts.version}, *nets],
    }


def _code(code: str, display: str) -> Resource:
    return {"coding": [{"system": "http://loinc.org", "code": code, "display": display}], "text": display}


def _percent(value: float) -> Resource:
    return {"value": round(value, 2), "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
