"""What the package says of itself, and the presets it ships."""

import tomllib
from pathlib import Path

import pytest

import logos_oanda
from logos_oanda import VENUE
from logos_oanda.simulator import ACCOUNT

PRESETS = sorted((Path(logos_oanda.__file__).parent / "presets").glob("*.toml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_shipped_preset_gives_what_the_venue_declares_and_no_secret(path):
    preset = tomllib.loads(path.read_text())

    assert (1, VENUE.name, path.stem) == (preset["schema"], preset["venue"], preset["environment"])
    assert (VENUE.environments[path.stem].base_url is None) == ("base_url" in preset)
    assert set(VENUE.credentials) == set(preset["credentials"])
    assert set(VENUE.options) == set(preset["venue_options"])
    assert all(reference.startswith("env:") for reference in preset["credentials"].values())


def test_there_is_a_preset_for_the_simulator_and_one_for_paper_and_none_for_live():
    assert ["paper", "simulator"] == [path.stem for path in PRESETS]


def test_the_simulators_preset_names_the_simulators_account():
    preset = tomllib.loads(PRESETS[1].read_text())

    assert ACCOUNT == preset["venue_options"]["account"] == VENUE.simulator("").account
