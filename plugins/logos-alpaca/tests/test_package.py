"""What the package says of itself, and what it ships beside the code."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest

import logos_alpaca
from logos_alpaca import VENUE, AlpacaAdapter
from logos_alpaca.capabilities import CAPABILITIES
from logos_core import presets, venues
from logos_core.capabilities import ExpiryKind, Uniqueness
from logos_core.errors import ConfigurationError
from logos_core.orders import OrderType, TimeInForce
from logos_core.secrets import resolve

PACKAGE = Path(logos_alpaca.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
PRESETS = sorted((PACKAGE / "presets").glob("*.toml"))


def distribution(requirement):
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower()


def test_everything_that_is_imported_is_declared():
    modules = [ast.parse(path.read_text()) for path in PACKAGE.glob("*.py")]
    names = {alias.name for module in modules for node in ast.walk(module) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for module in modules for node in ast.walk(module) if isinstance(node, ast.ImportFrom) and node.module}
    imported = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"logos_alpaca"}
    homes = metadata.packages_distributions()
    declared = {distribution(requirement) for requirement in PROJECT["dependencies"]}
    comes_with_the_core = {distribution(requirement) for requirement in metadata.requires("logos-core") or []}

    assert {"alpaca", "logos_core"} <= imported
    assert set() == {homes.get(name, [name.replace("_", "-")])[0].lower() for name in imported} - declared - comes_with_the_core
    assert "requests" in declared


def test_the_sdk_that_is_asked_for_is_the_sdk_that_is_installed_with_it():
    wanted = f"{VENUE.sdk.distribution}>={VENUE.sdk.minimum},<{VENUE.sdk.below}"

    assert wanted in PROJECT["dependencies"]
    VENUE.sdk.check()


def test_the_entry_point_leads_to_the_declaration():
    assert {"alpaca": "logos_alpaca:VENUE"} == PROJECT["entry-points"]["logos.venues"]
    assert (VENUE, "") == venues.declaration("alpaca")
    assert (logos_alpaca.__version__, VENUE.name) == (PROJECT["version"], "alpaca")


def test_declaring_the_venue_imports_neither_sdk_nor_transport():
    program = (
        "import sys, logos_alpaca; logos_alpaca.VENUE; logos_alpaca.AlpacaAdapter;"
        "print(*sorted({'alpaca', 'pydantic', 'pandas', 'requests', 'urllib3', 'logos_alpaca.venue'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)

    assert ("", "\n", 0) == (done.stderr, done.stdout, done.returncode)


def test_there_is_a_preset_for_the_simulator_and_one_for_paper_and_none_for_live():
    package, _, folder = VENUE.presets.partition(":")

    assert ["paper", "simulator"] == [path.stem for path in PRESETS]
    assert {path.name for path in PRESETS} == {item.name for item in resources.files(package).joinpath(folder).iterdir()}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_shipped_preset_is_one_that_logos_loads_and_refers_to_every_secret(path):
    preset = presets.load(path)
    environ = {reference.removeprefix("env:"): "found" for reference in preset.credentials.values()}

    assert ("alpaca", path.stem) == (preset.venue, preset.environment)
    assert (VENUE.environments[path.stem].base_url is None) == (preset.base_url is not None)
    assert {} == preset.venue_options
    assert dict.fromkeys(VENUE.credentials, "found") == {
        name: resolve(name, reference, environ).reveal() for name, reference in preset.credentials.items()
    }


@pytest.mark.parametrize("venue", ["oanda", "ccxt:binance", "alpaca2", "Alpaca"])
def test_the_adapter_of_alpaca_refuses_the_preset_of_another_venue(tmp_path, venue):
    path = tmp_path / "preset.toml"
    path.write_text(PRESETS[1].read_text().replace('venue = "alpaca"', f'venue = "{venue}"'))

    with pytest.raises(ConfigurationError, match="this adapter opens 'alpaca'"):
        AlpacaAdapter.open(path, home=tmp_path / "home", environ={"LOGOS_SIMULATOR_KEY": "k"})

    assert not (tmp_path / "home").exists()


def test_a_variant_is_refused():
    with pytest.raises(ConfigurationError, match="'alpaca:paper' is not supported"):
        venues.declaration("alpaca:paper")


def test_a_paper_key_never_goes_to_the_live_host():
    assert ("https://paper-api.alpaca.markets", "https://api.alpaca.markets", None) == tuple(
        VENUE.environments[name].base_url for name in ("paper", "live", "simulator")
    )


def test_an_id_is_taken_for_ever_and_an_order_never_expires_on_its_way():
    """These two decide whether an order that is not seen may be sent again."""
    assert (Uniqueness.EVER, True, 128) == (
        CAPABILITIES.client_ids.uniqueness,
        CAPABILITIES.client_ids.queryable,
        CAPABILITIES.client_ids.max_length,
    )
    assert ExpiryKind.NONE is CAPABILITIES.expiry.kind


def test_an_order_goes_for_the_day_unless_told_otherwise():
    assert dict.fromkeys(OrderType, TimeInForce.DAY) == {kind: times[0] for kind, times in CAPABILITIES.times_in_force.items()}
