"""What is shipped beside the code."""

import subprocess
import sys
import tomllib
from importlib import resources

import pytest

from logos_ccxt import VENUE
from logos_core.secrets import resolve


@pytest.mark.parametrize(("variant", "environment"), [("binance", "simulator"), ("binance", "paper"), ("kraken", "simulator")])
def test_a_preset_names_this_venue_and_refers_to_every_secret(variant, environment):
    package, _, folder = VENUE.presets.partition(":")
    preset = tomllib.loads(resources.files(package).joinpath(folder, f"{variant}-{environment}.toml").read_text())
    names = {reference.removeprefix("env:"): "found" for reference in preset["credentials"].values()}
    secrets = {name: resolve(name, reference, names).reveal() for name, reference in preset["credentials"].items()}

    assert (f"ccxt:{variant}", environment) == (preset["venue"], preset["environment"])
    assert dict.fromkeys(VENUE.credentials, "found") == secrets
    assert (environment == "simulator") is ("base_url" in preset)


def test_declaring_the_venue_imports_neither_sdk_nor_transport():
    program = "import sys, logos_ccxt; print(sorted({'ccxt', 'requests'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_a_variant_has_capabilities_hosts_and_presets_of_its_own_and_no_others():
    package, _, folder = VENUE.presets.partition(":")
    presets = {entry.name.partition("-")[0] for entry in resources.files(package).joinpath(folder).iterdir()}

    assert {"binance", "kraken"} == {*VENUE.variants} == {*VENUE.capabilities} == {*VENUE.environments_by_variant} == presets
    assert [True, False] == ["paper" in VENUE.environments_of(variant) for variant in VENUE.variants]
    assert [True, False] == [VENUE.capabilities[variant].paper for variant in VENUE.variants]
