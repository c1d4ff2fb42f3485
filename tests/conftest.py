"""Property tests run the same examples everywhere, so that a failure repeats."""

import sys
import types
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _no_own_constants(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The constants that ship, not those of whoever runs the tests."""
    folder = tmp_path_factory.getbasetemp() / "no-configuration"
    monkeypatch.setenv("FARTHING_CONFIG", str(folder))
    return folder


Publish = Callable[..., Path]


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Publish:
    """Publish rental offers in a folder, as gpuhunt does on the web: a version, and CSV in a zip."""
    gpuhunt = pytest.importorskip("gpuhunt")
    from gpuhunt._internal import storage

    root = tmp_path / "published"
    monkeypatch.setenv("GPUHUNT_CATALOG_URL", root.as_uri())
    monkeypatch.delenv("GPUHUNT_CATALOG_DIR", raising=False)

    def call(provider: str, *offers: dict[str, object], version: str = "20261120-7") -> Path:
        usual = {
            "location": "here",
            "cpu": 8,
            "memory": 64.0,
            "gpu_count": 1,
            "gpu_memory": 80.0,
            "spot": False,
            "disk_size": None,
            "gpu_vendor": gpuhunt.AcceleratorVendor.NVIDIA,
        }
        items = [gpuhunt.CatalogItem(**{"provider": provider, **usual, **offer}) for offer in offers]
        folder = root / provider / version
        folder.mkdir(parents=True, exist_ok=True)
        (root / provider / "version").write_text(version + "\n")
        storage.dump(items, str(folder / f"{provider}.csv"))
        with zipfile.ZipFile(folder / "catalog.zip", "w") as archive:
            archive.write(folder / f"{provider}.csv", f"{provider}.csv")
        return root

    return call


HEADER = "id,source,quant,prompt_len,gen_len,metric,value\n"


@pytest.fixture
def simple_reader(monkeypatch: pytest.MonkeyPatch) -> str:
    """A reader of consumer rows that says 100 tokens/s times llama.cpp's share of memory; gives the header.

    A ``quant`` of ``odd`` is refused, one of ``broken`` makes it stumble.
    """
    from farthing import catalog
    from farthing.evidence import validate
    from farthing.evidence.outcome import compared, refused
    from farthing.records.comparison import Case, Comparison, Likeness

    def one(case: Case) -> Comparison:
        if case.cells["quant"] == "broken":
            raise KeyError("no such format")
        if case.cells["quant"] == "odd":
            return refused(
                case, case.cells["metric"], float("nan"), "the format is not known", group="decode"
            )
        share = catalog.engine_efficiency(
            "llama.cpp", catalog.accelerator("rtx-4090"), catalog.number_format("fp16")
        ).memory_share
        return compared(
            case,
            case.cells["metric"],
            float(case.cells["value"]),
            100.0 * share,
            simple=200.0,
            group="decode",
            likeness=Likeness(what="decode", engine="llama.cpp", hardware="ada-geforce", regime="one card"),
            rate=True,
        )

    def compare(cases: Sequence[Case]) -> list[Comparison]:
        return [one(case) for case in cases]

    module = types.ModuleType("farthing.evidence.simple")
    module.compare = compare  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "farthing.evidence.simple", module)
    monkeypatch.setitem(validate.MODULES, "consumer", "simple")  # type: ignore[arg-type]
    return HEADER
