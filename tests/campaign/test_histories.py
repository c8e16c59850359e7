"""Seeded histories: the same each time, whole without a bug, and broken with one."""

from datetime import timedelta
from decimal import Decimal

import pytest

from campaign import histories
from campaign.histories import Step, play, script, shrink
from campaign.scene import PROFILES
from logos_core import replacing, resolution, submission
from logos_core.ledger import reported
from logos_core.rails import absence, doubt, kill_switch

ENOUGH = 240
"""How many histories it takes at most to find a bug."""


@pytest.mark.parametrize("seed", [3, 17])
def test_a_seed_plays_the_same_history_again_and_again(seed):
    first = play(seed)

    assert [first] * 4 == [play(seed) for _ in range(4)]


def _resend_blindly(monkeypatch):
    monkeypatch.setattr(resolution, "conclude", lambda *_: (absence.Absence.MAY_RESEND, "planted"))


def _prove_too_early(monkeypatch):
    monkeypatch.setattr(absence, "CLOCK_MARGIN", timedelta(seconds=-30))


def _open_the_last_gate(monkeypatch):
    monkeypatch.setattr(kill_switch.KillSwitch, "gate", lambda _self: lambda: None)


def _believe_any_answer(monkeypatch):
    for module in (reported, submission):
        monkeypatch.setattr(module, "mismatches", lambda *_: [])


def _forget_what_was_traded(monkeypatch):
    monkeypatch.setattr(replacing.Replacing, "_traded", lambda *_: Decimal(0))


def _trade_on_beside_a_doubt(monkeypatch):
    monkeypatch.setattr(doubt, "decide", lambda *_: None)


WITH_A_DEADLINE = range(list(PROFILES).index("ids while open, deadline"), ENOUGH * len(PROFILES), len(PROFILES))


@pytest.mark.parametrize(
    ("plant", "seeds"),
    [
        (_resend_blindly, range(ENOUGH)),
        (_prove_too_early, WITH_A_DEADLINE),
        (_open_the_last_gate, range(ENOUGH)),
        (_believe_any_answer, range(ENOUGH)),
        (_forget_what_was_traded, range(ENOUGH)),
        (_trade_on_beside_a_doubt, range(ENOUGH)),
    ],
)
def test_a_planted_bug_breaks_a_history(plant, seeds, monkeypatch):
    plant(monkeypatch)

    assert any(play(seed).broken for seed in seeds)


def test_what_breaks_is_made_shorter(monkeypatch):
    _open_the_last_gate(monkeypatch)
    seed = next(seed for seed in range(ENOUGH) if play(seed).broken)
    shorter = shrink(seed)

    assert set(shorter) <= set(script(seed))
    assert len(shorter) < len(script(seed)) / 2
    assert {"open", "submit", "halt"} <= {step.kind for step in shorter}
    assert play(seed, shorter).broken


def test_a_history_in_which_nothing_goes_wrong_ends_as_it_was_told(monkeypatch):
    monkeypatch.setattr(histories, "LENGTH", 0)

    assert ("open", "submit") == tuple(step.kind for step in script(1))
    assert isinstance(script(1)[0], Step)
    assert () == play(1).broken
