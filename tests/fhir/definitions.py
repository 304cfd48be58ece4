"""Rebuilds Bridleway's map of FHIR R4 (4.0.1) from two libraries that carry its definitions.

fhirclient knows the elements of each type, which repeat and which are required; fhirpathpy knows
the primitive types exactly. Run as a module, it writes the map anew:

    python -m tests.fhir.definitions > src/bridleway/fhir/data/r4.json
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any


def build() -> dict[str, Any]:
    """Return {types: {type: {element: "type[*][!][?choice]"}}, parents: {type: parent}}."""
    import fhirclient.models
    import fhirpathpy.models
    from fhirclient.models.fhirabstractbase import FHIRAbstractBase

    folder = Path(fhirpathpy.models.__file__).parent / "r4"
    told = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("path2Type", "pathsDefinedElsewhere", "type2Parent")
    }
    exact, elsewhere, parents = (told[n] for n in told)
    classes = set()
    for module in pkgutil.iter_modules(fhirclient.models.__path__):
        if module.name.endswith("_tests"):
            continue
        loaded = importlib.import_module(f"fhirclient.models.{module.name}")
        classes |= {
            one for one in vars(loaded).values()
            if isinstance(one, type) and issubclass(one, FHIRAbstractBase)
        }  # fmt: skip
    named = {}
    for one in classes:
        name = getattr(one, "resource_type", None)
        if name and name not in ("FHIRAbstractBase", "FHIRAbstractResource"):
            named[name] = one
    types: dict[str, dict[str, str]] = {}

    def exactly(owner: str, element: str) -> str | None:
        while owner:
            if f"{owner}.{element}" in exact:
                return str(exact[f"{owner}.{element}"])
            owner = parents.get(owner, "")
        return None

    def describe(path: str, cls: Any) -> None:
        if path in types:
            return
        types[path] = {}
        for _, element, of, many, choice, required in cls(None).elementProperties():
            here = f"{path}.{element}"
            kind = exactly(path, element)
            if here in elsewhere:
                kind = str(elsewhere[here])
            elif kind is None:
                kind = here
                describe(here, of)
            elif kind in ("System.String", "http://hl7.org/fhirpath/System.String"):
                kind = "id" if "." not in path and path in resources else "string"
            marks = (
                ("*" if many else "") + ("!" if required else "") + (f"?{choice}" if choice else "")
            )
            types[path][element] = kind + marks

    def is_resource(name: str) -> bool:
        while name:
            if name == "Resource":
                return True
            name = parents.get(name, "")
        return False

    resources = {name for name in named if is_resource(name)}
    for name in sorted(named):
        if "." not in name and (name in parents or name in ("Element", "Resource")):
            describe(name, named[name])
    kept = {name: parents[name] for name in sorted(parents) if name in types}
    return {"types": dict(sorted(types.items())), "parents": kept}


if __name__ == "__main__":
    json.dump(build(), sys.stdout, separators=(",", ":"), sort_keys=True)
    sys.stdout.write("\n")
